#include "drivers/process/spawner.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <deque>

#include "drivers/base/system_call.h"
#include "drivers/process/child.h"

namespace gitproc {
namespace {

constexpr std::size_t stack_bytes = 64 * 1024;
constexpr std::size_t guard_bytes = 64 * 1024;  // the largest page size in use
constexpr timespec execute_deadline = {.tv_sec = 5, .tv_nsec = 0};

int run_child_plainly(void* plan) { run_child(static_cast<ChildPlan*>(plan)); }

// clone3(2) with a new stack: the child must not return from the function that made the call.
long clone3_onto_stack([[maybe_unused]] clone_args& arguments, [[maybe_unused]] ChildPlan* plan) {
#if defined(__x86_64__)
  // Registers of their own: the child clears %rbp, the end of all frames, before it uses them.
  register ChildPlan* child_plan asm("r12") = plan;
  register void (*child_main)(ChildPlan*) asm("r13") = &run_child;
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
      : "r"(number), "r"(size), [plan] "r"(plan), [run] "r"(&run_child)
      : "memory", "cc");
  return result;
#else
  return -ENOSYS;
#endif
}

int resource_of(ResourceKind kind) {
  switch (kind) {
    case ResourceKind::cpu: return RLIMIT_CPU;
    case ResourceKind::fsize: return RLIMIT_FSIZE;
    case ResourceKind::data: return RLIMIT_DATA;
    case ResourceKind::stack: return RLIMIT_STACK;
    case ResourceKind::core: return RLIMIT_CORE;
    case ResourceKind::rss: return RLIMIT_RSS;
    case ResourceKind::nofile: return RLIMIT_NOFILE;
    case ResourceKind::as: return RLIMIT_AS;
    case ResourceKind::nproc: return RLIMIT_NPROC;
    case ResourceKind::memlock: return RLIMIT_MEMLOCK;
    case ResourceKind::locks: return RLIMIT_LOCKS;
    case ResourceKind::sigpending: return RLIMIT_SIGPENDING;
    case ResourceKind::msgqueue: return RLIMIT_MSGQUEUE;
    case ResourceKind::nice: return RLIMIT_NICE;
    case ResourceKind::rtprio: return RLIMIT_RTPRIO;
    case ResourceKind::rttime: return RLIMIT_RTTIME;
  }
  __builtin_unreachable();
}

ChildStream stream_of(const StreamTarget& target) {
  ChildStream stream{ChildStream::Kind::null, target.path.c_str(), target.flags, target.mode};
  switch (target.kind) {
    case StreamTarget::Kind::null: stream.kind = ChildStream::Kind::null; break;
    case StreamTarget::Kind::file: stream.kind = ChildStream::Kind::file; break;
    case StreamTarget::Kind::duplicate: stream.kind = ChildStream::Kind::duplicate; break;
  }
  return stream;
}

std::uint64_t signals_ignored_now() {
  std::uint64_t ignored = 0;
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action{};
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN)
      ignored |= 1ull << (signal - 1);
  }
  return ignored;
}

// A plain clone has no close_range(2) to rely on: what the agent itself inherited must go by itself.
void close_inherited_on_exec() {
  for (int fd = 3; fd < 1024; ++fd)
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

bool lacks_clone3(long error_number) {
  // EPERM is what some containers' seccomp filters say for a call that they do not know.
  return error_number == ENOSYS || error_number == EINVAL || error_number == E2BIG || error_number == EPERM;
}

std::string attempt_of(ChildStage stage, const ExecSpec& spec) {
  auto stream = [](const char* name, const StreamTarget& target) {
    return std::string("cannot open ") + name + (target.path.empty() ? "" : " '" + target.path + "'");
  };
  switch (stage) {
    case ChildStage::none: break;
    case ChildStage::cgroup: return "cannot join the cgroup";
    case ChildStage::session: return "cannot start a session";
    case ChildStage::journal: return "cannot write the run journal";
    case ChildStage::standard_input: return stream("standard input", spec.input);
    case ChildStage::standard_output: return stream("standard output", spec.output);
    case ChildStage::standard_error: return stream("standard error", spec.error);
    case ChildStage::oom_adjust: return "cannot set OOMScoreAdjust=";
    case ChildStage::nice: return "cannot set Nice=";
    case ChildStage::limits: return "cannot set resource limits";
    case ChildStage::group: return "cannot change to the group of '" + spec.account->name + "'";
    case ChildStage::user: return "cannot change to user '" + spec.account->name + "'";
    case ChildStage::working_directory: return "cannot change to directory '" + spec.working_directory + "'";
    case ChildStage::no_new_privileges: return "cannot set NoNewPrivileges=";
    case ChildStage::exec: return "cannot execute '" + spec.path + "'";
  }
  return "cannot start '" + spec.path + "'";
}

}  // namespace

