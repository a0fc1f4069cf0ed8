// Readiness, notifications, forking, watchdogs and health probes.
#include "reconcile/lifecycle/story.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

Unit notify_unit() {
  Unit unit = plain_unit(ServiceType::notify);
  unit.timeouts.edit().start = seconds(10);
  return unit;
}

Notified from(Pid sender) {
  Notified event;
  event.sender = sender;
  return event;
}

Unit forking_unit(std::string pid_file = "") {
  Unit unit = plain_unit(ServiceType::forking);
  unit.pid_file = std::move(pid_file);
  unit.timeouts.edit().start = seconds(10);
  return unit;
}

// The first process has ended well.
Story forked(Unit unit) {
  Story story(std::move(unit));
  story.start();
  story.spawned(5);
  CHECK(story.exited(5, exit_code(0)) == Lines{"await-main-pid"});
  return story;
}

Unit probed_unit() {
  Unit unit = plain_unit();
  HealthCheck& check = unit.health.edit();
  check.kind = HealthCheckKind::http;
  check.interval = seconds(30);
  check.retries = 3;
  return unit;
}

Story healthy(Unit unit) {
  Story story(std::move(unit));
  story.start();
  CHECK(story.spawned(10) == Lines{"start-probe"});
  CHECK(story.probed(true) == Lines{"record started main=10"});
  REQUIRE(story.outcome() == "running/success");
  return story;
}

}  // namespace

TEST_CASE("notify is started by READY=1 of the main process, and by nobody else's") {
  Story story(notify_unit());
  story.start();
  CHECK(story.spawned(10) == Lines{});
  CHECK(story.ready(11) == Lines{});
  CHECK(story.outcome() == "start/success");
  CHECK(story.ready(10) == Lines{"record started main=10"});
  CHECK(story.service.deadline() == never);
}

TEST_CASE("NotifyAccess=: whose messages count") {
  struct Case {
    NotifyAccess access;
    Pid sender;
    bool counts;
  };
  for (Case each : {Case{NotifyAccess::none, 10, true}, Case{NotifyAccess::main, 10, true},
                    Case{NotifyAccess::main, 99, false}, Case{NotifyAccess::exec, 99, false},
                    Case{NotifyAccess::all, 99, true}}) {
    Unit unit = notify_unit();
    unit.notify_access = each.access;
    Story story(unit);
    story.start();
    story.spawned(10);
    story.ready(each.sender);
    CHECK((story.service.phase() == Phase::running) == each.counts);
  }
  Unit unit = plain_unit();  // without Type=notify, nobody's
  Story story(unit);
  story.start();
  story.spawned(10);
  Notified event = from(10);
  event.status = "hello";
  story.tell(event);
  CHECK(story.service.status_text() == "");
}

TEST_CASE("notify: READY=1 that overtakes the news of the process is remembered") {
  Unit unit = notify_unit();
  unit.notify_access = NotifyAccess::all;
  Story story(unit);
  story.start();
  CHECK(story.ready(10) == Lines{});
  CHECK(story.spawned(10) == Lines{"record started main=10"});
}

TEST_CASE("notify: the main process ends before READY=1") {
  Story story(notify_unit());
  story.start();
  story.spawned(10);
  story.exited(10, exit_code(0));
  story.emptied();
  CHECK(story.outcome() == "failed/protocol");
}

TEST_CASE("notify: EXTEND_TIMEOUT_USEC= gives more time, never less") {
  Story story(notify_unit());
  story.start();
  story.spawned(10);
  Notified event = from(10);
  event.extend_timeout = seconds(1);
  story.tell(event);
  CHECK(story.service.deadline() == story.now.instant + seconds(10));
  event.extend_timeout = seconds(60);
  story.tell(event);
  CHECK(story.service.deadline() == story.now.instant + seconds(60));
}

TEST_CASE("notify: STATUS= is kept, a bounded piece of it") {
  Story story(notify_unit());
  story.start();
  story.spawned(10);
  Notified event = from(10);
  event.status = "serving";
  story.tell(event);
  CHECK(story.service.status_text() == "serving");
  event.status = std::string(511, 'x') + "\xC3\xA9";
  story.tell(event);
  CHECK(story.service.status_text() == std::string(511, 'x'));
}

