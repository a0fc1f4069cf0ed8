#include "drivers/process/linux_process_driver.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "drivers/base/clock.h"
#include "drivers/base/system_call.h"
#include "drivers/process/conditions.h"
#include "drivers/process/environment_files.h"
#include "drivers/process/journal_stream.h"
#include "drivers/process/managed_directories.h"
#include "drivers/process/pidfd.h"
#include "drivers/process/proc_files.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::size_t exits_at_once = 512;
constexpr std::size_t notifications_at_once = 512;
// Processes that fork while they are signalled: each round signals those that the one before has missed.
constexpr int max_kill_rounds = 32;
// By then most services that are told to end have ended.
constexpr Duration late_signal_delay = std::chrono::milliseconds(100);
constexpr Duration oom_look_delay = std::chrono::milliseconds(100);
// Whoever is in the middle of execve(2) hardly is any more after the first of these. For 5 s at most: there are
// processes that hide their environment.
constexpr Duration orphan_look_delay = std::chrono::milliseconds(40);
constexpr int max_orphan_looks = 125;
constexpr std::size_t max_pid_file_bytes = 64;
constexpr int cgroup_exit_code = 219;

// The descriptors that the agent may have, raised; returns what services are to get.
Spawner::Options raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  Spawner::Options options{.nofile_soft = limit.rlim_cur, .nofile_hard = limit.rlim_max};
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);  // may not be allowed: then it stays as it is
  return options;
}

// Without privilege even the calls that change nothing are refused.
void drop_needless_account(const ExecContext& exec, ExecSpec& spec) {
  bool is_already = spec.account && ::geteuid() != 0 && spec.account->uid == ::geteuid() &&
                    spec.account->gid == ::getegid();
  if (is_already && exec.supplementary_groups.empty()) spec.account.reset();
}

std::string directory_of(const std::string& path) {
  std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::unique_ptr<LinuxProcessDriver>> LinuxProcessDriver::open(Options options) {
  Result<RunJournal> journal = RunJournal::open(options.run_directory + "/runs.journal", options.boot_id);
  if (!journal) return std::unexpected(journal.error());
  options.facts.notify_socket = options.run_directory + "/notify";
  Result<NotifySocket> notify = NotifySocket::open(options.facts.notify_socket);
  if (!notify) return std::unexpected(notify.error());
  return std::unique_ptr<LinuxProcessDriver>(new LinuxProcessDriver(
      std::move(options), std::move(*journal), std::move(*notify), raise_descriptor_limit()));
}

LinuxProcessDriver::LinuxProcessDriver(Options options, RunJournal journal, NotifySocket notify,
                                       Spawner::Options spawner)
    : facts_(std::move(options.facts)),
      cgroups_(std::move(options.cgroups)),
      refuses_unenforceable_(options.refuses_unenforceable),
      on_other_exit_(std::move(options.on_other_exit)),
      journal_(std::move(journal)),
      notify_(std::move(notify)),
      spawner_(spawner),
      membership_(cgroups_ ? &*cgroups_ : nullptr),
      late_signals_(late_signal_delay),
      orphan_looks_(orphan_look_delay),
      oom_looks_(oom_look_delay),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (cgroups_) limits_.emplace(*cgroups_, options.v1_mounts, options.cgroup_parent);
  for (int source :
       {exits_.fd(), watches_.fd(), limit_watches_.fd(), notify_.fd(), probes_.fd(), late_signals_.fd(),
        orphan_looks_.fd(), oom_looks_.fd(), limits_ ? limits_->oom_notice_fd() : -1, wake_.get()}) {
    if (source < 0) continue;

    epoll_event event{.events = EPOLLIN, .data = {.fd = source}};
    // A machine that has no few descriptors left at the start of the agent has none for services.
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, source, &event) != 0) std::abort();
  }
}

LinuxProcessDriver::~LinuxProcessDriver() {
  if (cgroups_) cgroups_->remove_inits();
}

// --- starting ---

void LinuxProcessDriver::begin(ServiceId service, const std::string& name, const InvocationId& invocation,
                               bool is_adopted) {
  bool is_known = membership_.has_begun(service);
  membership_.begin(service, name, invocation, is_adopted);
  if (is_known || !is_adopted) return;
  Service& state = state_of(service);
  state.is_adopted = true;
  if (cgroups_) state.oom_kills = count_oom_kills(name);
}

