// [Service]: systemd.service(5) and systemd.kill(5): the process, its commands and its end.
#include <algorithm>
#include <optional>

#include "reconcile/unit/exec_line.h"
#include "reconcile/unit/fields.h"
#include "reconcile/unit/paths.h"

namespace gitproc {
namespace {

constexpr EnumWord<ServiceType> type_words[] = {
    {"simple", ServiceType::simple},   {"exec", ServiceType::exec},     {"forking", ServiceType::forking},
    {"oneshot", ServiceType::oneshot}, {"notify", ServiceType::notify}, {"dbus", ServiceType::dbus},
    {"idle", ServiceType::idle}};
constexpr EnumWord<RestartMode> restart_words[] = {{"no", RestartMode::no},
                                                   {"always", RestartMode::always},
                                                   {"on-success", RestartMode::on_success},
                                                   {"on-failure", RestartMode::on_failure},
                                                   {"on-abnormal", RestartMode::on_abnormal},
                                                   {"on-abort", RestartMode::on_abort},
                                                   {"on-watchdog", RestartMode::on_watchdog}};
constexpr EnumWord<TimeoutFailureMode> timeout_failure_words[] = {
    {"terminate", TimeoutFailureMode::terminate},
    {"abort", TimeoutFailureMode::abort},
    {"kill", TimeoutFailureMode::kill}};
constexpr EnumWord<KillMode> kill_words[] = {{"control-group", KillMode::control_group},
                                             {"mixed", KillMode::mixed},
                                             {"process", KillMode::process},
                                             {"none", KillMode::none}};
constexpr EnumWord<NotifyAccess> notify_words[] = {{"none", NotifyAccess::none},
                                                   {"main", NotifyAccess::main},
                                                   {"exec", NotifyAccess::exec},
                                                   {"all", NotifyAccess::all}};

void read_type(Reader& reader) {
  if (reader.value().empty()) {
    reader.draft().type.reset();
    return;
  }
  auto type = WordValue<type_words>::parse(reader.value());
  if (!type) return reader.bad_value(reader.value(), type.error().message);
  reader.draft().type = *type;
  reader.draft().last_type = reader.place();
}

void print_type(const Unit& unit, Lines& lines) {
  if (unit.type != ServiceType::simple) lines.add(WordValue<type_words>::print(unit.type));
}

void read_bus_name(Reader& reader) { reader.draft().has_bus_name = !reader.value().empty(); }

void read_restart(Reader& reader) {
  reader.draft().last_restart = reader.place();
  read_field<GroupField<&Unit::restart, &RestartPolicy::mode>, WordValue<restart_words>>(reader);
}

template <auto Field>
void read_exit_statuses(Reader& reader) {
  using Statuses = GroupField<&Unit::restart, Field>;
  if (reader.value().empty()) return set<Statuses>(reader.unit(), {});
  ExitStatusSet statuses = Statuses::get(reader.unit());
  for (const Word& word : reader.expanded_words()) {
    auto added = add_exit_status(word.text, statuses);
    if (!added) reader.bad_value(word.text, added.error().message, word.offset);
  }
  set<Statuses>(reader.unit(), std::move(statuses));
}

template <auto Field>
void print_statuses(const Unit& unit, Lines& lines) {
  const ExitStatusSet& statuses = (*unit.restart).*Field;
  if (statuses != ExitStatusSet{}) lines.add(print_exit_statuses(statuses));
}

template <auto Field>
constexpr Directive exit_statuses(std::string_view key) {
  return {"Service", key, read_exit_statuses<Field>, print_statuses<Field>, ChangeEffect::later};
}

using StartTimeout = GroupField<&Unit::timeouts, &Timeouts::start>;
using StopTimeout = GroupField<&Unit::timeouts, &Timeouts::stop>;

void read_both_timeouts(Reader& reader) {
  read_field<StopTimeout, TimeoutValue>(reader);
  if (auto span = TimeoutValue::parse(reader.value())) set<StartTimeout>(reader.unit(), *span);
  if (reader.value().empty()) set<StartTimeout>(reader.unit(), std::nullopt);
}

std::vector<ExecCommand>& commands_of(Unit& unit, ExecPhase phase) {
  switch (phase) {
    case ExecPhase::condition: return unit.auxiliary.edit().condition;
    case ExecPhase::start_pre: return unit.auxiliary.edit().start_pre;
    case ExecPhase::start: return unit.start;
    case ExecPhase::start_post: return unit.auxiliary.edit().start_post;
    case ExecPhase::reload: return unit.auxiliary.edit().reload;
    case ExecPhase::stop: return unit.auxiliary.edit().stop;
    case ExecPhase::stop_post: return unit.auxiliary.edit().stop_post;
  }
  __builtin_unreachable();
}

template <ExecPhase Phase>
void read_commands(Reader& reader) {
  if (reader.value().empty()) {
    if (!reader.unit().commands(Phase).empty()) commands_of(reader.unit(), Phase).clear();
    if (Phase == ExecPhase::start) reader.draft().last_start = {};
    return;
  }
  if (Phase == ExecPhase::start) reader.draft().last_start = reader.place();
  std::vector<ExecCommand> commands = read_exec_line(reader);
  if (commands.empty()) return;
  std::vector<ExecCommand>& known = commands_of(reader.unit(), Phase);
  std::move(commands.begin(), commands.end(), std::back_inserter(known));
}

template <ExecPhase Phase>
void print_commands(const Unit& unit, Lines& lines) {
  for (const ExecCommand& command : unit.commands(Phase))
    lines.add(print_exec_command(command));
}

template <ExecPhase Phase>
constexpr Directive commands(std::string_view key, ChangeEffect effect) {
  return {"Service", key, read_commands<Phase>, print_commands<Phase>, effect};
}

// A relative path is below the runtime directory, and /var/run is /run (systemd.service(5)).
void read_pid_file(Reader& reader) {
  auto path = reader.expanded_value();
  if (!path) return;
  if (!path->empty()) {
    if (!is_absolute_path(*path)) *path = reader.draft().machine->runtime_directory + "/" + *path;
    *path = simplify_path_value(*path);
    if (path->starts_with("/var/run/")) path->erase(0, 4);
    if (climbs(*path)) return reader.bad_value(reader.value(), "is not a path without '..'");
  }
  reader.unit().pid_file = std::move(*path);
}

void print_pid_file(const Unit& unit, Lines& lines) {
  if (!unit.pid_file.empty()) lines.add(protect_specifiers(unit.pid_file.str()));
}

void read_permissions_start_only(Reader& reader) {
  if (reader.value().empty()) {
    reader.draft().permissions_start_only = false;
    return;
  }
  auto value = parse_boolean(reader.value());
  if (!value) return reader.bad_value(reader.value(), value.error().message);
  reader.draft().permissions_start_only = *value;
}

template <auto Field, typename Value>
constexpr Directive timeout(std::string_view key, ChangeEffect effect = ChangeEffect::later) {
  return field<GroupField<&Unit::timeouts, Field>, Value>("Service", key, effect);
}

template <auto Field, typename Value>
constexpr Directive kill_policy(std::string_view key) {
  return field<GroupField<&Unit::kill, Field>, Value>("Service", key, ChangeEffect::later);
}

// Commands that only end or reload the service matter when that happens; those that start it are what runs.
constexpr Directive directives[] = {
    {"Service", "Type", read_type, print_type, ChangeEffect::restart},
    {"Service", "BusName", read_bus_name, nullptr},
    commands<ExecPhase::condition>("ExecCondition", ChangeEffect::later),
    commands<ExecPhase::start_pre>("ExecStartPre", ChangeEffect::restart),
    commands<ExecPhase::start>("ExecStart", ChangeEffect::restart),
    commands<ExecPhase::start_post>("ExecStartPost", ChangeEffect::restart),
    commands<ExecPhase::reload>("ExecReload", ChangeEffect::later),
    commands<ExecPhase::stop>("ExecStop", ChangeEffect::later),
    commands<ExecPhase::stop_post>("ExecStopPost", ChangeEffect::later),
    {"Service", "PermissionsStartOnly", read_permissions_start_only, nullptr},
    field<UnitField<&Unit::remains_after_exit>, BooleanValue>("Service", "RemainAfterExit",
                                                              ChangeEffect::later),
    {"Service", "PIDFile", read_pid_file, print_pid_file, ChangeEffect::restart},
    field<UnitField<&Unit::guesses_main_pid>, BooleanValue>("Service", "GuessMainPID", ChangeEffect::later),
    field<UnitField<&Unit::notify_access>, WordValue<notify_words>>("Service", "NotifyAccess",
                                                                    ChangeEffect::later),
    {"Service", "Restart", read_restart,
     print_field<GroupField<&Unit::restart, &RestartPolicy::mode>, WordValue<restart_words>>,
     ChangeEffect::later},
    field<GroupField<&Unit::restart, &RestartPolicy::delay>, TimeSpanValue>("Service", "RestartSec",
                                                                            ChangeEffect::later),
    exit_statuses<&RestartPolicy::success>("SuccessExitStatus"),
    exit_statuses<&RestartPolicy::prevent>("RestartPreventExitStatus"),
    exit_statuses<&RestartPolicy::force>("RestartForceExitStatus"),
    timeout<&Timeouts::start, TimeoutValue>("TimeoutStartSec"),
    timeout<&Timeouts::stop, TimeoutValue>("TimeoutStopSec"),
    {"Service", "TimeoutSec", read_both_timeouts, nullptr},
    timeout<&Timeouts::abort, TimeoutValue>("TimeoutAbortSec"),
    timeout<&Timeouts::runtime_max, TimeoutValue>("RuntimeMaxSec"),
    // The process was told its watchdog's time-out when it started.
    timeout<&Timeouts::watchdog, TimeoutValue>("WatchdogSec", ChangeEffect::restart),
    timeout<&Timeouts::start_failure, WordValue<timeout_failure_words>>("TimeoutStartFailureMode"),
    timeout<&Timeouts::stop_failure, WordValue<timeout_failure_words>>("TimeoutStopFailureMode"),
    kill_policy<&KillPolicy::mode, WordValue<kill_words>>("KillMode"),
    kill_policy<&KillPolicy::signal, SignalValue>("KillSignal"),
    kill_policy<&KillPolicy::restart_signal, SignalValue>("RestartKillSignal"),
    kill_policy<&KillPolicy::final_signal, SignalValue>("FinalKillSignal"),
    kill_policy<&KillPolicy::watchdog_signal, SignalValue>("WatchdogSignal"),
    kill_policy<&KillPolicy::sends_sigkill, BooleanValue>("SendSIGKILL"),
    kill_policy<&KillPolicy::sends_sighup, BooleanValue>("SendSIGHUP"),
};

}  // namespace

std::span<const Directive> service_directives() { return directives; }

}  // namespace gitproc