// What the plan points to, besides the ExecSpec.
struct Spawner::Prepared {
  ChildPlan plan{};
  std::string path;
  std::vector<const char*> argv, envp;
  std::string record;
  std::string watchdog_pid;
  std::string oom_score_adjust;
  std::vector<ChildLimit> limits;
  Cgroup cgroup;
  // The kernel sets it to 0 and wakes its waiters when the child lets go of this memory, by execve or by exit.
  std::uint32_t is_sharing_memory = 1;
};

Spawner::Spawner(Options options)
    : options_(options), is_plain_(options.is_plain), ignored_signals_(signals_ignored_now()) {
  // Where the machine has no 128 KiB left it is not possible to go on.
  stack_ = ::mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack_ == MAP_FAILED) std::abort();
  ::mprotect(stack_, guard_bytes, PROT_NONE);
  if (is_plain_) close_inherited_on_exec();
}

Spawner::~Spawner() { ::munmap(stack_, guard_bytes + stack_bytes); }

long Spawner::clone_child(Prepared& prepared) {
  char* stack = static_cast<char*>(stack_) + guard_bytes;
  if (!is_plain_) {
    clone_args arguments{};
    arguments.flags = CLONE_VM | CLONE_FILES | CLONE_CLEAR_SIGHAND | CLONE_CHILD_CLEARTID;
    arguments.child_tid = reinterpret_cast<std::uintptr_t>(&prepared.is_sharing_memory);
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<std::uintptr_t>(stack);
    arguments.stack_size = stack_bytes;
    prepared.plan.cgroup_fd = prepared.cgroup.joins_after_birth ? prepared.cgroup.fd : -1;
    if (prepared.cgroup.fd >= 0 && !prepared.cgroup.joins_after_birth) {
      arguments.flags |= CLONE_INTO_CGROUP;
      arguments.cgroup = static_cast<std::uint64_t>(prepared.cgroup.fd);
    }
    long result = clone3_onto_stack(arguments, &prepared.plan);
    if (result > 0 || !lacks_clone3(-result)) return result;
    is_plain_ = true;
    close_inherited_on_exec();
  }
  prepared.plan.is_plain = true;
  prepared.plan.cgroup_fd = prepared.cgroup.fd;
  int pid = ::clone(run_child_plainly, stack + stack_bytes, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD,
                    &prepared.plan, nullptr, nullptr, &prepared.is_sharing_memory);
  return pid < 0 ? -errno : pid;
}

std::optional<SpawnFault> Spawner::wait_until_executed(Prepared& prepared, Pid pid) {
  for (;;) {
    if (__atomic_load_n(&prepared.is_sharing_memory, __ATOMIC_ACQUIRE) == 0) return std::nullopt;
    long result =
        ::syscall(SYS_futex, &prepared.is_sharing_memory, FUTEX_WAIT, 1, &execute_deadline, nullptr, 0);
    if (result == 0 || errno == EAGAIN || errno == EINTR) continue;
    // Stopped by somebody, or held up by a file system that does not answer.
    ::kill(pid, SIGKILL);
    retry_on_interrupt([&] { return ::waitpid(pid, nullptr, __WALL); });
    return SpawnFault{.exit_code = 0, .message = "the process did not get to execute its program in time"};
  }
}