LinuxProcessDriver::Service* LinuxProcessDriver::find(ServiceId service) {
  auto found = services_.find(index_of(service));
  return found != services_.end() ? &found->second : nullptr;
}

void LinuxProcessDriver::drop_if_plain(ServiceId service) {
  auto found = services_.find(index_of(service));
  if (found != services_.end() && found->second.is_plain()) services_.erase(found);
}

void LinuxProcessDriver::adopt(ServiceId service, const AdoptedService& adopted) {
  begin(service, adopted.name, adopted.invocation, true);
  for (const std::optional<AdoptedProcess>* process : {&adopted.main, &adopted.control}) {
    if (*process && (*process)->is_alive) track(service, (*process)->pid);
  }
  // One that ended meanwhile is known to nobody any more.
  if (!adopted.init || !adopted.init->is_alive || !exits_.watch(adopted.init->pid)) return;
  Pid main = adopted.main ? adopted.main->pid : 0;
  add_init(service, adopted.init->pid, main);
  if (!adopted.main || !adopted.main->is_alive) let_go_of_init(main);
}

void LinuxProcessDriver::track(ServiceId service, Pid pid) {
  if (!membership_.add(service, pid)) return;
  if (ExitWatcher::is_child(pid) || exits_.watch(pid)) return;
  // It ended before anybody could look.
  membership_.remove(pid);
  post(ProcessExited{
      .service = service, .pid = pid, .status = {.kind = ExitStatus::Kind::unknown, .value = 0}});
}

void LinuxProcessDriver::spawn(const Spawn& command) {
  send_signals();
  if (!command.unit->pid_file.empty()) with_pid_file_[command.service] = command.unit;
  begin_spawn(command, true);
}

void LinuxProcessDriver::begin_spawn(const Spawn& command, bool may_have_namespace) {
  if (std::optional<SpawnFault> fault = try_spawn(command, may_have_namespace))
    end_spawn(command, may_have_namespace, std::unexpected(*std::move(fault)));
}

void LinuxProcessDriver::end_spawn(const Spawn& command, bool may_have_namespace,
                                   const Spawner::Outcome& outcome) {
  if (!outcome) {
    if (may_have_namespace && forgoes_namespace(outcome.error())) return begin_spawn(command, false);
    spawned_.emplace_back(SpawnFailed{.service = command.service,
                                      .spawn = command.spawn,
                                      .exit_code = outcome.error().exit_code,
                                      .message = outcome.error().message});
    return;
  }
  membership_.add_leader(command.service, outcome->main);
  if (outcome->init != 0) add_init(command.service, outcome->init, outcome->main);
  spawned_.emplace_back(Spawned{.service = command.service, .spawn = command.spawn, .pid = outcome->main});
}

void LinuxProcessDriver::settle_first_spawn() {
  Spawner::Outcome outcome = spawner_.finish_first();
  SpawnUnderway first = std::move(underway_.front());
  underway_.pop_front();
  end_spawn(first.command, first.may_have_namespace, outcome);
}

void LinuxProcessDriver::settle_spawns() {
  while (!underway_.empty())
    settle_first_spawn();
}

void LinuxProcessDriver::settle() {
  send_signals();
  settle_spawns();
}

std::vector<SpawnOutcome> LinuxProcessDriver::take_spawned() {
  settle();
  return std::exchange(spawned_, {});
}

// A journal that cannot be compacted goes on growing; a full disk is noticed by the child that writes to it.
void LinuxProcessDriver::compact_journal_if_large() {
  if (!journal_.is_large()) return;
  settle_spawns();
  (void)journal_.compact();
}

std::expected<LinuxProcessDriver::Surroundings, SpawnFault> LinuxProcessDriver::look_up_surroundings(
    const ExecContext& exec) {
  Surroundings found;
  if (Accounts::is_needed(exec)) {
    std::expected<Account, SpawnFault> resolved = accounts_.resolve(exec, read_clocks().instant);
    if (!resolved) return std::unexpected(resolved.error());
    found.account = std::move(*resolved);
  }
  if (!exec.environment_files.empty()) {
    Result<std::vector<EnvironmentVariable>> read = read_environment_files(exec.environment_files);
    if (!read) return std::unexpected(SpawnFault{.exit_code = 0, .message = read.error().message});
    found.file_environment = std::move(*read);
  }
  return found;
}

