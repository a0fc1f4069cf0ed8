// The part of the driver that is about limits: written before a process is born, kept while it lives, and what is told
// when the kernel enforces them.
#include <signal.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <utility>

#include "drivers/base/clock.h"
#include "drivers/base/system_call.h"
#include "drivers/process/linux_process_driver.h"
#include "drivers/process/proc_files.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr int cgroup_exit_code = 219;
constexpr std::size_t max_told_unavailable = 256;
constexpr std::size_t named_survivors = 5;
constexpr std::size_t max_comm_bytes = 64;
// The group's news of an OOM kill may come before the end of the process that it is about.
constexpr Duration oom_echo = std::chrono::seconds(2);
// So often, oom_look_delay apart. On a machine that is short of everything the kill may take its time.
constexpr std::uint8_t oom_looks_after_notice = 10;

std::string_view words_for(char process_state) {
  switch (process_state) {
    case 'D': return "in uninterruptible sleep";
    case 'T':
    case 't': return "stopped";
    default: return "running";
  }
}

}  // namespace

Spawner::Place LinuxProcessDriver::Place::for_spawn() const {
  auto cgroup_of = [](const CgroupTree::Entrance& entrance) {
    return Spawner::Cgroup{.fd = entrance.group.get(), .joins_after_birth = entrance.joins_after_birth};
  };
  Spawner::Place place{.service = cgroup_of(group), .init = cgroup_of(inits)};
  for (const UniqueFd& entrance : entrances)
    place.entrances.push_back(entrance.get());
  return place;
}

std::expected<LinuxProcessDriver::Place, SpawnFault> LinuxProcessDriver::make_place(
    const Spawn& command, const std::optional<Account>& account) {
  const Unit& unit = *command.unit;
  Place place;
  if (!cgroups_) {
    static const ResourceControl none;
    bool is_lacking = refuses_unenforceable_ && *unit.resources != none;
    if (is_lacking)
      return std::unexpected(SpawnFault{cgroup_exit_code, "its limits cannot be had without cgroups"});
    return place;
  }
  // A service that may make groups may have made its own unfit for processes. What comes before it then begins anew,
  // and what is run beside it goes to a group of its own, as with systemd.
  bool is_delegated = unit.resources->delegate.is_on;
  if (is_delegated && command.phase <= ExecPhase::start && command.main_pid == 0)
    (void)cgroups_->remove(unit.name);
  bool is_beside = is_delegated && command.phase > ExecPhase::start;
  Result<CgroupTree::Entrance> entered =
      is_beside ? cgroups_->enter_below(unit.name, ".control") : cgroups_->enter(unit.name);
  if (!entered) return std::unexpected(SpawnFault{cgroup_exit_code, entered.error().message});
  place.group = std::move(*entered);
  // A new group counts from 0 again.
  if (Service* state = find(command.service); state != nullptr && place.group.is_new) {
    state->oom_kills = 0;
    drop_if_plain(command.service);
  }
  if (limits_->is_idle(unit)) return place;

  LimitKeeper::Owner owner{::geteuid(), ::getegid()};
  if (account) owner = {account->uid, account->gid};
  place.entrances = limits_->prepare(unit, place.group.is_new, owner);
  for (const std::string& lack : limits_->lacks())
    tell_unavailable(lack);
  if (refuses_unenforceable_ && !limits_->lacks().empty())
    return std::unexpected(SpawnFault{cgroup_exit_code, limits_->lacks().front()});
  if (limits_->has_written()) {
    state_of(command.service).oom_kills = count_oom_kills(unit.name);
    drop_if_plain(command.service);
    watch_limits(command.service, unit.name);
  }
  return place;
}

void LinuxProcessDriver::adjust_limits(const AdjustLimits& command) {
  settle();
  const Unit& unit = *command.unit;
  if (!limits_ || !membership_.has_begun(command.service)) return;
  limits_->adjust(unit);
  for (const std::string& lack : limits_->lacks())
    tell_unavailable(lack);
  if (!limits_->has_written()) return;
  // An adopted service's kills of before are not news.
  Service* state = find(command.service);
  if (state != nullptr && state->is_adopted && state->oom_kills == 0)
    state->oom_kills = count_oom_kills(unit.name);
  watch_limits(command.service, unit.name);
}

void LinuxProcessDriver::tell_unavailable(const std::string& what) {
  if (told_unavailable_.size() >= max_told_unavailable || !told_unavailable_.insert(what).second) return;
  unavailable_.push_back(what);
}

