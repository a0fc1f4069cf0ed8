// Makes a process of an ExecSpec, without ever forking the agent: a clone that shares the agent's memory and
// descriptor table, on a stack of its own, runs child.cpp; the agent's thread waits until it has become the
// service or has failed. Its cost grows neither with the agent's memory nor with its descriptors.
//
// It is vfork(2) but for the wait, which has a deadline: a service's user may stop (SIGSTOP) the child in the few
// instructions between setuid and execve, and the agent must not hang with it.
//
// Where the kernel (before 5.9) or a container's seccomp filter knows no clone3 with what is needed, clone(2) does
// the same a little slower: "plain" mode, found out by the first spawn.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "drivers/process/exec_spec.h"
#include "reconcile/base/ids.h"

namespace gitproc {

// A spawn that did not end in execve; see SpawnFailed.
struct SpawnFault {
  int exit_code = 0;
  std::string message;

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

  // Where a process goes: born in the cgroup (-1: the agent's own), or, as CgroupTree::enter may say, moved there.
  // `entrances`: of v1 groups that it enters besides, their cgroup.procs.
  struct Cgroup {
    int fd = -1;
    bool joins_after_birth = false;
    std::vector<int> entrances = {};
  };
  // `journal_fd` and `spawn_line`: see RunJournal.
  // The process is a child of the caller, leads a session, and must be reaped by the caller; after a
  // fault nothing is left of it.
  std::expected<Pid, SpawnFault> spawn(const ExecSpec& spec, int journal_fd, const std::string& spawn_line,
                                       Cgroup cgroup);

 private:
  struct Prepared;
  long clone_child(Prepared& prepared);
  std::optional<SpawnFault> wait_until_executed(Prepared& prepared, Pid pid);

  Options options_;
  bool is_plain_;
  std::uint64_t ignored_signals_ = 0;
  void* stack_ = nullptr;
};

// The file that `path` names: itself when absolute, else the first executable file in executable_search_path.
// Error: not_found.
Result<std::string> find_executable(const std::string& path);

}  // namespace gitproc
