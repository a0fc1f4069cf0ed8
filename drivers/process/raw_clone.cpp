#include "drivers/process/raw_clone.h"

#include <sched.h>
#include <sys/syscall.h>

#include <cerrno>

#include "drivers/process/child_calls.h"

namespace gitproc {
namespace {

struct PlainStart {
  void (*main)(void*);
  void* plan;
};

GITPROC_IN_CHILD int start_plainly(void* start) {
  static_cast<PlainStart*>(start)->main(static_cast<PlainStart*>(start)->plan);
  return 0;
}

}  // namespace

// The child must not return from the function that made the call.
GITPROC_IN_CHILD long clone3_onto_stack([[maybe_unused]] clone_args& arguments,
                                        [[maybe_unused]] void (*main)(void*), [[maybe_unused]] void* plan) {
#if defined(__x86_64__)
  // Registers of their own: the child clears %rbp, the end of all frames, before it uses them.
  register void* child_plan asm("r12") = plan;
  register void (*child_main)(void*) asm("r13") = main;
  long result;
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"
      "movq %[plan], %%rdi\n\t"
      "callq *%[run]\n\t"
      "hlt\n"
      "1:"
      : "=a"(result)
      : "0"(static_cast<long>(SYS_clone3)), "D"(&arguments),
        "S"(sizeof arguments), [plan] "r"(child_plan), [run] "r"(child_main)
      : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long number asm("x8") = SYS_clone3;
  register long result asm("x0") = reinterpret_cast<long>(&arguments);
  register long size asm("x1") = sizeof arguments;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, #0\n\t"
      "mov x0, %[plan]\n\t"
      "blr %[run]\n\t"
      "brk #1\n"
      "1:"
      : "+r"(result)
      : "r"(number), "r"(size), [plan] "r"(plan), [run] "r"(main)
      : "memory", "cc");
  return result;
#else
  return -ENOSYS;
#endif
}

GITPROC_IN_CHILD long clone_onto_stack(unsigned long flags, char* stack, std::size_t stack_bytes,
                                       void (*main)(void*), void* plan, pid_t* parent_tid, void* child_tid) {
  // On the child's own stack, below which it begins: the caller goes on before the child is done.
  char* top = stack + stack_bytes - sizeof(PlainStart);
  auto* start = reinterpret_cast<PlainStart*>(top);
  *start = {main, plan};
  int pid = ::clone(start_plainly, top, static_cast<int>(flags), start, parent_tid, nullptr, child_tid);
  return pid < 0 ? -errno : pid;
}

}  // namespace gitproc
