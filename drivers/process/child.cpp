#include "drivers/process/child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <cerrno>

#include "drivers/process/child_calls.h"

namespace gitproc {
namespace {

GITPROC_IN_CHILD char* print_decimal(char* to, std::uint64_t value) {
  char digits[20];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count > 0)
    *to++ = digits[--count];
  return to;
}

// The kernel's own struct sigaction, for rt_sigaction(2).
struct KernelSigaction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  std::uint64_t mask;
};

GITPROC_IN_CHILD void set_disposition(int signal, void (*handler)(int)) {
  KernelSigaction action{handler, 0, nullptr, 0};
  call(SYS_rt_sigaction, signal, &action, nullptr, sizeof action.mask);
}

// The table is shared with the agent until this call unshares it, copying no more than the descriptors below: so a
// spawn's cost does not grow with the agent's descriptors.
GITPROC_IN_CHILD void close_above(ChildPlan* plan, unsigned fd) {
  unsigned flags = plan->is_plain ? 0 : CLOSE_RANGE_UNSHARE;
  // A plain clone has a table of its own, in which everything is close-on-exec.
  long result = call(SYS_close_range, fd + 1, ~0u, flags);
  if (result != 0 && !plan->is_plain) give_up(plan, ChildStage::session, result);
}

// Leaves only the journal's descriptor, and those of streams that the agent has opened, in their places.
GITPROC_IN_CHILD void close_for_main(ChildPlan* plan) {
  bool keeps_output = plan->output.kind == ChildStream::Kind::descriptor;
  bool keeps_error = plan->error.kind == ChildStream::Kind::descriptor;
  if (!keeps_output && !keeps_error) return close_all_but(plan, plan->journal_fd);
  unsigned journal = static_cast<unsigned>(plan->journal_fd);
  unsigned highest = journal;
  if (keeps_output && static_cast<unsigned>(plan->output.descriptor) > highest)
    highest = static_cast<unsigned>(plan->output.descriptor);
  if (keeps_error && static_cast<unsigned>(plan->error.descriptor) > highest)
    highest = static_cast<unsigned>(plan->error.descriptor);
  close_above(plan, highest);
  call(SYS_close, 0);
  // A duplicate is not close-on-exec.
  if (!keeps_output) call(SYS_close, 1);
  long result = keeps_output ? call(SYS_dup3, plan->output.descriptor, 1, 0) : 0;
  if (result < 0) give_up(plan, ChildStage::standard_output, result);
  if (!keeps_error) call(SYS_close, 2);
  result = keeps_error ? call(SYS_dup3, plan->error.descriptor, 2, 0) : 0;
  if (result < 0) give_up(plan, ChildStage::standard_error, result);
  if (highest > journal) call(SYS_close_range, journal + 1, ~0u, 0u);
  if (journal > 3) call(SYS_close_range, 3u, journal - 1, 0u);
}

// Before anything else of the service can happen: so none of its processes is ever outside of its limits.
GITPROC_IN_CHILD void enter_v1_groups(ChildPlan* plan) {
  for (std::size_t i = 0; i < plan->entrance_count; ++i) {
    long result = call(SYS_write, plan->entrances[i], "0", 1);
    if (result < 0) give_up(plan, ChildStage::cgroup, result);
  }
}

// Opens the stream as descriptor `wanted`, which is the lowest that is free. A FIFO must not make the agent wait
// for its other end: it is opened without blocking, and set to blocking afterwards.
GITPROC_IN_CHILD void open_stream(ChildPlan* plan, const ChildStream& stream, int wanted, ChildStage stage) {
  long fd = -1;
  switch (stream.kind) {
    case ChildStream::Kind::null:
      fd = call(SYS_openat, AT_FDCWD, "/dev/null", wanted == 0 ? O_RDONLY : O_WRONLY);
      break;
    case ChildStream::Kind::file:
      fd = call(SYS_openat, AT_FDCWD, stream.path, stream.flags | O_NONBLOCK | O_NOCTTY, stream.mode);
      if (fd >= 0) call(SYS_fcntl, fd, F_SETFL, stream.flags & O_APPEND);
      break;
    case ChildStream::Kind::duplicate: fd = call(SYS_dup, wanted - 1); break;
    case ChildStream::Kind::descriptor: return;  // close_for_main() has put it there
  }
  if (fd < 0) give_up(plan, stage, fd);
}

