// What the code between clone and execve shares (child.h tells its rules): raw system calls, and the steps that all of
// a service's processes take. Private to what runs there.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <type_traits>

#include "drivers/process/child.h"

// The sanitizers' instrumentation would look for this stack among the agent's threads.
#define GITPROC_IN_CHILD __attribute__((no_sanitize("address", "undefined", "thread")))

namespace gitproc {

template <typename T>
GITPROC_IN_CHILD inline long argument_of(T value) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(value);
  } else if constexpr (std::is_null_pointer_v<T>) {
    return 0;
  } else {
    return static_cast<long>(value);
  }
}

// syscall(2), but the result is the kernel's own: a negative error number, and not in `errno`, which is that of the
// agent's thread.
GITPROC_IN_CHILD inline long call_with(long number, long a, long b, long c, long d, long e) {
#if defined(__x86_64__)
  long result;
  register long fourth asm("r10") = d;
  register long fifth asm("r8") = e;
  asm volatile("syscall"
               : "=a"(result)
               : "0"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long result asm("x0") = a;
  register long second asm("x1") = b;
  register long third asm("x2") = c;
  register long fourth asm("x3") = d;
  register long fifth asm("x4") = e;
  register long name asm("x8") = number;
  asm volatile("svc #0"
               : "+r"(result)
               : "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(name)
               : "memory");
  return result;
#else
  // Harmless: for such a processor there is no clone3_onto_stack() either, and the agent waits for a plain child.
  long result = ::syscall(number, a, b, c, d, e);
  return result == -1 ? -errno : result;
#endif
}

template <typename... Arguments>
GITPROC_IN_CHILD inline long call(long number, Arguments... arguments) {
  static_assert(sizeof...(arguments) <= 5);
  const long all[5] = {argument_of(arguments)...};
  return call_with(number, all[0], all[1], all[2], all[3], all[4]);
}

// `result`: of the call that failed, or an error number with its sign turned.
[[noreturn]] void give_up(ChildPlan* plan, ChildStage stage, long result);
void reset_signals(const ChildPlan* plan);
// Closes all descriptors but that one, in a table of the process's own.
void close_all_but(ChildPlan* plan, int fd);
void join_cgroup(ChildPlan* plan, int cgroup_fd);
// Finishes the spawn line with the process's number as the agent sees it, the time and, where there is one, the init of
// its namespace; and writes it.
void write_record(ChildPlan* plan, std::uint64_t pid, std::uint64_t init_pid);

}  // namespace gitproc
