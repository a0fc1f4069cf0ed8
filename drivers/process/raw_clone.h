// clone(2) for code that shares the agent's memory: onto a stack of its own, with nothing of glibc in between that
// would keep state.
#pragma once

#include <linux/sched.h>
#include <sys/types.h>

#include <cstddef>

namespace gitproc {

// clone3(2) with a new stack (in `arguments`): the child runs `main`, which must not return. The pid, or the negative
// error number; -ENOSYS also for a processor that this is not known for.
long clone3_onto_stack(clone_args& arguments, void (*main)(void*), void* plan);

// What old kernels have. `stack`: its lower end.
long clone_onto_stack(unsigned long flags, char* stack, std::size_t stack_bytes, void (*main)(void*),
                      void* plan, pid_t* parent_tid, void* child_tid);

}  // namespace gitproc