// After the agent's own writes, which are not to be told. The kernel's own changes of a file (memory.events) are no
// writes; a write of somebody else is told when the file is closed.
void LinuxProcessDriver::watch_limits(ServiceId service, const std::string& name) {
  limit_watches_.remove(service);
  for (const std::string& directory : limits_->watched_directories(name))
    limit_watches_.add(service, directory, IN_CLOSE_WRITE | IN_ONLYDIR);
  std::string oom_events = limits_->oom_events_path(name);
  if (!oom_events.empty()) limit_watches_.add(service, oom_events, IN_MODIFY);
}

void LinuxProcessDriver::look_at_oom_kills(ServiceId service) {
  std::uint64_t oom_kills = count_oom_kills(membership_.name_of(service));
  const Service* known = find(service);
  if (oom_kills <= (known != nullptr ? known->oom_kills : 0)) return;
  Service& state = state_of(service);
  state.oom_kills = oom_kills;
  state.oom_told_at = read_clocks().instant;
  post(OomKilled{.service = service});
}

// The word is one for all groups, and comes before the kill.
void LinuxProcessDriver::follow_v1_oom_notice() {
  if (!limits_) return;
  Instant now = read_clocks().instant;
  if (limits_->take_oom_notice()) {
    for (ServiceId service : membership_.services()) {
      if (limits_->v1_directory(membership_.name_of(service), "memory").empty()) continue;
      if (std::exchange(state_of(service).oom_looks, oom_looks_after_notice) == 0)
        oom_looks_.add(service, now);
    }
  }
  for (ServiceId service : oom_looks_.take_due(now)) {
    Service* state = find(service);
    if (state == nullptr || state->oom_looks == 0) continue;
    look_at_oom_kills(service);
    if (--state->oom_looks > 0) oom_looks_.add(service, now);
    drop_if_plain(service);
  }
}

void LinuxProcessDriver::look_at_limits(ServiceId service) {
  if (!membership_.has_begun(service)) return;
  look_at_oom_kills(service);
  if (std::optional<LimitKeeper::Drift> drift = limits_->find_drift(membership_.name_of(service))) {
    post(LimitsDrifted{
        .service = service, .what = drift->file, .wanted = drift->wanted, .found = drift->found});
  }
}

std::uint64_t LinuxProcessDriver::count_oom_kills(const std::string& name) const {
  if (std::optional<std::uint64_t> count = cgroups_->oom_kills(name)) return *count;
  return limits_->v1_oom_kills(name).value_or(0);
}

bool LinuxProcessDriver::was_oom_killed(ServiceId service, const ExitStatus& status) {
  const std::string& name = membership_.name_of(service);
  bool is_clean = status == ExitStatus{.kind = ExitStatus::Kind::exited, .value = 0};
  bool is_sigkill = status == ExitStatus{.kind = ExitStatus::Kind::killed, .value = SIGKILL};
  // Nothing tells of a kill in a v1 group but what is left of the service: a shell, whose child was killed, exits.
  bool may_be = is_sigkill || (!is_clean && !limits_->v1_directory(name, "memory").empty());
  if (!may_be) return false;
  std::uint64_t oom_kills = count_oom_kills(name);
  if (oom_kills == 0 && find(service) == nullptr) return false;
  Service& state = state_of(service);
  bool is_news = oom_kills > state.oom_kills;
  state.oom_kills = oom_kills;
  bool is_told = state.oom_told_at != Instant{} && read_clocks().instant - state.oom_told_at < oom_echo;
  return is_news || (is_sigkill && is_told);
}

SurvivorsFound LinuxProcessDriver::find_survivors(const FindSurvivors& command) {
  settle();
  SurvivorsFound found{.service = command.service, .processes = ""};
  std::size_t count = 0;
  for (Pid pid : members_but_inits(command.service)) {
    std::optional<ProcStat> stat = read_proc_stat(pid);
    if (!stat || stat->is_dead() || ++count > named_survivors) continue;
    Result<std::string> name = read_file("/proc/" + std::to_string(pid) + "/comm", max_comm_bytes);
    if (!found.processes.empty()) found.processes += ", ";
    found.processes += "PID " + std::to_string(pid) + " (" + (name ? printable(trim(*name)) : "?") + ", " +
                       std::string(words_for(stat->state)) + ")";
  }
  if (count > named_survivors) found.processes += " and " + std::to_string(count - named_survivors) + " more";
  return found;
}

FigurePlaces LinuxProcessDriver::figure_places(ServiceId service) {
  FigurePlaces places;
  if (!membership_.has_begun(service)) return places;
  if (!cgroups_) {
    places.processes = members_but_inits(service);
    return places;
  }
  const std::string& name = membership_.name_of(service);
  places.group = cgroups_->directory_of(name);
  places.v1_memory = limits_->v1_directory(name, "memory");
  return places;
}

}  // namespace gitproc
