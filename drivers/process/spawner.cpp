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

#include <algorithm>
#include <cstring>

#include "drivers/base/system_call.h"
#include "drivers/process/child.h"
#include "drivers/process/child_calls.h"
#include "drivers/process/namespace_child.h"
#include "drivers/process/namespace_image.h"
#include "drivers/process/raw_clone.h"

namespace gitproc {
namespace {

constexpr std::size_t stack_bytes = 64 * 1024;
constexpr std::size_t guard_bytes = 64 * 1024;  // the largest page size in use
// Of the child that the agent makes, and of those that a helper makes.
constexpr std::size_t stacks_bytes = 2 * (guard_bytes + stack_bytes);
constexpr timespec execute_deadline = {.tv_sec = 5, .tv_nsec = 0};

GITPROC_IN_CHILD void start_child(void* plan) { run_child(static_cast<ChildPlan*>(plan)); }
GITPROC_IN_CHILD void start_helper(void* plan) { run_namespace_helper(static_cast<NamespacePlan*>(plan)); }

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
  ChildStream stream{ChildStream::Kind::null, target.path.c_str(), target.flags, target.mode,
                     target.descriptor};
  switch (target.kind) {
    case StreamTarget::Kind::null: stream.kind = ChildStream::Kind::null; break;
    case StreamTarget::Kind::journal:  // nobody has connected it
    case StreamTarget::Kind::file: stream.kind = ChildStream::Kind::file; break;
    case StreamTarget::Kind::descriptor: stream.kind = ChildStream::Kind::descriptor; break;
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

// These are about the cgroup that it should have been born in; all others are a lack of resources.
bool is_about_cgroup(const Spawner::Place& place, int error_number) {
  return place.service.fd >= 0 &&
         (error_number == EBUSY || error_number == EACCES || error_number == ENODEV ||
          error_number == EOPNOTSUPP || error_number == EBADF);
}

std::string attempt_of(ChildStage stage, const ExecSpec& spec) {
  auto stream = [](const char* name, const StreamTarget& target) {
    return std::string("cannot open ") + name + (target.path.empty() ? "" : " '" + target.path + "'");
  };
  switch (stage) {
    case ChildStage::none: break;
    case ChildStage::namespaces: return "cannot make a PID namespace";
    case ChildStage::process: return "cannot make a process";
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

// A spawn, with all that its plan points to.
struct Spawner::Prepared {
  ChildPlan plan{};
  ExecSpec spec;
  std::string path;
  std::vector<const char*> argv, envp;
  std::string record;
  std::string watchdog_pid;
  std::string oom_score_adjust;
  std::vector<ChildLimit> limits;
  Place place;
  std::optional<NamespacePlan> name_space;
  std::string user_map, group_map;
  std::vector<const char*> init_argv;
  char* stacks = nullptr;
  Pid pid = 0;
  std::optional<SpawnFault> lateness;  // found by wait()
  // The kernel sets it to 0 and wakes its waiters when the child lets go of this memory, by execve or by exit.
  std::uint32_t is_sharing_memory = 1;

  explicit Prepared(ExecSpec given) : spec(std::move(given)) {}
  void plan_child(const Options& options);
  // Until it has executed its program, or is gone.
  void wait();
};

Spawner::Spawner(Options options)
    : options_(options), is_plain_(options.is_plain), ignored_signals_(signals_ignored_now()) {
  // Where the machine has no such address space left it is not possible to go on.
  stacks_ = static_cast<char*>(::mmap(nullptr, max_underway * stacks_bytes, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0));
  if (stacks_ == MAP_FAILED) std::abort();
  for (std::size_t i = 0; i < 2 * max_underway; ++i)
    ::mprotect(stacks_ + i * (guard_bytes + stack_bytes), guard_bytes, PROT_NONE);
  if (is_plain_) close_inherited_on_exec();
}

Spawner::~Spawner() {
  // They use this memory.
  while (!underway_.empty())
    (void)finish_first();
  ::munmap(stacks_, max_underway * stacks_bytes);
}

// Those that no child is on.
char* Spawner::take_stacks() {
  char* stacks = stacks_;
  auto is_taken = [&](const std::unique_ptr<Prepared>& prepared) { return prepared->stacks == stacks; };
  while (std::ranges::any_of(underway_, is_taken))
    stacks += stacks_bytes;
  return stacks;
}

long Spawner::clone_child(Prepared& prepared) {
  char* stack = prepared.stacks + guard_bytes;
  bool has_helper = prepared.name_space.has_value();
  void (*main)(void*) = has_helper ? start_helper : start_child;
  void* plan = has_helper ? static_cast<void*>(&*prepared.name_space) : &prepared.plan;
  if (!is_plain_) {
    clone_args arguments{};
    arguments.flags = CLONE_VM | CLONE_FILES | CLONE_CLEAR_SIGHAND | CLONE_CHILD_CLEARTID;
    arguments.child_tid = reinterpret_cast<std::uintptr_t>(&prepared.is_sharing_memory);
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<std::uintptr_t>(stack);
    arguments.stack_size = stack_bytes;
    prepared.plan.cgroup_fd = prepared.place.service.fd_to_join();
    int born_in = prepared.place.service.fd_to_be_born_in();
    if (has_helper) {
      // The helper stays outside: it is none of the service's tasks.
      prepared.name_space->main_cgroup_fd = born_in;
      prepared.name_space->init_cgroup_fd = prepared.place.init.fd_to_be_born_in();
      prepared.name_space->init_joined_cgroup_fd = prepared.place.init.fd_to_join();
    } else if (born_in >= 0) {
      arguments.flags |= CLONE_INTO_CGROUP;
      arguments.cgroup = static_cast<std::uint64_t>(born_in);
    }
    long result = clone3_onto_stack(arguments, main, plan);
    if (result > 0 || !lacks_clone3(-result)) return result;
    is_plain_ = true;
    close_inherited_on_exec();
  }
  prepared.plan.is_plain = true;
  prepared.plan.cgroup_fd = prepared.place.service.fd;
  if (has_helper) prepared.name_space->init_joined_cgroup_fd = prepared.place.init.fd;
  return clone_onto_stack(CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, stack, stack_bytes, main, plan, nullptr,
                          &prepared.is_sharing_memory);
}

void Spawner::Prepared::wait() {
  while (!lateness && __atomic_load_n(&is_sharing_memory, __ATOMIC_ACQUIRE) != 0) {
    long result = ::syscall(SYS_futex, &is_sharing_memory, FUTEX_WAIT, 1, &execute_deadline, nullptr, 0);
    if (result == 0 || errno == EAGAIN || errno == EINTR) continue;
    // Stopped by somebody, or held up by a file system that does not answer.
    ::kill(pid, SIGKILL);
    retry_on_interrupt([&] { return ::waitpid(pid, nullptr, __WALL); });
    end_namespace(plan);
    lateness =
        SpawnFault{.exit_code = 0, .message = "the process did not get to execute its program in time"};
  }
}

std::optional<SpawnFault> Spawner::plan_namespace(Prepared& prepared) {
  if (!image_) {
    Result<UniqueFd> image = open_namespace_image();
    if (!image)
      return SpawnFault{.exit_code = exit_code_of(ChildStage::namespaces),
                        .message = image.error().message,
                        .lacks_namespace = true};
    image_ = std::move(*image);
  }
  prepared.init_argv = {"gitproc-init", prepared.spec.service.c_str(), nullptr};
  NamespacePlan& plan = prepared.name_space.emplace();
  plan = {.main = &prepared.plan,
          .user_map = nullptr,
          .group_map = nullptr,
          .image_fd = image_.get(),
          .argv = prepared.init_argv.data(),
          .main_cgroup_fd = -1,
          .init_cgroup_fd = -1,
          .init_joined_cgroup_fd = -1,
          .stack = prepared.stacks + 2 * guard_bytes + stack_bytes,
          .stack_bytes = stack_bytes};
  // Without root the right to make them comes from a user namespace, in which everybody is who he was.
  if (::geteuid() == 0) return std::nullopt;
  auto map_of = [](unsigned id) { return std::to_string(id) + " " + std::to_string(id) + " 1"; };
  prepared.user_map = map_of(::geteuid());
  prepared.group_map = map_of(::getegid());
  plan.user_map = prepared.user_map.c_str();
  plan.group_map = prepared.group_map.c_str();
  return std::nullopt;
}

// What was made of a namespace goes when its init does.
void Spawner::end_namespace(const ChildPlan& plan) {
  if (plan.init_pid == 0) return;
  ::kill(plan.init_pid, SIGKILL);
  for (pid_t pid : {plan.main_pid, plan.init_pid}) {
    if (pid != 0) retry_on_interrupt([&] { return ::waitpid(pid, nullptr, __WALL); });
  }
}

// All of the plan but what comes from elsewhere than the ExecSpec.
void Spawner::Prepared::plan_child(const Options& options) {
  argv.reserve(spec.argv.size() + 1);
  for (const std::string& argument : spec.argv)
    argv.push_back(argument.c_str());
  argv.push_back(nullptr);
  envp.reserve(spec.envp.size() + 1);
  for (const std::string& variable : spec.envp) {
    if (variable == watchdog_pid_variable) {
      watchdog_pid = variable + std::string(max_pid_digits + 1, '\0');
      plan.watchdog_pid = watchdog_pid.data() + variable.size();
      envp.push_back(watchdog_pid.c_str());
    } else {
      envp.push_back(variable.c_str());
    }
  }
  envp.push_back(nullptr);

  bool sets_nofile = false;
  limits.reserve(spec.limits.size() + 1);
  for (const ResourceLimit& limit : spec.limits) {
    limits.push_back({resource_of(limit.kind), limit.soft, limit.hard});
    sets_nofile |= limit.kind == ResourceKind::nofile;
  }
  if (!sets_nofile) limits.push_back({RLIMIT_NOFILE, options.nofile_soft, options.nofile_hard});

  plan.path = path.c_str();
  plan.argv = argv.data();
  plan.envp = envp.data();
  plan.input = stream_of(spec.input);
  plan.output = stream_of(spec.output);
  plan.error = stream_of(spec.error);
  plan.limits = limits.data();
  plan.limit_count = limits.size();
  plan.ignores_sigpipe = spec.ignores_sigpipe;
  if (spec.nice) {
    plan.has_nice = true;
    plan.nice = *spec.nice;
  }
  if (spec.oom_score_adjust) {
    plan.has_oom_score_adjust = true;
    oom_score_adjust = std::to_string(*spec.oom_score_adjust);
    plan.oom_score_adjust = oom_score_adjust.c_str();
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
  plan.dies_with_agent = spec.dies_with_agent;
}

std::optional<SpawnFault> Spawner::begin(ExecSpec spec, int journal_fd, std::string_view spawn_line,
                                         Place place) {
  Result<std::string> executable = find_executable(spec.path);
  if (!executable) return SpawnFault{exit_code_of(ChildStage::exec), executable.error().message};
  auto prepared = std::make_unique<Prepared>(std::move(spec));
  prepared->path = std::move(*executable);
  prepared->place = std::move(place);
  prepared->record.reserve(spawn_line.size() + max_record_tail_bytes);
  prepared->record = spawn_line;
  prepared->record.resize(spawn_line.size() + max_record_tail_bytes);
  prepared->stacks = take_stacks();

  ChildPlan& plan = prepared->plan;
  prepared->plan_child(options_);
  plan.entrances = prepared->place.entrances.data();
  plan.entrance_count = prepared->place.entrances.size();
  plan.journal_fd = journal_fd;
  plan.record = prepared->record.data();
  plan.record_length = spawn_line.size();
  plan.ignored_signals = ignored_signals_;
  if (prepared->spec.has_pid_namespace) {
    if (std::optional<SpawnFault> fault = plan_namespace(*prepared)) return fault;
  }

  // No handler of the agent may run on the child's stack, nor a signal end it between clone and execve.
  sigset_t all_signals, former_signals;
  ::sigfillset(&all_signals);
  ::pthread_sigmask(SIG_SETMASK, &all_signals, &former_signals);
  long result = clone_child(*prepared);
  ::pthread_sigmask(SIG_SETMASK, &former_signals, nullptr);
  if (result < 0) {
    int error_number = static_cast<int>(-result);
    return SpawnFault{
        .exit_code = is_about_cgroup(prepared->place, error_number) ? exit_code_of(ChildStage::cgroup) : 0,
        .message = system_error("cannot make a process", error_number).message};
  }
  prepared->pid = static_cast<Pid>(result);
  // What it calls of glibc has the `errno` of this thread.
  if (is_plain_) prepared->wait();
  underway_.push_back(std::move(prepared));
  return std::nullopt;
}

Spawner::Outcome Spawner::finish_first() {
  std::unique_ptr<Prepared> prepared = std::move(underway_.front());
  underway_.pop_front();
  const ChildPlan& plan = prepared->plan;
  prepared->wait();
  if (prepared->lateness) return std::unexpected(*std::move(prepared->lateness));
  if (prepared->name_space || plan.stage != ChildStage::none)
    retry_on_interrupt([&] { return ::waitpid(prepared->pid, nullptr, __WALL); });
  if (plan.stage != ChildStage::none) {
    end_namespace(plan);
    ChildStage stage =
        plan.stage == ChildStage::process && is_about_cgroup(prepared->place, plan.error_number)
            ? ChildStage::cgroup
            : plan.stage;
    return std::unexpected(
        SpawnFault{.exit_code = exit_code_of(stage),
                   .message = system_error(attempt_of(plan.stage, prepared->spec), plan.error_number).message,
                   .lacks_namespace = stage == ChildStage::namespaces,
                   .error_number = plan.error_number});
  }
  if (prepared->name_space) return Processes{.main = plan.main_pid, .init = plan.init_pid};
  return Processes{.main = prepared->pid};
}

Spawner::Outcome Spawner::spawn(ExecSpec spec, int journal_fd, std::string_view spawn_line, Place place) {
  if (std::optional<SpawnFault> fault = begin(std::move(spec), journal_fd, spawn_line, std::move(place)))
    return std::unexpected(*std::move(fault));
  return finish_first();
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
