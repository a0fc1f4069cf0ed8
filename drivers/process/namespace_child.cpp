#include "drivers/process/namespace_child.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/personality.h>

#include "drivers/process/child_calls.h"
#include "drivers/process/raw_clone.h"

namespace gitproc {
namespace {

GITPROC_IN_CHILD void write_file(ChildPlan* plan, const char* path, const char* text) {
  long length = 0;
  while (text[length] != '\0')
    ++length;
  long fd = call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
  long result = fd < 0 ? fd : call(SYS_write, fd, text, length);
  if (result < 0) give_up(plan, ChildStage::namespaces, result);
  call(SYS_close, fd);
}

[[noreturn]] GITPROC_IN_CHILD void run_init(NamespacePlan* plan) {
  ChildPlan* main = plan->main;
  if (plan->init_joined_cgroup_fd >= 0) join_cgroup(main, plan->init_joined_cgroup_fd);
  reset_signals(main);
  long result = call(SYS_setsid);
  if (result < 0) give_up(main, ChildStage::session, result);
  // What is on record is a namespace without a main process, until that one writes its own line.
  write_record(main, 0, static_cast<std::uint64_t>(main->init_pid));
  // The machine's own /proc speaks of other numbers, and knows nobody here as "self".
  result = call(SYS_mount, "proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  if (result != 0) give_up(main, ChildStage::namespaces, result);
  call(SYS_chdir, "/");
  close_all_but(main, plan->image_fd);
  // Those of glibc too, which it does not block: the agent may tell it to leave before its first instruction.
  const std::uint64_t all_signals = ~0ull;
  call(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, nullptr, sizeof all_signals);
  // A stack that begins nowhere by chance is one page, and not two. Where a filter forbids it, it is two.
  call(SYS_personality, ADDR_NO_RANDOMIZE);
  const char* const no_environment[] = {nullptr};
  give_up(main, ChildStage::namespaces,
          call(SYS_execveat, plan->image_fd, "", plan->argv, no_environment, AT_EMPTY_PATH));
}

GITPROC_IN_CHILD void start_init(void* plan) { run_init(static_cast<NamespacePlan*>(plan)); }
GITPROC_IN_CHILD void start_main(void* plan) { run_child(static_cast<ChildPlan*>(plan)); }

// A child of the agent; returns when it has executed its program or is gone.
GITPROC_IN_CHILD void bear(NamespacePlan* plan, pid_t* pid, int cgroup_fd, void (*start)(void*),
                           void* start_plan, ChildStage stage) {
  long result;
  if (plan->main->is_plain) {
    result = clone_onto_stack(CLONE_VM | CLONE_VFORK | CLONE_PARENT | CLONE_PARENT_SETTID, plan->stack,
                              plan->stack_bytes, start, start_plan, pid, nullptr);
  } else {
    // Without an initializer, which the compiler could turn into a call of memset(3).
    clone_args arguments;
    for (std::size_t i = 0; i < sizeof arguments; ++i)
      reinterpret_cast<volatile char*>(&arguments)[i] = 0;
    arguments.flags = CLONE_VM | CLONE_FILES | CLONE_VFORK | CLONE_PARENT | CLONE_PARENT_SETTID;
    arguments.parent_tid = reinterpret_cast<std::uintptr_t>(pid);
    arguments.stack = reinterpret_cast<std::uintptr_t>(plan->stack);
    arguments.stack_size = plan->stack_bytes;
    if (cgroup_fd >= 0) {
      arguments.flags |= CLONE_INTO_CGROUP;
      arguments.cgroup = static_cast<std::uint64_t>(cgroup_fd);
    }
    result = clone3_onto_stack(arguments, start, start_plan);
  }
  if (result < 0) {
    *pid = 0;
    give_up(plan->main, stage, result);
  }
  if (plan->main->stage != ChildStage::none) {
    for (;;)
      call(SYS_exit_group, 0);
  }
}

}  // namespace

GITPROC_IN_CHILD void run_namespace_helper(NamespacePlan* plan) {
  ChildPlan* main = plan->main;
  int user_flag = plan->user_map != nullptr ? CLONE_NEWUSER : 0;
  long result = call(SYS_unshare, CLONE_NEWPID | CLONE_NEWNS | user_flag);
  if (result != 0) give_up(main, ChildStage::namespaces, result);
  if (plan->user_map != nullptr) {
    write_file(main, "/proc/self/setgroups", "deny");
    write_file(main, "/proc/self/uid_map", plan->user_map);
    write_file(main, "/proc/self/gid_map", plan->group_map);
  }
  // What the machine mounts later is seen here; nothing that is mounted here is seen outside.
  result = call(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr);
  if (result != 0) give_up(main, ChildStage::namespaces, result);
  bear(plan, &main->init_pid, plan->init_cgroup_fd, start_init, plan, ChildStage::namespaces);
  bear(plan, &main->main_pid, plan->main_cgroup_fd, start_main, main, ChildStage::process);
  for (;;)
    call(SYS_exit_group, 0);
}

}  // namespace gitproc
