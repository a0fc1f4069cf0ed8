// What a freshly cloned process does until it is the service: the code between clone and execve.
//
// The child shares the agent's memory (CLONE_VM), the storage of the agent's thread with its `errno` among it, and runs
// beside that thread. So it may only make raw system calls and touch what its plan points to: no allocation, no locks,
// no library call that keeps state (the setuid family of glibc would signal the agent's threads). Everything is prepared
// before (spawner.cpp).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace gitproc {

// A stream as StreamTarget, in plain pointers.
struct ChildStream {
  enum class Kind { null, file, duplicate, descriptor };
  Kind kind;
  const char* path;
  int flags;
  mode_t mode;
  int descriptor;  // open in the agent, not below 3
};

struct ChildLimit {
  int resource;
  std::uint64_t soft, hard;
};

enum class ChildStage {
  none,
  namespaces,
  process,
  cgroup,
  session,
  journal,
  standard_input,
  standard_output,
  standard_error,
  oom_adjust,
  nice,
  limits,
  group,
  user,
  working_directory,
  no_new_privileges,
  exec,
};

// All pointers are valid until the child has called execve or is gone.
struct ChildPlan {
  const char* path;  // of the executable
  const char* const* argv;
  const char* const* envp;
  char* watchdog_pid;  // where the pid's digits and a NUL go, max_pid_digits + 1 bytes; null for nowhere

  int journal_fd;
  char* record;               // the spawn line; behind it room for max_record_tail_bytes
  std::size_t record_length;  // 0: this process is not put on record

  bool is_plain;         // cloned by an old kernel: see spawner.h
  int cgroup_fd;         // to join here, where the clone could not do it; -1: none
  const int* entrances;  // cgroup.procs of v1 groups to enter
  std::size_t entrance_count;

  ChildStream input, output, error;
  const ChildLimit* limits;
  std::size_t limit_count;
  std::uint64_t ignored_signals;  // bit n-1 is signal n: what the agent ignores, to be reset
  bool ignores_sigpipe;
  bool has_nice, has_oom_score_adjust;
  int nice;
  const char* oom_score_adjust;  // decimal
  mode_t umask;
  bool changes_identity;
  uid_t uid;
  gid_t gid;
  const gid_t* groups;
  std::size_t group_count;
  const char* working_directory;
  bool working_directory_is_optional;
  bool no_new_privileges;
  bool dies_with_agent;

  // Of a process in a namespace of its own, as the agent sees them: set by the kernel before either runs. 0: none.
  pid_t init_pid, main_pid;

  // The answer. `stage` is none when execve was reached and succeeded.
  ChildStage stage;
  int error_number;
};

inline constexpr std::size_t max_pid_digits = 10;
// "PID BOOTTIME INIT .\n"
inline constexpr std::size_t max_record_tail_bytes = 2 * (max_pid_digits + 1) + 20 + 3;

// The exit code of systemd.exec(5) for a child that failed in that stage; 0 for the journal, which is the
// agent's own failure (Result=resources).
int exit_code_of(ChildStage stage);

// Runs in the child; never returns.
[[noreturn]] void run_child(ChildPlan* plan);

}  // namespace gitproc