GITPROC_IN_CHILD void set_limits(ChildPlan* plan) {
  for (std::size_t i = 0; i < plan->limit_count; ++i) {
    const ChildLimit& limit = plan->limits[i];
    rlimit64 wanted{limit.soft, limit.hard};
    long result = call(SYS_prlimit64, 0, limit.resource, &wanted, nullptr);
    if (result == 0) continue;
    // Without privilege the hard limit cannot be raised: as near as can be had, as systemd does.
    rlimit64 present{};
    if (result == -EPERM) result = call(SYS_prlimit64, 0, limit.resource, nullptr, &present);
    if (result != 0) give_up(plan, ChildStage::limits, result);
    if (wanted.rlim_max > present.rlim_max) wanted.rlim_max = present.rlim_max;
    if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
    result = call(SYS_prlimit64, 0, limit.resource, &wanted, nullptr);
    if (result != 0) give_up(plan, ChildStage::limits, result);
  }
}

GITPROC_IN_CHILD void adjust_oom_score(ChildPlan* plan) {
  std::size_t length = 0;
  while (plan->oom_score_adjust[length] != '\0')
    ++length;
  long fd = call(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  long result = fd < 0 ? fd : call(SYS_write, fd, plan->oom_score_adjust, length);
  if (result < 0) give_up(plan, ChildStage::oom_adjust, result);
  call(SYS_close, fd);
}

}  // namespace

int exit_code_of(ChildStage stage) {
  switch (stage) {
    case ChildStage::none:
    case ChildStage::process:
    case ChildStage::journal: return 0;
    case ChildStage::namespaces: return 226;
    case ChildStage::cgroup: return 219;
    case ChildStage::session: return 220;
    case ChildStage::standard_input: return 208;
    case ChildStage::standard_output: return 209;
    case ChildStage::standard_error: return 222;
    case ChildStage::oom_adjust: return 206;
    case ChildStage::nice: return 201;
    case ChildStage::limits: return 205;
    case ChildStage::group: return 216;
    case ChildStage::user: return 217;
    case ChildStage::working_directory: return 200;
    case ChildStage::no_new_privileges: return 227;
    case ChildStage::exec: return 203;
  }
  __builtin_unreachable();
}

GITPROC_IN_CHILD void give_up(ChildPlan* plan, ChildStage stage, long result) {
  plan->stage = stage;
  plan->error_number = static_cast<int>(-result);
  for (;;)
    call(SYS_exit_group, exit_code_of(stage));
}

GITPROC_IN_CHILD void reset_signals(const ChildPlan* plan) {
  static constexpr int last_signal = 64;
  for (int signal = 1; signal <= last_signal; ++signal) {
    // An old kernel has left the agent's handlers in place, which must not run here.
    if (plan->is_plain || (plan->ignored_signals >> (signal - 1) & 1) != 0) set_disposition(signal, SIG_DFL);
  }
}

GITPROC_IN_CHILD void close_all_but(ChildPlan* plan, int fd) {
  unsigned kept = static_cast<unsigned>(fd);
  close_above(plan, kept);
  if (call(SYS_close_range, 0u, kept - 1, 0u) != 0) {
    for (int stream = 0; stream <= 2; ++stream)
      call(SYS_close, stream);
  }
}