std::expected<Pid, SpawnFault> Spawner::spawn(const ExecSpec& spec, int journal_fd,
                                              const std::string& spawn_line, Cgroup cgroup) {
  Prepared prepared;
  Result<std::string> executable = find_executable(spec.path);
  if (!executable)
    return std::unexpected(SpawnFault{exit_code_of(ChildStage::exec), executable.error().message});
  prepared.path = std::move(*executable);
  prepared.cgroup = std::move(cgroup);
  prepared.record.reserve(spawn_line.size() + max_record_tail_bytes);
  prepared.record = spawn_line;
  prepared.record.resize(spawn_line.size() + max_record_tail_bytes);

  ChildPlan& plan = prepared.plan;
  prepared.argv.reserve(spec.argv.size() + 1);
  for (const std::string& argument : spec.argv)
    prepared.argv.push_back(argument.c_str());
  prepared.argv.push_back(nullptr);
  prepared.envp.reserve(spec.envp.size() + 1);
  for (const std::string& variable : spec.envp) {
    if (variable == watchdog_pid_variable) {
      prepared.watchdog_pid = variable + std::string(max_pid_digits + 1, '\0');
      plan.watchdog_pid = prepared.watchdog_pid.data() + variable.size();
      prepared.envp.push_back(prepared.watchdog_pid.c_str());
    } else {
      prepared.envp.push_back(variable.c_str());
    }
  }
  prepared.envp.push_back(nullptr);

  bool sets_nofile = false;
  prepared.limits.reserve(spec.limits.size() + 1);
  for (const ResourceLimit& limit : spec.limits) {
    prepared.limits.push_back({resource_of(limit.kind), limit.soft, limit.hard});
    sets_nofile |= limit.kind == ResourceKind::nofile;
  }
  if (!sets_nofile) prepared.limits.push_back({RLIMIT_NOFILE, options_.nofile_soft, options_.nofile_hard});

  plan.path = prepared.path.c_str();
  plan.argv = prepared.argv.data();
  plan.envp = prepared.envp.data();
  plan.entrances = prepared.cgroup.entrances.data();
  plan.entrance_count = prepared.cgroup.entrances.size();
  plan.journal_fd = journal_fd;
  plan.record = prepared.record.data();
  plan.record_length = spawn_line.size();
  plan.input = stream_of(spec.input);
  plan.output = stream_of(spec.output);
  plan.error = stream_of(spec.error);
  plan.limits = prepared.limits.data();
  plan.limit_count = prepared.limits.size();
  plan.ignored_signals = ignored_signals_;
  plan.ignores_sigpipe = spec.ignores_sigpipe;
  if (spec.nice) {
    plan.has_nice = true;
    plan.nice = *spec.nice;
  }
  if (spec.oom_score_adjust) {
    plan.has_oom_score_adjust = true;
    prepared.oom_score_adjust = std::to_string(*spec.oom_score_adjust);
    plan.oom_score_adjust = prepared.oom_score_adjust.c_str();
  }
  plan.umask = spec.umask;
  if (spec.account) {
    plan.changes_identity = true;
    plan.uid = spec.account->uid;
    plan.gid = spec.account->gid;
    plan.groups = spec.account->groups.data();
    plan.group_count = spec.account->groups.size();
  }
  plan.working_directory = spec.working_directory.c_str();
  plan.working_directory_is_optional = spec.working_directory_is_optional;
  plan.no_new_privileges = spec.no_new_privileges;

  // No handler of the agent may run on the child's stack, nor a signal end it between clone and execve.
  sigset_t all_signals, former_signals;
  ::sigfillset(&all_signals);
  ::pthread_sigmask(SIG_SETMASK, &all_signals, &former_signals);
  long result = clone_child(prepared);
  std::optional<SpawnFault> fault;
  if (result > 0) fault = wait_until_executed(prepared, static_cast<Pid>(result));
  ::pthread_sigmask(SIG_SETMASK, &former_signals, nullptr);

  if (result < 0) {
    int error_number = static_cast<int>(-result);
    // These are about the cgroup that it should have been born in; all others are a lack of resources.
    bool is_cgroup = prepared.cgroup.fd >= 0 &&
                     (error_number == EBUSY || error_number == EACCES || error_number == ENODEV ||
                      error_number == EOPNOTSUPP || error_number == EBADF);
    return std::unexpected(
        SpawnFault{.exit_code = is_cgroup ? exit_code_of(ChildStage::cgroup) : 0,
                   .message = system_error("cannot make a process", error_number).message});
  }
  Pid pid = static_cast<Pid>(result);
  if (fault) return std::unexpected(std::move(*fault));
  if (plan.stage != ChildStage::none) {
    retry_on_interrupt([&] { return ::waitpid(pid, nullptr, __WALL); });
    return std::unexpected(
        SpawnFault{.exit_code = exit_code_of(plan.stage),
                   .message = system_error(attempt_of(plan.stage, spec), plan.error_number).message});
  }
  return pid;
}

Result<std::string> find_executable(const std::string& path) {
  if (path.starts_with('/')) return path;
  int error_number = ENOENT;
  for (const char* directory : executable_search_path) {
    std::string candidate = directory + path;
    struct stat status;
    if (::stat(candidate.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    error_number = errno;
  }
  return fail_with_errno("cannot execute '" + path + "'", error_number);
}

}  // namespace gitproc
