// Services of an earlier agent: what is found is continued, nothing runs twice, nothing is forgotten.
#include "reconcile/lifecycle/story.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

constexpr AdoptedProcess alive{10, true};
constexpr AdoptedProcess gone{10, false};

AdoptedService started(AdoptedProcess main) {
  AdoptedService record;
  record.name = "web";
  record.main = main;
  record.restarts = 2;
  record.was_started = true;
  record.started_at = Instant(seconds(900));
  return record;
}

Unit restarting(RestartMode mode) {
  Unit unit = plain_unit();
  unit.restart.edit().mode = mode;
  return unit;
}

}  // namespace

TEST_CASE("a running service is taken over without a touch") {
  Story story(restarting(RestartMode::always));
  CHECK(story.adopt(started(alive)) == Lines{});
  CHECK(story.outcome() == "running/success");
  CHECK(story.service.main_pid() == 10);
  CHECK(story.service.restarts() == 2);
  CHECK(story.service.since() == story.now.wall - seconds(100));
  story.exited(10, exit_code(1));
  story.emptied();
  CHECK(story.outcome() == "backoff/exit-code");
}

TEST_CASE("a main process that ended unseen: as Restart= promises") {
  Story no(restarting(RestartMode::no));
  no.adopt(started(gone));
  no.emptied();
  CHECK(no.outcome() == "dead/success");
  Story yes(restarting(RestartMode::on_abort));
  CHECK(yes.adopt(started(gone)) == Lines{"kill TERM group awaits-empty"});
  CHECK(yes.emptied() == Lines{"clean-up will-restart", "record ended"});
  CHECK(yes.outcome() == "backoff/exit-code");
  CHECK(yes.service.main_exit() == unseen());
}

TEST_CASE("a latched service stays down") {
  AdoptedService record;
  record.name = "web";
  record.latch = Latch{LatchKind::completed, ServiceResult::success, exit_code(0)};
  Story completed(plain_unit(ServiceType::oneshot));
  CHECK(completed.adopt(record) == Lines{});
  CHECK(completed.service.state() == ServiceState::completed);
  record.latch = Latch{LatchKind::failed, ServiceResult::signal, signalled(11)};
  Story failed(plain_unit());
  CHECK(failed.adopt(record) == Lines{});
  CHECK(failed.outcome() == "failed/signal");
  CHECK(failed.service.main_exit() == signalled(11));
  record.latch = Latch{LatchKind::stopped, ServiceResult::condition, std::nullopt};
  Story skipped(plain_unit());
  skipped.adopt(record);
  CHECK(skipped.service.was_skipped());
}

TEST_CASE("notify: READY=1 may have been missed, so it is assumed") {
  AdoptedService record = started(alive);
  record.was_started = false;
  Story story(plain_unit(ServiceType::notify));
  CHECK(story.adopt(record) == Lines{"record started main=10"});
  CHECK(story.service.is_readiness_assumed());
  story.ready(10);
  CHECK_FALSE(story.service.is_readiness_assumed());
}

TEST_CASE("start-up goes on after the last command that was run") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().start_pre = {command("/bin/a"), command("/bin/b")};
  AdoptedService record;
  record.name = "web";
  record.phase = ExecPhase::start_pre;
  SECTION("which still runs") {
    record.control = AdoptedProcess{5, true};
    Story story(unit);
    CHECK(story.adopt(record) == Lines{});
    CHECK(story.exited(5, exit_code(0)) == Lines{"spawn start-pre#1"});
  }
  SECTION("which ended unseen") {
    record.control = AdoptedProcess{5, false};
    Story story(unit);
    CHECK(story.adopt(record) == Lines{"spawn start-pre#1"});
  }
  SECTION("which was the last of its phase") {
    record.command_index = 1;
    Story story(unit);
    CHECK(story.adopt(record) == Lines{"spawn start#0"});
  }
}

TEST_CASE("a simple service whose start was not recorded yet") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().start_post = {command("/bin/post")};
  AdoptedService record = started(alive);
  record.was_started = false;
  Story story(unit);
  CHECK(story.adopt(record) == Lines{"spawn start-post#0 main=10"});
}

TEST_CASE("oneshot: the command goes on, the next one follows, what was done is not done again") {
  Unit unit = plain_unit(ServiceType::oneshot);
  unit.start = {command("/bin/a"), command("/bin/b")};
  AdoptedService record = started(alive);
  record.was_started = false;
  Story still(unit);
  CHECK(still.adopt(record) == Lines{});
  CHECK(still.exited(10, exit_code(0)) == Lines{"spawn start#1"});
  record.main = gone;
  Story between(unit);
  CHECK(between.adopt(record) == Lines{"spawn start#1"});
  record.command_index = 1;
  record.was_started = true;
  unit.remains_after_exit = true;
  Story done(unit);
  CHECK(done.adopt(record) == Lines{});
  CHECK(done.outcome() == "exited/success");
}

