// For tests: one Lifecycle, a clock that only the story moves, and the commands as lines that can be read.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reconcile/lifecycle/lifecycle.h"

namespace gitproc {

using Lines = std::vector<std::string>;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline ExecCommand command(std::string path, bool ignores_failure = false) {
  ExecCommand result;
  result.path = path;
  result.arguments = {path};
  result.ignores_failure = ignores_failure;
  return result;
}

// A unit with one ExecStart=; StartLimitIntervalSec=0, as in the reference.
inline Unit plain_unit(ServiceType type = ServiceType::simple) {
  Unit unit;
  unit.name = "web";
  unit.type = type;
  unit.start = {command("/bin/web")};
  unit.restart.edit().start_limit_interval = Duration::zero();
  return unit;
}

inline ExitStatus exit_code(int code) { return {ExitStatus::Kind::exited, code}; }
inline ExitStatus signalled(int signal) { return {ExitStatus::Kind::killed, signal}; }
inline ExitStatus unseen() { return {ExitStatus::Kind::unknown, 0}; }

// "spawn stop#0 main=7 result=success", "kill TERM main=7 group awaits-empty", ...
struct CommandLine {
  std::string operator()(const Spawn& spawn) const {
    std::string line =
        "spawn " + std::string(to_string(spawn.phase)) + "#" + std::to_string(spawn.command_index);
    if (spawn.main_pid != 0) line += " main=" + std::to_string(spawn.main_pid);
    if (spawn.result) line += " result=" + std::string(to_string(*spawn.result));
    if (spawn.main_exit) line += " (" + to_string(*spawn.main_exit) + ")";
    return line;
  }
  std::string operator()(const Kill& kill) const {
    std::string line = "kill " + signal_name(kill.signal);
    if (kill.main_pid != 0) line += " main=" + std::to_string(kill.main_pid);
    if (kill.control_pid != 0) line += " control=" + std::to_string(kill.control_pid);
    if (kill.whole_group) line += " group";
    if (kill.sends_sighup) line += " HUP";
    if (kill.awaits_empty) line += " awaits-empty";
    return line;
  }
  std::string operator()(const RunRecord& record) const {
    static constexpr const char* names[] = {"started", "main-pid", "stopping",
                                            "stamped", "ended",    "forgotten"};
    static constexpr const char* latches[] = {"completed", "stopped", "failed"};
    std::string line = std::string("record ") + names[static_cast<int>(record.kind)];
    if (record.main_pid != 0) line += " main=" + std::to_string(record.main_pid);
    if (record.latch) {
      line += std::string(" latch=") + latches[static_cast<int>(record.latch->kind)] + "/" +
              std::string(to_string(record.latch->result));
    }
    return line;
  }
  std::string operator()(const CleanUp& clean_up) const {
    return clean_up.will_restart ? "clean-up will-restart" : "clean-up";
  }
  std::string operator()(const AwaitMainPid&) const { return "await-main-pid"; }
  std::string operator()(const FindSurvivors&) const { return "find-survivors"; }
  std::string operator()(const CheckConditions&) const { return "check-conditions"; }
  std::string operator()(const StartProbe&) const { return "start-probe"; }
  std::string operator()(const CancelProbe&) const { return "cancel-probe"; }
  template <typename Other>
  std::string operator()(const Other&) const {
    return "unexpected command";
  }
};

class Story {
 public:
  explicit Story(Unit unit) : unit_(std::make_shared<const Unit>(std::move(unit))) {}

  // --- what the Reconciler asks for; each returns what the service does then ---
  Lines start(bool is_automatic = false) {
    return act([&](LifecycleContext& context) { service.start(unit_, is_automatic, context); });
  }
  Lines stop(StopCause cause = StopCause::operator_request) {
    return act([&](LifecycleContext& context) { service.stop(cause, context); });
  }
  Lines reload() {
    return act([&](LifecycleContext& context) { service.reload(context); });
  }
  Lines adopt(const AdoptedService& record) {
    return act([&](LifecycleContext& context) { service.adopt(record, unit_, context); });
  }

  // --- what happens ---
  template <typename Event>
  Lines tell(const Event& event) {
    return act([&](LifecycleContext& context) { service.on(event, context); });
  }
  // Answers the newest Spawn.
  Lines spawned(Pid pid) { return tell(Spawned{id, last_spawn_, pid}); }
  Lines spawn_failed(int code) { return tell(SpawnFailed{id, last_spawn_, code, "cannot spawn"}); }
  Lines exited(Pid pid, ExitStatus status, bool was_oom_killed = false) {
    return tell(ProcessExited{id, pid, status, was_oom_killed});
  }
  Lines emptied() { return tell(Emptied{id}); }
  Lines found(Pid pid, bool is_empty = false) { return tell(MainPidFound{id, pid, is_empty}); }
  Lines ready(Pid sender) {
    Notified event;
    event.sender = sender;
    event.is_ready = true;
    return tell(event);
  }
  Lines probed(bool is_healthy) { return tell(ProbeFinished{id, is_healthy, is_healthy ? "" : "HTTP 503"}); }

  // Lets time pass, stopping at each deadline on the way.
  Lines wait(Duration span) {
    Instant end = now.instant + span;
    Lines all;
    while (service.phase() != Phase::backoff && service.deadline() <= end) {
      set_time(std::max(now.instant, service.deadline()));
      for (std::string& line : act([&](LifecycleContext& context) { service.on_deadline(context); })) {
        all.push_back(std::move(line));
      }
    }
    set_time(end);
    return all;
  }

  Lines replace_unit(Unit unit) {
    unit_ = std::make_shared<const Unit>(std::move(unit));
    return act([this](LifecycleContext& context) { service.replace_unit(unit_, context); });
  }

  // "failed/exit-code"
  std::string outcome() const {
    return std::string(to_string(service.phase())) + "/" + std::string(to_string(service.result()));
  }

  static constexpr ServiceId id{1};
  Lifecycle service{id};
  Now now{Instant(seconds(1000)), WallTime(seconds(50000))};
  Commands last_commands;

 private:
  template <typename Action>
  Lines act(Action action) {
    Commands commands;
    LifecycleContext context{now, ids_, commands};
    action(context);
    Lines lines;
    for (const Command& done : commands) {
      if (const Spawn* spawn = std::get_if<Spawn>(&done)) last_spawn_ = spawn->spawn;
      lines.push_back(std::visit(CommandLine{}, done));
    }
    last_commands = std::move(commands);
    return lines;
  }
  void set_time(Instant instant) {
    now.wall += instant - now.instant;
    now.instant = instant;
  }

  UnitPtr unit_;
  IdSource ids_{1};
  SpawnId last_spawn_{};
};

}  // namespace gitproc