// The connections, which have to stay open until the process has them. A stream that journald does not take stays
// as it is, which is the log.
std::vector<UniqueFd> LinuxProcessDriver::connect_journal(const Unit& unit, ExecSpec& spec) const {
  std::vector<UniqueFd> connections;
  for (StreamTarget* target : {&spec.output, &spec.error}) {
    if (target->kind != StreamTarget::Kind::journal) continue;
    std::string program = spec.path.substr(spec.path.rfind('/') + 1);
    Result<UniqueFd> stream =
        open_journal_stream(facts_.journal_socket, {.identifier = program, .unit = unit.name + ".service"});
    if (!stream) continue;
    *target = {.kind = StreamTarget::Kind::descriptor, .descriptor = stream->get()};
    connections.push_back(*std::move(stream));
  }
  return connections;
}

std::optional<SpawnFault> LinuxProcessDriver::try_spawn(const Spawn& command, bool may_have_namespace) {
  const Unit& unit = *command.unit;
  const ExecContext& exec = *unit.exec;
  begin(command.service, unit.name, command.invocation, false);
  compact_journal_if_large();

  std::expected<Surroundings, SpawnFault> found = look_up_surroundings(exec);
  if (!found) return found.error();
  if (std::optional<SpawnFault> fault = make_managed_directories(exec, facts_, found->account)) return fault;

  ExecSpec spec = make_exec_spec(command, facts_, found->account, found->file_environment);
  drop_needless_account(exec, spec);
  if (!may_have_namespace || !can_have_namespace()) spec.has_pid_namespace = false;
  std::vector<UniqueFd> connections = connect_journal(unit, spec);
  std::expected<Place, SpawnFault> place = make_place(command, found->account);
  if (!place) return place.error();
  if (spec.has_pid_namespace && cgroups_) {
    Result<CgroupTree::Entrance> inits = cgroups_->enter_inits();
    if (!inits) return SpawnFault{cgroup_exit_code, inits.error().message};
    place->inits = std::move(*inits);
  }
  while (spawner_.underway() == Spawner::max_underway)
    settle_first_spawn();
  std::optional<SpawnFault> fault =
      spawner_.begin(std::move(spec), journal_.fd(), journal_.spawn_line(command), place->for_spawn());
  if (!fault) underway_.push_back({command, may_have_namespace, *std::move(place), std::move(connections)});
  return fault;
}

std::expected<Pid, SpawnFault> LinuxProcessDriver::try_probe(const StartProbe& command, int output) {
  const ExecContext& exec = *command.unit->exec;
  std::expected<Surroundings, SpawnFault> found = look_up_surroundings(exec);
  if (!found) return std::unexpected(found.error());
  ExecSpec spec = make_probe_spec(command, facts_, found->account, found->file_environment, output);
  drop_needless_account(exec, spec);
  // It is run beside the main process, as a reload is.
  Spawn beside{.service = command.service,
               .unit = command.unit,
               .phase = ExecPhase::reload,
               .main_pid = command.main_pid};
  std::expected<Place, SpawnFault> place = make_place(beside, found->account);
  if (!place) return std::unexpected(place.error());
  // Not put on record: an agent that adopts the service has no use for it, and it dies with this one.
  Spawner::Outcome spawned = spawner_.spawn(std::move(spec), journal_.fd(), "", place->for_spawn());
  if (!spawned) return std::unexpected(spawned.error());
  return spawned->main;
}

