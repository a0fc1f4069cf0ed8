// Notices that processes end. Children, and orphans that became the agent's children (it is a subreaper, or PID 1),
// through SIGCHLD and waitid: no descriptor each, one wake-up for any number of them. Processes that are not its
// children (services of an earlier agent) through a pidfd each.
#pragma once

#include <sys/types.h>

#include <unordered_map>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "reconcile/actual/exit_status.h"
#include "reconcile/base/ids.h"

namespace gitproc {

struct ProcessExit {
  Pid pid = 0;
  ExitStatus status;
  bool was_child = true;

  bool operator==(const ProcessExit&) const = default;
};

class ExitWatcher {
 public:
  // Blocks SIGCHLD in the calling thread: to be made before any other thread is, which then inherit that. Makes
  // the process a subreaper (prctl(2)). Aborts where the kernel has no descriptors left: nothing works then.
  ExitWatcher();
  ~ExitWatcher();
  ExitWatcher(const ExitWatcher&) = delete;
  ExitWatcher& operator=(const ExitWatcher&) = delete;

  // Whether the process is a child that was not reaped yet, so that its number is surely its own.
  static bool is_child(Pid pid);

  // Watches a process that is not a child. False where there is none of that number.
  bool watch(Pid pid);
  void forget(Pid pid);
  bool is_watched(Pid pid) const { return watched_.contains(pid); }
  // To a process that is watched. False where it is gone.
  bool signal_watched(Pid pid, int signal) const;

  // Readable when collect() has something.
  int fd() const { return epoll_.get(); }
  // All exits since the last call, at most `max`; each once. is_complete is false when there may be more, which
  // then keep fd() readable or are told by calling again.
  struct Collected {
    std::vector<ProcessExit> exits;
    bool is_complete = true;
  };
  Collected collect(std::size_t max);

 private:
  UniqueFd epoll_;
  UniqueFd signal_;
  std::unordered_map<Pid, UniqueFd> watched_;
};

}  // namespace gitproc
