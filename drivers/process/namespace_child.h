// How a service comes into namespaces of its own, between the agent's clone and the service's execve; the rules of
// child.h hold.
//
//   agent ── clone ──► helper ── unshare(NEWPID, NEWNS [, NEWUSER])
//     │                  ├─ clone(PARENT) ──► init   mounts /proc, executes the image: PID 1
//     │                  ├─ clone(PARENT) ──► main   run_child: PID 2
//     │                  └─ exit
//     └── is the parent of both, and hears of both ends from the kernel
//
// The helper stays in the agent's PID namespace, so the numbers that its clones return are the agent's; and it may make
// siblings, which a namespace's init may not. So there is nothing to report by anybody, and no namespace to enter.
#pragma once

#include "drivers/process/child.h"

namespace gitproc {

// All pointers are valid until the helper is gone.
struct NamespacePlan {
  ChildPlan* main;       // of the service; faults are told in it, and the two numbers
  const char* user_map;  // "UID UID 1" for a user namespace; null for none
  const char* group_map;
  int image_fd;               // what the init executes
  const char* const* argv;    // of the init, for people
  int main_cgroup_fd;         // to be born in, -1 for none: main->cgroup_fd is what it joins by itself
  int init_cgroup_fd;         // as above
  int init_joined_cgroup_fd;  // to join
  char* stack;                // of the two, one after the other
  std::size_t stack_bytes;
};

// Runs in the helper; never returns.
[[noreturn]] void run_namespace_helper(NamespacePlan* plan);

}  // namespace gitproc