TEST_CASE("notify: MAINPID= changes the main process") {
  Story story(notify_unit());
  story.start();
  story.spawned(10);
  story.ready(10);
  Notified event = from(10);
  event.main_pid = 20;
  CHECK(story.tell(event) == Lines{"record main-pid main=20"});
  CHECK(story.exited(10, exit_code(1)) == Lines{});
  CHECK(story.exited(20, exit_code(1)) == Lines{"kill TERM group awaits-empty"});
}

TEST_CASE("notify: RELOADING=1 until READY=1, STOPPING=1 until the end") {
  Story story(notify_unit());
  story.start();
  story.spawned(10);
  story.ready(10);
  Notified reloading = from(10);
  reloading.is_reloading = true;
  CHECK(story.tell(reloading) == Lines{});
  CHECK(story.service.state() == ServiceState::reloading);
  CHECK(story.ready(10) == Lines{});
  CHECK(story.service.state() == ServiceState::running);

  story.tell(reloading);
  CHECK(story.wait(seconds(10)) == Lines{});  // it took too long, and runs on
  CHECK(story.service.state() == ServiceState::running);
  CHECK(story.service.last_reload_failed());

  Notified stopping = from(10);
  stopping.is_stopping = true;
  CHECK(story.tell(stopping) == Lines{});
  CHECK(story.service.state() == ServiceState::stopping);
  CHECK(story.exited(10, exit_code(0)) == Lines{"kill TERM group awaits-empty"});
  CHECK(story.emptied() == Lines{"clean-up", "record ended latch=stopped/success"});
}

TEST_CASE("ExecReload= with RELOADING=1 lasts until both are over") {
  Unit unit = notify_unit();
  unit.auxiliary.edit().reload = {command("/bin/reload")};
  Story story(unit);
  story.start();
  story.spawned(10);
  story.ready(10);
  story.reload();
  story.spawned(11);
  Notified reloading = from(10);
  reloading.is_reloading = true;
  story.tell(reloading);
  story.exited(11, exit_code(0));
  CHECK(story.service.state() == ServiceState::reloading);
  story.ready(10);
  CHECK(story.service.state() == ServiceState::running);
  CHECK_FALSE(story.service.last_reload_failed());
}

TEST_CASE("the watchdog: kept quiet by WATCHDOG=1, aborted without") {
  Unit unit = notify_unit();
  unit.timeouts.edit().watchdog = seconds(4);
  unit.timeouts.edit().stop = seconds(1);
  Story story(unit);
  story.start();
  story.spawned(10);
  CHECK(story.wait(seconds(5)) == Lines{});  // not before it runs
  story.ready(10);
  Notified alive = from(10);
  alive.is_watchdog = true;
  for (int i = 0; i < 3; ++i) {
    CHECK(story.wait(seconds(3)) == Lines{});
    story.tell(alive);
  }
  CHECK(story.wait(seconds(4)) == Lines{"kill ABRT main=10 group awaits-empty"});
  CHECK(story.service.phase() == Phase::stop_watchdog);
  CHECK(story.wait(seconds(1)) == Lines{"kill KILL main=10 group awaits-empty"});
  story.exited(10, signalled(9));
  story.emptied();
  CHECK(story.outcome() == "failed/watchdog");
}

TEST_CASE("the watchdog: WATCHDOG=trigger and WATCHDOG_USEC=") {
  Unit unit = notify_unit();
  Story story(unit);
  story.start();
  story.spawned(10);
  Notified span = from(10);
  span.watchdog = seconds(2);
  story.tell(span);
  story.ready(10);
  CHECK(story.service.deadline() == story.now.instant + seconds(2));
  Notified trigger = from(10);
  trigger.is_watchdog_trigger = true;
  CHECK(story.tell(trigger) == Lines{"kill ABRT main=10 group awaits-empty"});
}

TEST_CASE("forking: the main process is what is left behind, and its end counts") {
  Story story = forked(forking_unit());
  CHECK(story.found(20) == Lines{"record main-pid main=20", "record started main=20"});
  CHECK(story.outcome() == "running/success");
  story.exited(20, exit_code(1));
  story.emptied();
  CHECK(story.outcome() == "failed/exit-code");
}

