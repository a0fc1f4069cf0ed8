// Makes a process of an ExecSpec, without ever forking the agent: a clone that shares the agent's memory and
// descriptor table, on a stack of its own, runs child.cpp until it has become the service or has failed. Its cost
// grows neither with the agent's memory nor with its descriptors.
//
// It is vfork(2) but for the wait. The agent need not wait at once: while one child goes its way on another processor,
// the next is prepared and made. And the wait has a deadline: a service's user may stop (SIGSTOP) the child in the few
// instructions between setuid and execve, and the agent must not hang with it.
//
// A service with a PID namespace of its own comes into it by way of a helper: namespace_child.h.
//
// Where the kernel (before 5.9) or a container's seccomp filter knows no clone3 with what is needed, clone(2) does
// the same a little slower: "plain" mode, found out by the first spawn.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "drivers/process/exec_spec.h"
#include "reconcile/base/ids.h"

namespace gitproc {

struct ChildPlan;

// A spawn that did not end in execve; see SpawnFailed.
struct SpawnFault {
  int exit_code = 0;
  std::string message;
  bool lacks_namespace = false;  // it could be done without one
  int error_number = 0;          // where it lacks one

  bool operator==(const SpawnFault&) const = default;
};

class Spawner {
 public:
  struct Options {
    // The soft and hard RLIMIT_NOFILE that services get: what the agent had before it raised its own.
    std::uint64_t nofile_soft = 1024;
    std::uint64_t nofile_hard = 524288;
    bool is_plain = false;  // as on an old kernel
  };

  // The signals that the agent ignores, but for SIGPIPE, must be so already.
  explicit Spawner(Options options);
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  // A cgroup to be born in (-1: the agent's own) or, as CgroupTree::enter may say, to join afterwards.
  struct Cgroup {
    int fd = -1;
    bool joins_after_birth = false;

    int fd_to_join() const { return joins_after_birth ? fd : -1; }
    int fd_to_be_born_in() const { return joins_after_birth ? -1 : fd; }
  };
  // Where the processes go. `entrances`: of v1 groups that the service enters besides, their cgroup.procs.
  struct Place {
    Cgroup service;
    Cgroup init;  // of a PID namespace's init, which is none of the service's processes
    std::vector<int> entrances = {};
  };
  struct Processes {
    Pid main = 0;
    Pid init = 0;  // of its PID namespace, where it has one

    bool operator==(const Processes&) const = default;
  };
  using Outcome = std::expected<Processes, SpawnFault>;

  // Children that may be on their way at once, each on a stack of its own.
  static constexpr std::size_t max_underway = 4;
  std::size_t underway() const { return underway_.size(); }

  // Makes the process, which may not have executed its program yet; to be called while fewer than max_underway are on
  // their way. Until finish_first() has told of it, the descriptors in `spec` and `place` must stay open, and no child
  // of the caller may be reaped by anybody else. A fault: there is nothing to finish.
  // `journal_fd` and `spawn_line`: see RunJournal; with an empty line the process is not put on record.
  std::optional<SpawnFault> begin(ExecSpec spec, int journal_fd, std::string_view spawn_line, Place place);
  // Waits for the one that was begun first, until it has executed its program or has failed; there must be one.
  // The processes are children of the caller, lead sessions, and must be reaped by the caller; after a
  // fault nothing is left of them. An init stays until it is told to leave (init/leave_signal.h).
  Outcome finish_first();
  // Both; while none is on its way.
  Outcome spawn(ExecSpec spec, int journal_fd, std::string_view spawn_line, Place place);

 private:
  struct Prepared;
  char* take_stacks();
  long clone_child(Prepared& prepared);
  std::optional<SpawnFault> plan_namespace(Prepared& prepared);
  static void end_namespace(const ChildPlan& plan);

  Options options_;
  bool is_plain_;
  std::uint64_t ignored_signals_ = 0;
  char* stacks_ = nullptr;
  std::deque<std::unique_ptr<Prepared>> underway_;  // the first is the one begun first
  UniqueFd image_;                                  // of inits, when there was a first
};

// The file that `path` names: itself when absolute, else the first executable file in executable_search_path.
// Error: not_found.
Result<std::string> find_executable(const std::string& path);

}  // namespace gitproc