void LinuxProcessDriver::start_probe(const StartProbe& command) {
  settle();
  probes_.cancel(command.service);
  auto fail_probe = [&](std::string why) {
    post(ProbeFinished{.service = command.service, .is_healthy = false, .detail = std::move(why)});
  };
  if (!membership_.has_begun(command.service)) return fail_probe("the service has no process");
  if (probes_.is_busy(command.service))
    return fail_probe("commands of earlier probes were killed and have not ended");
  Result<ExecProbes::Pipe> pipe = ExecProbes::make_pipe();
  if (!pipe) return fail_probe(pipe.error().message);
  // Its number must not be one of a standard stream's, which the agent may have been started without.
  UniqueFd output(::fcntl(pipe->writer.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  std::expected<Pid, SpawnFault> pid = try_probe(command, output.get());
  if (!pid) return fail_probe(pid.error().message);
  membership_.add(command.service, *pid);
  probes_.begin(command.service, *pid, command.unit->health->timeout, std::move(pipe->reader),
                read_clocks().instant);
}

Result<void> LinuxProcessDriver::record(const RunRecord& record) {
  // What is told after a spawn stands behind its line.
  auto is_of_service = [&](const SpawnUnderway& spawn) { return spawn.command.service == record.service; };
  if (std::ranges::any_of(underway_, is_of_service)) settle_spawns();
  if (record.main_pid != 0 && membership_.has_begun(record.service)) track(record.service, record.main_pid);
  Result<void> written = journal_.append(record, read_clocks().instant);
  compact_journal_if_large();
  return written;
}

ConditionsChecked LinuxProcessDriver::check_conditions(const CheckConditions& command) {
  return check_unit_conditions(command.service, *command.unit);
}

PreflightChecked LinuxProcessDriver::preflight(const Preflight& command) {
  return {.service = command.service,
          .fingerprint = command.unit->fingerprint,
          .error = find_missing(*command.unit, facts_, accounts_, read_clocks().instant)};
}

// --- signalling ---

void LinuxProcessDriver::signal_process(ServiceId service, Pid pid, const Kill& command) {
  auto send_all = [&](auto send) {
    if (!send(command.signal)) return;
    if (command.sends_sighup) send(SIGHUP);
    if (command.signal != SIGKILL && command.signal != SIGCONT) send(SIGCONT);
  };
  if (exits_.is_watched(pid)) return send_all([&](int signal) { return exits_.signal_watched(pid, signal); });
  if (ExitWatcher::is_child(pid)) return send_all([&](int signal) { return ::kill(pid, signal) == 0; });
  // Whose it is must be asked after it is held: only then the number cannot become another process's.
  UniqueFd pidfd = open_pidfd(pid);
  if (!pidfd || membership_.service_of(pid) != service) return;
  send_all([&](int signal) { return send_signal(pidfd, signal); });
}

// A process that the agent has spawned leads a session, and so a process group for as long as it lives: one system call
// reaches what most services consist of. False where a process is another's child and may lead no group. The signals
// of many services are sent in one go: between two of them the other processors would fall asleep, and to wake one up
// costs more than the signal.
bool LinuxProcessDriver::signal_process_groups(const Kill& command) {
  for (Pid pid : {command.main_pid, command.control_pid}) {
    if (pid == 0 || membership_.is_leader(pid)) continue;
    // A process that is known and not watched is a child that was not reaped yet: its number is its own.
    bool is_child = membership_.is_known(pid) && !exits_.is_watched(pid);
    if (!is_child || ::getpgid(pid) != pid) return false;
  }
  for (Pid pid : {command.main_pid, command.control_pid}) {
    if (pid != 0) signals_.push_back({command.service, pid, command.signal, command.sends_sighup});
  }
  return true;
}

void LinuxProcessDriver::send_signals() {
  for (const GroupSignal& signal : signals_) {
    if (::kill(-signal.leader, signal.number) == 0 && signal.sends_sighup) ::kill(-signal.leader, SIGHUP);
  }
  // Counted from now: to look sooner for those whom it has not reached would find main processes that are just ending.
  Instant now = read_clocks().instant;
  for (const GroupSignal& signal : signals_)
    late_signals_.add(signal.service, now);
  signals_.clear();
}

// Those of the process groups that have the signal only have to go on if they were stopped. To tell them so at once
// would double what a stop costs.
void LinuxProcessDriver::signal_rest(GroupKill& kill) {
  const Kill& command = kill.command;
  Kill continuation = command;
  continuation.signal = SIGCONT;
  continuation.sends_sighup = false;
  auto was_reached = [&](Pid pid) {
    Pid group = kill.went_to_groups ? ::getpgid(pid) : 0;
    return group > 0 && (group == command.main_pid || group == command.control_pid);
  };
  for (int round = 0; round < max_kill_rounds; ++round) {
    bool found_new = false;
    for (Pid pid : membership_.members(command.service)) {
      // An init would pass the signal on to who gets it anyway.
      if (command.signal != SIGKILL && inits_.contains(pid)) continue;
      if (!kill.told.insert(pid).second) continue;
      found_new = true;
      signal_process(command.service, pid, was_reached(pid) ? continuation : command);
    }
    if (!found_new) return;
  }
}

// The main process goes last: what it leaves behind is hard to tell then.
void LinuxProcessDriver::kill_group(Service& state, const Kill& command) {
  // With its init a PID namespace ends whole, and nobody gets away by forking.
  if (state.init != 0) signal_process(command.service, state.init, command);
  if (!cgroups_ || !cgroups_->kill_all(membership_.name_of(command.service))) {
    GroupKill kill{.command = command, .told = {command.main_pid, command.control_pid}};
    signal_rest(kill);
  }
  // Without the kernel's help some may fork away from it: it is repeated until nothing is left.
  if (!tells_when_empty()) state.group_kill = std::make_unique<GroupKill>(GroupKill{.command = command});
}

// Looking for those that have left the main process's group costs more than all the rest, and few services have any:
// they are looked for when the main process has ended, and after a while if it has not.
bool LinuxProcessDriver::signal_group(Service& state, const Kill& command) {
  bool has_leader = command.main_pid != 0 || command.control_pid != 0;
  if (!has_leader || !signal_process_groups(command)) return false;
  state.group_kill = std::make_unique<GroupKill>(GroupKill{.command = command, .went_to_groups = true});
  return true;
}

void LinuxProcessDriver::signal_late(Service& state) {
  if (!state.group_kill) return;
  const Kill command = state.group_kill->command;
  if (command.signal == SIGKILL) return kill_group(state, command);
  signal_rest(*state.group_kill);
  if (!awaits_orphans(command.service, state)) state.group_kill.reset();
}

// Whether the service has to be looked at again, which a reminder is set for: there are orphans, perhaps its own, of
// which nobody can tell yet. Asked right after its processes were looked for.
bool LinuxProcessDriver::awaits_orphans(ServiceId service, Service& state) {
  if (!membership_.has_undecided_orphans()) return false;
  if (state.is_orphan_look_due) return true;
  if (state.orphan_looks == max_orphan_looks) return false;
  state.orphan_looks++;
  state.is_orphan_look_due = true;
  orphan_looks_.add(service, read_clocks().instant);
  return true;
}

void LinuxProcessDriver::kill(const Kill& command) {
  settle_spawns();
  if (!membership_.has_begun(command.service)) {
    if (command.awaits_empty) post(Emptied{.service = command.service});
    return;
  }
  Service& state = state_of(command.service);
  state.group_kill.reset();
  state.orphan_looks = 0;
  bool is_final = command.signal == SIGKILL;
  bool is_asked_for = command.whole_group && !is_final && signal_group(state, command);
  if (!is_asked_for) {
    send_signals();
    if (command.whole_group && is_final) kill_group(state, command);
    for (Pid pid : {command.main_pid, command.control_pid}) {
      if (pid != 0) signal_process(command.service, pid, command);
    }
    if (command.whole_group && !is_final) {
      state.group_kill = std::make_unique<GroupKill>(
          GroupKill{.command = command, .told = {command.main_pid, command.control_pid}});
      signal_late(state);
    }
  }
  state.awaits_empty = command.awaits_empty;
  if (state.awaits_empty) look_for_empty(command.service, state);
  drop_if_plain(command.service);
}

// --- waiting ---

// Where it cannot be watched, the end of any process makes the driver look again (drain).
void LinuxProcessDriver::watch_for_empty(ServiceId service) {
  if (cgroups_) watches_.add(service, cgroups_->events_path(membership_.name_of(service)), IN_MODIFY);
}

void LinuxProcessDriver::stop_waiting(ServiceId service) {
  waiting_.erase(service);
  watches_.remove(service);
  Service* state = find(service);
  if (state == nullptr) return;
  state->awaits_empty = false;
  state->group_kill.reset();
  state->awaits_main_pid.reset();
  drop_if_plain(service);
}

void LinuxProcessDriver::look_again(ServiceId service) {
  Service* state = find(service);
  if (state != nullptr && state->awaits_main_pid) look_for_main_pid(service, *state);
  state = find(service);
  if (state != nullptr && state->awaits_empty) look_for_empty(service, *state);
}

void LinuxProcessDriver::look_for_empty(ServiceId service, Service& state) {
  // While a process lives whose end will be told, there is no need of more: few services leave others behind it.
  if (membership_.has_known(service)) return;
  bool is_empty = membership_.is_empty(service);
  if (!is_empty && cgroups_) {
    // Watched first, so that nothing falls between.
    watch_for_empty(service);
    is_empty = membership_.is_empty(service);
  }
  if (is_empty && !awaits_orphans(service, state)) {
    stop_waiting(service);
    post(Emptied{.service = service});
    return;
  }
  signal_late(state);
  if (tells_when_empty()) return;
  waiting_.insert(service);
  // Processes that an earlier agent started end without a word to this one.
  if (!state.is_adopted) return;
  for (Pid pid : membership_.members(service)) {
    if (!exits_.is_watched(pid) && !ExitWatcher::is_child(pid)) exits_.watch(pid);
  }
}

void LinuxProcessDriver::await_main_pid(const AwaitMainPid& command) {
  settle();
  if (!membership_.has_begun(command.service))
    return post(MainPidFound{.service = command.service, .pid = 0, .is_empty = true});
  Service& state = state_of(command.service);
  state.awaits_main_pid = command.unit;
  state.orphan_looks = 0;
  if (!tells_when_empty()) waiting_.insert(command.service);
  watch_for_empty(command.service);
  look_for_main_pid(command.service, state);
}

void LinuxProcessDriver::look_for_main_pid(ServiceId service, Service& state) {
  const UnitPtr unit = *state.awaits_main_pid;
  Pid pid = unit->pid_file.empty() ? (unit->guesses_main_pid ? guess_main_pid(service, state) : 0)
                                   : read_main_pid(service, *unit);
  bool is_empty = pid == 0 && membership_.is_empty(service);
  if (pid == 0 && awaits_orphans(service, state)) return;
  // Without a file to wait for, now is when it must be known.
  if (pid == 0 && !is_empty && !unit->pid_file.empty()) return;
  state.awaits_main_pid.reset();
  if (!state.awaits_empty) stop_waiting(service);
  if (pid != 0) track(service, pid);
  post(MainPidFound{.service = service, .pid = pid, .is_empty = is_empty});
}

Pid LinuxProcessDriver::read_main_pid(ServiceId service, const Unit& unit) {
  // Watched before it is read, so that nothing falls between. A directory that is not there yet shows in its parent.
  static constexpr std::uint32_t changes =
      IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_ONLYDIR;
  std::string directory = directory_of(unit.pid_file.str());
  while (!watches_.add(service, directory, changes) && directory != "/")
    directory = directory_of(directory);
  return read_pid_file(service, unit);
}

Pid LinuxProcessDriver::read_pid_file(ServiceId service, const Unit& unit) {
  Result<UniqueFd> file = open_file(unit.pid_file.str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!file) return 0;
  Result<std::string> text = read_descriptor(file->get(), max_pid_file_bytes, unit.pid_file.str());
  if (!text) return 0;
  Pid pid = parse_number<Pid>(trim(*text)).value_or(0);
  if (pid <= 1) return 0;
  // Written by a process of the service's namespace or, as $MAINPID, by a command beside it.
  if (Pid meant = translate(service, 0, pid); meant != 0) pid = meant;
  std::optional<ProcStat> stat = read_proc_stat(pid);
  if (!stat || stat->is_dead()) return 0;
  // A file that names somebody else's process would turn it into ours to signal.
  return membership_.service_of(pid) == service ? pid : 0;
}

Pid LinuxProcessDriver::guess_main_pid(ServiceId service, const Service& state) {
  // As systemd: exactly one process whose parent is gone.
  Pid found = 0;
  for (Pid pid : members_but_inits(service)) {
    std::optional<ProcStat> stat = read_proc_stat(pid);
    if (!stat || stat->is_dead()) continue;
    bool is_orphan_inside = state.init != 0 && stat->parent == state.init;
    if (stat->parent != ::getpid() && !is_orphan_inside && !(state.is_adopted && stat->parent == 1)) continue;
    if (found != 0) return 0;
    found = pid;
  }
  return found;
}

void LinuxProcessDriver::clean_up(const CleanUp& command) {
  settle();
  stop_waiting(command.service);
  const Unit& unit = *command.unit;
  if (!unit.pid_file.empty()) ::unlink(unit.pid_file.c_str());
  with_pid_file_.erase(command.service);
  remove_runtime_directories(*unit.exec, facts_, command.will_restart);
  if (!command.is_removed) return;
  // Processes that KillMode= spares keep their cgroup; it is there again for a service of that name.
  if (cgroups_) (void)cgroups_->remove(unit.name);
  if (limits_) limits_->remove(unit.name);
  limit_watches_.remove(command.service);
  membership_.forget(command.service);
  services_.erase(index_of(command.service));
}

// --- telling ---

void LinuxProcessDriver::post(Event event) {
  if (pending_.empty()) ::eventfd_write(wake_.get(), 1);
  pending_.push_back(std::move(event));
}

std::vector<Event> LinuxProcessDriver::drain() {
  settle();
  eventfd_t count;
  ::eventfd_read(wake_.get(), &count);
  std::vector<Event> events;
  std::set<ServiceId> touched;

  // What a process has said before it ended comes first: by the time its end is seen, its messages have arrived.
  ExitWatcher::Collected ended = exits_.collect(exits_at_once);
  receive_notifications(events);
  for (const ProcessExit& exit : ended.exits)
    report_exit(exit, events, touched);
  for (ProbeFinished& finished : probes_.drain(read_clocks().instant))
    events.emplace_back(std::move(finished));

  for (ServiceId service : watches_.read())
    touched.insert(service);
  for (ServiceId service : limit_watches_.read())
    look_at_limits(service);
  follow_v1_oom_notice();
  if (!ended.exits.empty()) touched.insert(waiting_.begin(), waiting_.end());
  for (ServiceId service : late_signals_.take_due(read_clocks().instant)) {
    Service* state = find(service);
    if (state == nullptr) continue;
    signal_late(*state);
    drop_if_plain(service);
  }
  for (ServiceId service : orphan_looks_.take_due(read_clocks().instant)) {
    Service* state = find(service);
    if (state == nullptr) continue;
    state->is_orphan_look_due = false;
    signal_late(*state);
    drop_if_plain(service);
    touched.insert(service);
  }
  for (ServiceId service : touched)
    look_again(service);

  std::vector<Event> pending = std::exchange(pending_, {});
  events.insert(events.end(), std::make_move_iterator(pending.begin()),
                std::make_move_iterator(pending.end()));
  if (!ended.is_complete) ::eventfd_write(wake_.get(), 1);
  return events;
}

void LinuxProcessDriver::report_exit(const ProcessExit& exit, std::vector<Event>& events,
                                     std::set<ServiceId>& touched) {
  std::optional<ServiceId> known = membership_.remove(exit.pid);
  if (probes_.owns(exit.pid)) {
    if (known) touched.insert(*known);  // it may have been the last process of the service
    if (std::optional<ProbeFinished> finished = probes_.ended(exit.pid, exit.status))
      events.emplace_back(std::move(*finished));
    return;
  }
  let_go_of_init(exit.pid);
  if (std::optional<ServiceId> service = forget_init(exit.pid)) {
    touched.insert(*service);
    return;
  }
  if (!known) {
    if (exit.was_child && on_other_exit_) on_other_exit_(exit.pid, exit.status);
    return;
  }
  ServiceId service = *known;
  touched.insert(service);
  ProcessExited event{.service = service, .pid = exit.pid, .status = exit.status};
  if (auto unit = with_pid_file_.find(service); unit != with_pid_file_.end())
    event.pid_in_file = read_pid_file(service, *unit->second);
  if (cgroups_ && membership_.has_begun(service)) event.was_oom_killed = was_oom_killed(service, exit.status);
  events.emplace_back(event);
}

void LinuxProcessDriver::receive_notifications(std::vector<Event>& events) {
  for (Notified& message : notify_.receive(notifications_at_once)) {
    std::optional<ServiceId> service = membership_.service_of(message.sender);
    if (!service) continue;
    message.service = *service;
    if (message.main_pid) message.main_pid = translate(*service, message.sender, *message.main_pid);
    if (message.main_pid && membership_.service_of(*message.main_pid) != service) message.main_pid.reset();
    events.emplace_back(std::move(message));
  }
  notify_.release_barriers();
}

std::string LinuxProcessDriver::cgroup_of(ServiceId service) const {
  const std::string& name = membership_.name_of(service);
  return cgroups_ && !name.empty() ? cgroups_->path_of(name) : "";
}

}  // namespace gitproc
