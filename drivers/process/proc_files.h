// What /proc tells of one process (proc(5)). Everything here may be out of date when it returns; whoever acts on it
// holds a pidfd, or knows the process as a child that was not reaped yet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/ids.h"
#include "reconcile/base/time.h"

namespace gitproc {

struct ProcStat {
  char state = '?';
  Pid parent = 0;
  Pid process_group = 0;
  Pid session = 0;
  std::uint64_t start_ticks = 0;  // since boot, in clock ticks
  // Of a zombie, as waitpid(2) gives it; 0 also where the reader may not see it.
  std::optional<int> wait_status;
  // Surely, as far as the reader may see it. In the middle of execve(2) a process has no environment yet.
  bool has_empty_environment = false;

  bool is_dead() const { return state == 'Z' || state == 'X' || state == 'x'; }
};

// The text of /proc/PID/stat. A command name may hold anything, spaces and parentheses too.
std::optional<ProcStat> parse_proc_stat(std::string_view text);
std::optional<ProcStat> read_proc_stat(Pid pid);

// The whole ticks that have passed at `instant`: the unit of ProcStat::start_ticks.
std::uint64_t ticks_of(Instant instant);

// The children of all threads of a process, at most max_listed_children. Without CONFIG_PROC_CHILDREN: none.
inline constexpr std::size_t max_listed_children = 200'000;
std::vector<Pid> children_of(Pid pid);
// Those of its first thread, which is whom the kernel gives the orphans of a subreaper (find_new_reaper() in the
// kernel's exit.c), apart from the children that other threads have made.
std::vector<Pid> children_of_first_thread(Pid pid);

// Its cgroup below the mount, "/gitproc/web", in the v2 tree, or in the v1 hierarchy of that controller; "" where that
// cannot be told.
std::string cgroup_of_process(Pid pid, std::string_view v1_controller = "");

// The process's numbers in the PID namespaces that it is in, from the reader's own to the innermost (NSpid of proc(5));
// empty where that cannot be told.
std::vector<Pid> namespace_pids(Pid pid);

// Tells PID namespaces apart; 0 where that cannot be told.
std::uint64_t pid_namespace_of(Pid pid);

// The value of INVOCATION_ID in its initial environment; "" where there is none, or it may not be seen. nullopt: it is to
// be asked for again, because the process is in the middle of execve(2), or ending.
std::optional<std::string> invocation_of_process(Pid pid);

// All pids there are, in no order.
std::vector<Pid> all_processes();

}  // namespace gitproc