GITPROC_IN_CHILD void join_cgroup(ChildPlan* plan, int cgroup_fd) {
  long fd = call(SYS_openat, cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
  long result = fd < 0 ? fd : call(SYS_write, fd, "0", 1);
  if (result < 0) give_up(plan, ChildStage::cgroup, result);
  call(SYS_close, fd);
}

GITPROC_IN_CHILD void write_record(ChildPlan* plan, std::uint64_t pid, std::uint64_t init_pid) {
  if (plan->record_length == 0) return;
  timespec now{};
  call(SYS_clock_gettime, CLOCK_BOOTTIME, &now);
  char* end = print_decimal(plan->record + plan->record_length, pid);
  *end++ = ' ';
  end = print_decimal(end, static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                               static_cast<std::uint64_t>(now.tv_nsec) / 1000);
  *end++ = ' ';
  if (init_pid != 0) {
    end = print_decimal(end, init_pid);
    *end++ = ' ';
  }
  *end++ = '.';
  *end++ = '\n';
  long length = end - plan->record;
  long written = call(SYS_write, plan->journal_fd, plan->record, length);
  if (written != length) give_up(plan, ChildStage::journal, written < 0 ? written : -ENOSPC);
}

GITPROC_IN_CHILD void run_child(ChildPlan* plan) {
  if (plan->cgroup_fd >= 0) join_cgroup(plan, plan->cgroup_fd);
  enter_v1_groups(plan);
  reset_signals(plan);
  set_disposition(SIGPIPE, plan->ignores_sigpipe ? SIG_IGN : SIG_DFL);
  close_for_main(plan);
  long result = call(SYS_setsid);
  if (result < 0) give_up(plan, ChildStage::session, result);

  // From here on the process is on record; whatever fails below leaves a record of a process that is gone.
  std::uint64_t own_pid = static_cast<std::uint64_t>(call(SYS_getpid));
  bool is_in_namespace = plan->init_pid != 0;
  write_record(plan, is_in_namespace ? static_cast<std::uint64_t>(plan->main_pid) : own_pid,
               static_cast<std::uint64_t>(plan->init_pid));
  // What it will compare with its own getpid(2).
  if (plan->watchdog_pid != nullptr) *print_decimal(plan->watchdog_pid, own_pid) = '\0';

  open_stream(plan, plan->input, 0, ChildStage::standard_input);
  open_stream(plan, plan->output, 1, ChildStage::standard_output);
  open_stream(plan, plan->error, 2, ChildStage::standard_error);

  if (plan->has_oom_score_adjust) adjust_oom_score(plan);
  result = plan->has_nice ? call(SYS_setpriority, PRIO_PROCESS, 0, plan->nice) : 0;
  if (result != 0) give_up(plan, ChildStage::nice, result);
  set_limits(plan);
  call(SYS_umask, plan->umask);

  if (plan->changes_identity) {
    result = call(SYS_setgroups, plan->group_count, plan->groups);
    if (result == 0) result = call(SYS_setresgid, plan->gid, plan->gid, plan->gid);
    if (result != 0) give_up(plan, ChildStage::group, result);
    result = call(SYS_setresuid, plan->uid, plan->uid, plan->uid);
    if (result != 0) give_up(plan, ChildStage::user, result);
  }
  // After the change of user: on a network file system only that user may have the right to be there.
  result = call(SYS_chdir, plan->working_directory);
  if (result != 0 && plan->working_directory_is_optional) result = call(SYS_chdir, "/");
  if (result != 0) give_up(plan, ChildStage::working_directory, result);
  result = plan->no_new_privileges ? call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) : 0;
  if (result != 0) give_up(plan, ChildStage::no_new_privileges, result);

  // A change of user would have undone it.
  if (plan->dies_with_agent) call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

  std::uint64_t no_signals = 0;
  call(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, nullptr, sizeof no_signals);
  give_up(plan, ChildStage::exec, call(SYS_execve, plan->path, plan->argv, plan->envp));
}

}  // namespace gitproc
