// What the code between clone and execve shares (child.h tells its rules): raw system calls, and the steps that all of
// a service's processes take. Private to child.cpp and namespace_child.cpp.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "drivers/process/child.h"

// The sanitizers' instrumentation would look for this stack among the agent's threads.
#define GITPROC_IN_CHILD __attribute__((no_sanitize("address", "undefined", "thread")))

namespace gitproc {

template <typename... Arguments>
GITPROC_IN_CHILD inline long call(long number, Arguments... arguments) {
  return ::syscall(number, arguments...);
}

[[noreturn]] void give_up(ChildPlan* plan, ChildStage stage, int error_number);
void reset_signals(const ChildPlan* plan);
// Closes all descriptors but that one, in a table of the process's own.
void close_all_but(ChildPlan* plan, int fd);
void join_cgroup(ChildPlan* plan, int cgroup_fd);
// Finishes the spawn line with the process's number as the agent sees it, the time and, where there is one, the init of
// its namespace; and writes it.
void write_record(ChildPlan* plan, std::uint64_t pid, std::uint64_t init_pid);

}  // namespace gitproc
