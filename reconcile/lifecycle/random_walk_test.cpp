// Any sequence of events, sensible or not: a seeded walk through a small world of processes. What must hold:
// no second main process while one is alive; no deadline left in the past; a stop ends when kills are
// answered.
#include <algorithm>
#include <memory>
#include <random>
#include <set>

#include "reconcile/lifecycle/lifecycle.h"
#include "reconcile/lifecycle/story.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed), ids_(seed) { unit_ = random_unit(); }

  // `is_hostile`: events that make no sense come, and signals are ignored.
  void step(bool is_hostile) {
    Commands commands;
    LifecycleContext context{now_, ids_, commands};
    switch (pick(is_hostile ? 16 : 8)) {
      case 0:
        if (service_.is_down() && main_ == 0)
          service_.start(std::make_shared<const Unit>(unit_), chance(), context);
        break;
      case 1:
        if (pick(4) == 0) service_.stop(chance() ? StopCause::restart : StopCause::operator_request, context);
        break;
      case 2: service_.reload(context); break;
      case 3:
      case 4: pass_time(context); break;
      case 5: answer_spawn(context); break;
      case 6: end_some_process(context); break;
      case 7: answer_rest(context); break;
      case 8: service_.on(Emptied{id}, context); break;
      case 9: service_.on(MainPidFound{id, 0, chance()}, context); break;
      case 10: service_.on(random_notification(), context); break;
      case 11: service_.on(ConditionsChecked{.service = id, .is_met = chance()}, context); break;
      case 12:
        is_probing_ = false;
        service_.on(ProbeFinished{id, chance(), ""}, context);
        break;
      case 13:
        service_.on(ProcessExited{id, Pid(900 + int(pick(9))), exit_code(1), chance()}, context);
        break;
      case 14: service_.on(SpawnFailed{id, SpawnId{pick(50)}, 203, ""}, context); break;
      case 15: service_.reset_failed(); break;
    }
    take(commands, is_hostile);
    check_deadline();
  }

  // From here on every kill works and everything is answered.
  void wind_down() {
    Commands commands;
    LifecycleContext context{now_, ids_, commands};
    service_.stop(StopCause::operator_request, context);
    take(commands, false);
    for (int i = 0; i < 500 && !service_.is_down(); ++i) {
      commands.clear();
      answer_spawn(context);
      // Also a signal that was ignored before is heeded now, and who says STOPPING=1 stops.
      bool is_asked_to_end = service_.phase() >= Phase::stop_watchdog && service_.phase() != Phase::stop_post;
      if (main_is_dying_ || is_asked_to_end) end_main(context);
      if (control_ != 0) end_control(context, exit_code(0));
      answer_rest(context);
      if (service_.deadline() != never) {
        advance_to(std::max(now_.instant, service_.deadline()));
        service_.on_deadline(context);
      }
      Commands done = commands;
      take(done, false);
    }
    INFO(trace);
    REQUIRE(service_.is_down());
    REQUIRE(service_.phase() != Phase::backoff);
    REQUIRE(service_.deadline() == never);
  }

  std::string trace;

 private:
  static constexpr ServiceId id{1};

  std::uint64_t pick(std::uint64_t bound) { return random_() % bound; }
  bool chance() { return pick(2) == 0; }

  Duration random_span() {
    switch (pick(5)) {
      case 0: return Duration::zero();
      case 1: return milliseconds(1);
      case 2: return seconds(1);
      case 3: return seconds(20);
      default: return infinite;
    }
  }

  Unit random_unit() {
    Unit unit = plain_unit(static_cast<ServiceType>(pick(7)));
    if (unit.type == ServiceType::oneshot && chance()) unit.start.push_back(command("/bin/b", chance()));
    unit.remains_after_exit = pick(4) == 0;
    unit.notify_access = static_cast<NotifyAccess>(pick(4));
    if (chance()) unit.pid_file = "/run/web.pid";
    AuxiliaryCommands& auxiliary = unit.auxiliary.edit();
    for (auto* commands : {&auxiliary.condition, &auxiliary.start_pre, &auxiliary.start_post,
                           &auxiliary.reload, &auxiliary.stop, &auxiliary.stop_post}) {
      for (std::uint64_t count = pick(3); count > 0; --count)
        commands->push_back(command("/bin/x", pick(4) == 0));
    }
    if (pick(4) == 0) unit.conditions.edit().push_back({});
    RestartPolicy& restart = unit.restart.edit();
    restart.mode = static_cast<RestartMode>(pick(7));
    if (chance()) restart.start_limit_interval = seconds(5);
    Timeouts& timeouts = unit.timeouts.edit();
    if (chance()) timeouts.start = random_span();
    timeouts.stop = random_span();
    if (chance()) timeouts.abort = random_span();
    timeouts.runtime_max = random_span();
    timeouts.watchdog = random_span();
    timeouts.start_failure = static_cast<TimeoutFailureMode>(pick(3));
    timeouts.stop_failure = static_cast<TimeoutFailureMode>(pick(3));
    // KillMode=none is left out: it promises to leave a main process behind.
    unit.kill.edit().mode = static_cast<KillMode>(pick(3));
    unit.kill.edit().sends_sigkill = pick(5) != 0;
    if (chance()) {
      HealthCheck& check = unit.health.edit();
      check.kind = HealthCheckKind::tcp;
      check.interval = random_span();
      check.retries = static_cast<unsigned>(pick(4));
      check.restarts = chance();
    }
    return unit;
  }

  Notified random_notification() {
    Notified event;
    event.sender = chance() ? service_.main_pid() : Pid(950);
    event.is_ready = chance();
    event.is_reloading = pick(4) == 0;
    event.is_stopping = pick(8) == 0;
    event.is_watchdog = chance();
    event.is_watchdog_trigger = pick(10) == 0;
    if (pick(5) == 0) event.extend_timeout = Duration(static_cast<std::int64_t>(random_()));
    if (pick(5) == 0) event.watchdog = Duration(static_cast<std::int64_t>(random_()));
    if (pick(5) == 0) event.status = "busy";
    return event;
  }

  void advance_to(Instant instant) {
    now_.wall += instant - now_.instant;
    now_.instant = instant;
  }

  void pass_time(LifecycleContext& context) {
    Instant due = service_.deadline();
    bool is_far = due == never || due - now_.instant > seconds(3600);
    if (chance() && !is_far) {
      advance_to(std::max(now_.instant, due));
    } else {
      advance_to(now_.instant + milliseconds(pick(3000)));
    }
    if (service_.phase() == Phase::backoff) {
      if (service_.deadline() <= now_.instant)
        service_.start(std::make_shared<const Unit>(unit_), true, context);
    } else if (service_.deadline() <= now_.instant) {
      service_.on_deadline(context);
    }
  }

  void answer_spawn(LifecycleContext& context) {
    if (spawns_.empty()) return;
    Spawn spawn = spawns_.front();
    spawns_.erase(spawns_.begin());
    if (pick(8) == 0) return service_.on(SpawnFailed{id, spawn.spawn, chance() ? 203 : 0, "no"}, context);
    Pid pid = next_pid_++;
    bool is_main = spawn.phase == ExecPhase::start && spawn.unit->type != ServiceType::forking;
    if (is_main) {
      INFO(trace);
      REQUIRE(main_ == 0);  // never a second one
      main_ = pid;
      main_is_dying_ = false;
    } else {
      control_ = pid;
    }
    service_.on(Spawned{id, spawn.spawn, pid}, context);
  }

  void end_main(LifecycleContext& context) {
    Pid pid = std::exchange(main_, 0);
    main_is_dying_ = false;
    if (pid != 0) service_.on(ProcessExited{id, pid, random_status(), pick(20) == 0}, context);
  }
  void end_control(LifecycleContext& context, ExitStatus status) {
    Pid pid = std::exchange(control_, 0);
    if (pid != 0) service_.on(ProcessExited{id, pid, status}, context);
  }
  ExitStatus random_status() {
    ExitStatus statuses[] = {exit_code(0), exit_code(1), signalled(9), signalled(15), unseen()};
    return statuses[pick(5)];
  }
  void end_some_process(LifecycleContext& context) {
    if (main_is_dying_ || pick(3) == 0) return end_main(context);
    end_control(context, pick(3) == 0 ? random_status() : exit_code(0));
  }

  // Empty groups, PID files, conditions and probes.
  void answer_rest(LifecycleContext& context) {
    if (awaits_empty_ && main_ == 0 && control_ == 0) {
      awaits_empty_ = false;
      service_.on(Emptied{id}, context);
    }
    if (std::exchange(awaits_main_pid_, false) && main_ == 0) {
      main_ = pick(3) == 0 ? 0 : next_pid_++;
      main_is_dying_ = false;
      service_.on(MainPidFound{id, main_, main_ == 0}, context);
    }
    if (std::exchange(awaits_conditions_, false)) service_.on(ConditionsChecked{.service = id}, context);
    if (std::exchange(is_probing_, false)) service_.on(ProbeFinished{id, pick(3) != 0, "no"}, context);
    if (main_ != 0 && chance()) {
      Notified ready;
      ready.sender = main_;
      ready.is_ready = true;
      service_.on(ready, context);
    }
  }

  void take(const Commands& commands, bool is_hostile) {
    for (const Command& command : commands) {
      trace += std::string(to_string(service_.phase())) + ": " + std::visit(CommandLine{}, command) + "\n";
      if (auto* spawn = std::get_if<Spawn>(&command)) {
        spawns_.push_back(*spawn);
      } else if (auto* kill = std::get_if<Kill>(&command)) {
        awaits_empty_ = awaits_empty_ || kill->awaits_empty;
        // One that came too late is refused.
        if (kill->control_pid == main_ && kill->signal == 9) main_ = 0;
        // A hostile service heeds nothing but SIGKILL.
        bool works = !is_hostile || kill->signal == 9;
        if (works && kill->signal != 0 && (kill->whole_group || kill->main_pid == main_))
          main_is_dying_ = true;
      } else if (std::holds_alternative<AwaitMainPid>(command)) {
        awaits_main_pid_ = true;
      } else if (std::holds_alternative<CheckConditions>(command)) {
        awaits_conditions_ = true;
      } else if (std::holds_alternative<StartProbe>(command)) {
        REQUIRE_FALSE(is_probing_);  // one at a time
        is_probing_ = true;
      } else if (std::holds_alternative<CancelProbe>(command)) {
        is_probing_ = false;
      } else if (std::holds_alternative<CleanUp>(command)) {
        awaits_main_pid_ = awaits_empty_ = false;
        if (service_.is_down()) REQUIRE_FALSE(is_probing_);
      }
    }
  }

  void check_deadline() {
    if (service_.phase() == Phase::backoff) return;
    if (service_.deadline() > now_.instant) return;
    Commands commands;
    LifecycleContext context{now_, ids_, commands};
    service_.on_deadline(context);
    take(commands, true);
    bool is_handled = service_.phase() == Phase::backoff || service_.deadline() > now_.instant;
    REQUIRE(is_handled);
  }

  std::mt19937_64 random_;
  IdSource ids_;
  Unit unit_;
  Lifecycle service_{id};
  Now now_{Instant(seconds(1000)), WallTime(seconds(50000))};
  std::vector<Spawn> spawns_;
  Pid next_pid_ = 1000;
  Pid main_ = 0;
  Pid control_ = 0;
  bool main_is_dying_ = false;
  bool awaits_empty_ = false;
  bool awaits_main_pid_ = false;
  bool awaits_conditions_ = false;
  bool is_probing_ = false;
};

std::string walked(std::uint64_t seed) {
  World world(seed);
  bool is_hostile = seed % 2 == 0;
  for (int i = 0; i < 300; ++i)
    world.step(is_hostile);
  world.wind_down();
  return world.trace;
}

}  // namespace

TEST_CASE("a random walk: nothing runs twice, no deadline is forgotten, a stop ends") {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    INFO("seed " << seed);
    walked(seed);
  }
}

TEST_CASE("the same events give the same commands") {
  for (std::uint64_t seed : {7u, 8u})
    CHECK(walked(seed) == walked(seed));
}
