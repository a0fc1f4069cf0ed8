/* PID 1 of a service's PID namespace: reaps what the service leaves behind, passes signals on, and goes when it is told
 * to and nothing is left. When it is killed, the kernel kills all of the namespace with it.
 *
 * The main process is not its child but the agent's, which made both: so the agent hears of that one's end from the
 * kernel, with its status. The init is kept in the agent's image as bytes (namespace_image.h) and has no libc: a few
 * pages, no descriptors, asleep but for signals.
 *
 * Signals that a process sends to it are the main process's (the second of the namespace) while that lives; then
 * everybody's who is left. `leave_signal` from outside the namespace, which is the agent, means: end as soon as there are
 * no children. */
#include <asm/unistd.h>
#include <linux/prctl.h>
#include <linux/signal.h>
#include <linux/wait.h>

#include "drivers/process/init/leave_signal.h"

static long call(long number, long a, long b, long c, long d) {
#if defined(__x86_64__)
  register long fourth __asm__("r10") = d;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "0"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
#else
#error "no system calls known for this processor"
#endif
}

enum { main_process = 2, no_child = -10 /* ECHILD */, no_process = -3 /* ESRCH */ };

/* Whether it has children that live. */
static int reap(void) {
  long pid;
  do
    pid = call(__NR_wait4, -1, 0, WNOHANG | __WALL, 0);
  while (pid > 0);
  return pid != no_child;
}

static void pass_on(int signal) {
  if (call(__NR_kill, main_process, signal, 0, 0) == no_process) call(__NR_kill, -1, signal, 0, 0);
}

__attribute__((noreturn, used)) void init_main(void) {
  /* All signals came blocked. */
  const unsigned long all_signals = ~0ul;
  int is_leaving = 0;
  call(__NR_prctl, PR_SET_NAME, (long)"gitproc-init", 0, 0);
  for (;;) {
    siginfo_t info;
    int has_children = reap();
    if (is_leaving && !has_children) call(__NR_exit_group, 0, 0, 0, 0);
    long signal = call(__NR_rt_sigtimedwait, (long)&all_signals, (long)&info, 0, (long)sizeof all_signals);
    if (signal <= 0 || signal == SIGCHLD) continue;
    /* The kernel's own (si_code > 0) are meant for this process alone. */
    if (info.si_code > 0) continue;
    /* Who is outside of the namespace has no number in it. */
    if (signal == leave_signal && info.si_pid == 0)
      is_leaving = 1;
    else if (info.si_pid != main_process)
      pass_on((int)signal);
  }
}

/* The stack must be aligned for a function that was not called. */
#if defined(__x86_64__)
__asm__(".globl _start\n_start: xorl %ebp, %ebp\n andq $-16, %rsp\n call init_main\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x29, #0\n mov x30, #0\n bl init_main\n");
#endif