TEST_CASE("forking: a daemon goes on as the process that the PID file names") {
  Unit unit = forking_unit("/run/web.pid");
  unit.auxiliary.edit().reload = {command("/bin/reload")};
  Story story = forked(unit);
  story.found(20);
  auto exited = [&](Pid pid, ExitStatus status, Pid pid_in_file) {
    return story.tell(
        ProcessExited{.service = story.id, .pid = pid, .status = status, .pid_in_file = pid_in_file});
  };
  CHECK(exited(20, exit_code(0), 30) == Lines{"record main-pid main=30"});
  CHECK(story.outcome() == "running/success");

  story.reload();
  story.spawned(11);
  CHECK(exited(11, exit_code(0), 40) == Lines{"record main-pid main=40"});
  story.reload();
  story.spawned(12);
  CHECK(exited(12, exit_code(1), 50) == Lines{});
  CHECK(story.service.main_pid() == 40);
  CHECK(exited(30, exit_code(0), 50) == Lines{});
  CHECK(story.service.main_pid() == 40);

  story.stop();
  exited(40, exit_code(0), 50);
  story.emptied();
  CHECK(story.outcome() == "dead/success");
}

TEST_CASE("forking: nothing is left behind") {
  Story guessed = forked(forking_unit());
  CHECK(guessed.found(0, true) == Lines{"record started", "clean-up", "record ended latch=stopped/success"});
  CHECK(guessed.outcome() == "dead/success");
  Story promised = forked(forking_unit("/run/web.pid"));
  promised.found(0, true);
  CHECK(promised.outcome() == "failed/protocol");
}

TEST_CASE("forking: several are left and none is the main one: up until all are gone") {
  Story story = forked(forking_unit());
  CHECK(story.found(0) == Lines{"kill 0 awaits-empty", "record started"});
  CHECK(story.outcome() == "running/success");
  CHECK(story.service.main_pid() == 0);
  CHECK(story.exited(21, exit_code(1)) == Lines{});
  CHECK(story.emptied() == Lines{"clean-up", "record ended latch=stopped/success"});
}

TEST_CASE("forking: a reload that is killed does not end the watch for the processes without a main one") {
  Unit unit = forking_unit();
  unit.auxiliary.edit().reload = {command("/bin/reload")};
  Story story = forked(unit);
  story.found(0);
  story.reload();
  story.spawned(6);
  CHECK(story.wait(seconds(10)) == Lines{"kill KILL control=6 awaits-empty"});
  CHECK(story.emptied() == Lines{"clean-up", "record ended latch=stopped/success"});
}

TEST_CASE("forking: the PID file is late, or never comes") {
  Story late = forked(forking_unit("/run/web.pid"));
  late.wait(seconds(9));
  late.found(20);
  CHECK(late.outcome() == "running/success");
  Story missing = forked(forking_unit("/run/web.pid"));
  CHECK(missing.wait(seconds(10)) == Lines{"kill TERM group awaits-empty"});
  missing.emptied();
  CHECK(missing.outcome() == "failed/timeout");
}

TEST_CASE("forking: ExecStartPost= may be what writes the PID file") {
  Unit unit = forking_unit("/run/web.pid");
  unit.auxiliary.edit().start_post = {command("/bin/post")};
  Story story(unit);
  story.start();
  story.spawned(5);
  CHECK(story.exited(5, exit_code(0)) == Lines{"await-main-pid", "spawn start-post#0"});
  story.spawned(6);
  SECTION("seen after it") {
    CHECK(story.exited(6, exit_code(0)) == Lines{});
    CHECK(story.found(20) == Lines{"record main-pid main=20", "record started main=20"});
  }
  SECTION("seen during it") {
    CHECK(story.found(20) == Lines{"record main-pid main=20"});
    CHECK(story.exited(6, exit_code(0)) == Lines{"record started main=20"});
  }
  SECTION("not seen") {
    story.exited(6, exit_code(0));
    CHECK(story.wait(seconds(10)) == Lines{"kill TERM group awaits-empty"});
  }
}

TEST_CASE("forking: the first process hangs, or fails") {
  Story hangs(forking_unit());
  hangs.start();
  hangs.spawned(5);
  CHECK(hangs.wait(seconds(10)) == Lines{"kill TERM control=5 group awaits-empty"});
  hangs.exited(5, signalled(15));
  hangs.emptied();
  CHECK(hangs.outcome() == "failed/timeout");
}

TEST_CASE("forking: a main process that says MAINPID= and ends before the PID file is seen") {
  Unit unit = forking_unit("/run/web.pid");
  unit.notify_access = NotifyAccess::all;
  Story story = forked(unit);
  Notified event = from(20);
  event.main_pid = 20;
  CHECK(story.tell(event) == Lines{"record main-pid main=20"});
  CHECK(story.exited(20, exit_code(0)) == Lines{});  // another one may be written down
  CHECK(story.found(21) == Lines{"record main-pid main=21", "record started main=21"});
}