TEST_CASE("forking: the first process, its PID file, and processes without a main one") {
  Unit unit = plain_unit(ServiceType::forking);
  AdoptedService record;
  record.name = "web";
  record.phase = ExecPhase::start;
  Story awaited(unit);
  CHECK(awaited.adopt(record) == Lines{"await-main-pid"});
  record.control = AdoptedProcess{5, true};
  Story first(unit);
  CHECK(first.adopt(record) == Lines{});
  CHECK(first.exited(5, exit_code(0)) == Lines{"await-main-pid"});
  record.control.reset();
  record.was_started = true;
  Story many(unit);
  CHECK(many.adopt(record) == Lines{"kill 0 awaits-empty"});
  CHECK(many.outcome() == "running/success");
}

TEST_CASE("a stop by request goes on, and is not judged") {
  Unit unit = restarting(RestartMode::always);
  unit.auxiliary.edit().stop = {command("/bin/stop")};
  AdoptedService record = started(alive);
  record.was_stopping = true;
  SECTION("before ExecStop=") {
    Story story(unit);
    CHECK(story.adopt(record) == Lines{"spawn stop#0 main=10 result=success"});
  }
  SECTION("during ExecStop=") {
    record.phase = ExecPhase::stop;
    record.control = AdoptedProcess{5, true};
    Story story(unit);
    CHECK(story.adopt(record) == Lines{});
    CHECK(story.exited(5, exit_code(0)) == Lines{"kill TERM main=10 group awaits-empty"});
    story.exited(10, signalled(15));
    CHECK(story.emptied() == Lines{"clean-up", "record ended"});
    CHECK(story.outcome() == "dead/success");
  }
  SECTION("after the end of the main process") {
    record.phase = ExecPhase::stop;
    record.main = gone;
    Story story(unit);
    CHECK(story.adopt(record) == Lines{"kill TERM group awaits-empty"});
    CHECK(story.emptied() == Lines{"clean-up", "record ended"});
    CHECK(story.outcome() == "dead/success");
  }
}

TEST_CASE("an end by itself goes on, and is judged as one that nobody saw") {
  AdoptedService record = started(gone);
  record.phase = ExecPhase::stop_post;
  record.control = AdoptedProcess{5, true};
  Story story(restarting(RestartMode::on_failure));
  CHECK(story.adopt(record) == Lines{});
  CHECK(story.exited(5, exit_code(0)) == Lines{"kill TERM group awaits-empty"});
  CHECK(story.emptied() == Lines{"clean-up will-restart", "record ended"});
}

TEST_CASE("a oneshot found in ExecStopPost= without having been started has failed") {
  AdoptedService record;
  record.name = "web";
  record.phase = ExecPhase::stop_post;
  Story story(plain_unit(ServiceType::oneshot));
  story.adopt(record);
  story.emptied();
  CHECK(story.outcome() == "failed/exit-code");
}

TEST_CASE("a reload under way goes on") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().reload = {command("/bin/reload")};
  AdoptedService record = started(alive);
  record.phase = ExecPhase::reload;
  record.control = AdoptedProcess{5, true};
  Story story(unit);
  CHECK(story.adopt(record) == Lines{});
  CHECK(story.service.state() == ServiceState::reloading);
  CHECK(story.exited(5, exit_code(0)) == Lines{});
  CHECK(story.outcome() == "running/success");
}

TEST_CASE("an adopted service is probed at once, and counts as started") {
  Unit unit = plain_unit();
  unit.health.edit().kind = HealthCheckKind::http;
  Story story(unit);
  CHECK(story.adopt(started(alive)) == Lines{"start-probe"});
  CHECK(story.outcome() == "running/success");
  CHECK(story.service.health() == HealthState::starting);
}

TEST_CASE("start-up goes on in ExecCondition= and ExecStartPost= as well") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().condition = {command("/bin/cond")};
  unit.auxiliary.edit().start_post = {command("/bin/a"), command("/bin/b")};
  AdoptedService record;
  record.name = "web";
  record.phase = ExecPhase::condition;
  Story early(unit);
  CHECK(early.adopt(record) == Lines{"spawn start#0"});
  record.phase = ExecPhase::start_post;
  record.main = alive;
  Story late(unit);
  CHECK(late.adopt(record) == Lines{"spawn start-post#1 main=10"});
}

TEST_CASE("a stop by request of what was not started, or was reloading, goes on with the signals") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().stop = {command("/bin/stop")};
  AdoptedService record = started(alive);
  record.was_stopping = true;
  record.was_started = false;
  Story starting(unit);
  CHECK(starting.adopt(record) == Lines{"kill TERM main=10 group awaits-empty"});
  record.was_started = true;
  record.phase = ExecPhase::reload;
  Story reloading(unit);
  CHECK(reloading.adopt(record) == Lines{"kill TERM main=10 group awaits-empty"});
}

TEST_CASE("a service whose unit nobody knows any more runs on, and can be stopped") {
  Lifecycle service(Story::id);
  IdSource ids(1);
  Commands commands;
  LifecycleContext context{Now{Instant(seconds(1)), WallTime(seconds(1))}, ids, commands};
  service.adopt(started(alive), nullptr, context);
  CHECK(service.phase() == Phase::running);
  CHECK(service.unit()->name == "web");
  service.stop(StopCause::operator_request, context);
  CHECK(service.phase() == Phase::stop_sigterm);
}