TEST_CASE("a health check: the service is up when its first probe has passed") {
  Story story(probed_unit());
  story.start();
  CHECK(story.spawned(10) == Lines{"start-probe"});
  CHECK(story.service.state() == ServiceState::starting);
  CHECK(story.service.health() == HealthState::starting);
  CHECK(story.wait(seconds(5)) == Lines{});  // one at a time
  for (int i = 0; i < 5; ++i) {
    CHECK(story.probed(false) == Lines{});
    CHECK(story.wait(seconds(1)) == Lines{"start-probe"});
  }
  CHECK(story.probed(true) == Lines{"record started main=10"});
  CHECK(story.service.health() == HealthState::healthy);
  // Somewhere within the interval, so that services that started together are not probed together.
  CHECK(story.wait(seconds(18)) == Lines{});
  CHECK(story.wait(seconds(1)) == Lines{"start-probe"});
  // From then on in time, however long an answer takes.
  CHECK(story.wait(seconds(4)) == Lines{});
  CHECK(story.probed(true) == Lines{});
  CHECK(story.wait(seconds(25)) == Lines{});
  CHECK(story.wait(seconds(1)) == Lines{"start-probe"});
  CHECK(story.wait(seconds(40)) == Lines{});
  CHECK(story.probed(true) == Lines{});
  CHECK(story.wait(seconds(1)) == Lines{"start-probe"});
}

TEST_CASE("a health check: the probes of many services are spread over their interval") {
  HealthCheck check;
  check.interval = seconds(30);
  std::vector<int> probes_in_second(30);
  for (std::uint32_t number = 0; number < 3000; ++number) {
    Duration pause = spread_pause(check, ServiceId{number});
    REQUIRE(pause <= check.interval);
    REQUIRE(pause >= std::chrono::milliseconds(100));
    ++probes_in_second[static_cast<std::size_t>(std::chrono::floor<std::chrono::seconds>(pause).count())];
  }
  auto [least, most] = std::ranges::minmax(probes_in_second);
  CHECK(least >= 90);
  CHECK(most <= 102);
}

TEST_CASE("a health check: no probe passes within the time of the start") {
  Unit unit = probed_unit();
  unit.timeouts.edit().start = seconds(3);
  Story story(unit);
  story.start();
  story.spawned(10);
  CHECK(story.wait(seconds(3)) == Lines{"cancel-probe", "kill TERM main=10 group awaits-empty"});
  CHECK(story.probed(true) == Lines{});
  story.exited(10, signalled(15));
  story.emptied();
  CHECK(story.outcome() == "failed/timeout");
  CHECK(story.service.health() == HealthState::none);
}

TEST_CASE("a health check: so many failures in a row restart the service, whatever Restart= says") {
  Story story = healthy(probed_unit());
  auto probe = [&](bool is_healthy) {
    CHECK(story.wait(seconds(30)) == Lines{"start-probe"});
    return story.probed(is_healthy);
  };
  probe(false);
  probe(false);
  probe(true);
  probe(false);
  probe(false);
  CHECK(story.service.health() == HealthState::healthy);
  CHECK(probe(false) == Lines{"kill TERM main=10 group awaits-empty"});
  CHECK(story.service.health() == HealthState::unhealthy);
  CHECK(story.service.status_text() == "unhealthy: HTTP 503");
  story.exited(10, signalled(15));
  CHECK(story.emptied() == Lines{"clean-up will-restart", "record ended"});
  CHECK(story.outcome() == "backoff/watchdog");
}

TEST_CASE("a health check: HealthCheckAction=none only tells") {
  Unit unit = probed_unit();
  unit.health.edit().restarts = false;
  unit.health.edit().retries = 1;
  Story story = healthy(unit);
  story.wait(seconds(30));
  CHECK(story.probed(false) == Lines{});
  CHECK(story.service.health() == HealthState::unhealthy);
  story.wait(seconds(30));
  story.probed(true);
  CHECK(story.service.health() == HealthState::healthy);
}

TEST_CASE("a health check: failures within HealthCheckStartPeriod= do not count") {
  Unit unit = probed_unit();
  unit.health.edit().retries = 1;
  unit.health.edit().start_period = seconds(45);
  Story story = healthy(unit);
  story.wait(seconds(30));
  CHECK(story.probed(false) == Lines{});
  CHECK(story.service.health() == HealthState::healthy);
  story.wait(seconds(30));
  CHECK(story.probed(false) == Lines{"kill TERM main=10 group awaits-empty"});
}

TEST_CASE("a health check rests during a reload and ends with the service") {
  Unit unit = probed_unit();
  unit.auxiliary.edit().reload = {command("/bin/reload")};
  Story story = healthy(unit);
  CHECK(story.wait(seconds(30)) == Lines{"start-probe"});
  CHECK(story.reload() == Lines{"cancel-probe", "spawn reload#0 main=10"});
  story.spawned(11);
  CHECK(story.wait(seconds(60)) == Lines{});
  story.exited(11, exit_code(0));
  CHECK(story.wait(seconds(30)) == Lines{"start-probe"});
  CHECK(story.stop() ==
        Lines{"record stopping main=10", "cancel-probe", "kill TERM main=10 group awaits-empty"});
}

TEST_CASE("a health check: with HealthCheckSuccessThreshold= it takes so many successes in a row") {
  Unit unit = probed_unit();
  unit.health.edit().success_threshold = 2;
  unit.health.edit().retries = 1;
  unit.health.edit().restarts = false;
  Story story(unit);
  story.start();
  story.spawned(10);
  for (bool is_healthy : {true, false, true}) {
    CHECK(story.probed(is_healthy) == Lines{});
    CHECK(story.wait(seconds(1)) == Lines{"start-probe"});
  }
  CHECK(story.probed(true) == Lines{"record started main=10"});
  CHECK(story.service.health() == HealthState::healthy);

  story.wait(seconds(30));
  story.probed(false);
  CHECK(story.service.health() == HealthState::unhealthy);
  story.wait(seconds(30));
  story.probed(true);
  CHECK(story.service.health() == HealthState::unhealthy);
  CHECK(story.wait(seconds(1)) == Lines{"start-probe"});  // the next one soon, for it may be well again
  story.probed(true);
  CHECK(story.service.health() == HealthState::healthy);
}

TEST_CASE("a health check: the last results are kept, and outlive the restart that they led to") {
  Unit unit = probed_unit();
  unit.health.edit().retries = 1;
  Story story = healthy(unit);
  const WallTime began = story.service.probes().front().at;
  CHECK(story.service.probes() == std::vector<ProbeResult>{{began, Duration::zero(), true, ""}});
  const Duration pause = spread_pause(*unit.health, story.id);
  CHECK(story.wait(pause) == Lines{"start-probe"});
  CHECK(story.wait(seconds(2)) == Lines{});  // it takes its time
  story.probed(false);
  story.exited(10, signalled(15));
  story.emptied();
  std::vector<ProbeResult> both = {{began, Duration::zero(), true, ""},
                                   {began + pause, seconds(2), false, "HTTP 503"}};
  CHECK(story.service.probes() == both);
  CHECK(story.service.deadline() != never);  // of the backoff
  story.start();
  story.spawned(11);
  for (int i = 0; i < 20; ++i) {
    story.probed(false);
    story.wait(seconds(1));
  }
  CHECK(story.service.probes().size() == probe_history_limit);
}

TEST_CASE("a health check that is added, changed or removed applies to the running service") {
  Story story(plain_unit());
  story.start();
  story.spawned(10);
  CHECK(story.service.health() == HealthState::none);
  CHECK(story.replace_unit(probed_unit()) == Lines{"start-probe"});
  CHECK(story.service.health() == HealthState::starting);
  CHECK(story.service.state() == ServiceState::running);
  story.probed(true);
  CHECK(story.service.health() == HealthState::healthy);

  Unit other = probed_unit();
  other.health.edit().interval = seconds(5);
  CHECK(story.replace_unit(other) == Lines{"start-probe"});
  CHECK(story.service.health() == HealthState::healthy);
  CHECK(story.replace_unit(plain_unit()) == Lines{"cancel-probe"});
  CHECK(story.service.health() == HealthState::none);
  CHECK(story.wait(seconds(60)) == Lines{});

  Story starting(probed_unit());
  starting.start();
  starting.spawned(10);
  CHECK(starting.service.state() == ServiceState::starting);
  CHECK(starting.replace_unit(plain_unit()) == Lines{"cancel-probe", "record started main=10"});
  CHECK(starting.service.state() == ServiceState::running);
}
