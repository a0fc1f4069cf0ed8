// The way through a service's life: which command runs when, and what it comes to.
#include "reconcile/lifecycle/lifecycle.h"

#include "reconcile/lifecycle/story.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

Unit with_everything() {
  Unit unit = plain_unit();
  AuxiliaryCommands& auxiliary = unit.auxiliary.edit();
  auxiliary.condition = {command("/bin/cond")};
  auxiliary.start_pre = {command("/bin/pre1"), command("/bin/pre2")};
  auxiliary.start_post = {command("/bin/post")};
  auxiliary.reload = {command("/bin/reload")};
  auxiliary.stop = {command("/bin/stop")};
  auxiliary.stop_post = {command("/bin/stop-post")};
  return unit;
}

// Up and running as pid 10.
Story running(Unit unit) {
  Story story(std::move(unit));
  story.start();
  story.spawned(10);
  REQUIRE(story.outcome() == "running/success");
  return story;
}

}  // namespace

TEST_CASE("a full life: every phase in its order, and a clean stop") {
  Story story(with_everything());
  CHECK(story.start() == Lines{"spawn condition#0"});
  CHECK(story.spawned(1) == Lines{});
  CHECK(story.exited(1, exit_code(0)) == Lines{"spawn start-pre#0"});
  story.spawned(2);
  CHECK(story.exited(2, exit_code(0)) == Lines{"spawn start-pre#1"});
  story.spawned(3);
  CHECK(story.exited(3, exit_code(0)) == Lines{"spawn start#0"});
  CHECK(story.spawned(10) == Lines{"spawn start-post#0 main=10"});
  story.spawned(4);
  CHECK(story.service.state() == ServiceState::starting);
  CHECK(story.exited(4, exit_code(0)) == Lines{"record started main=10"});
  CHECK(story.outcome() == "running/success");
  CHECK(story.service.deadline() == never);

  CHECK(story.reload() == Lines{"spawn reload#0 main=10"});
  CHECK(story.service.state() == ServiceState::reloading);
  story.spawned(5);
  CHECK(story.exited(5, exit_code(0)) == Lines{});
  CHECK(story.outcome() == "running/success");

  CHECK(story.stop() == Lines{"record stopping main=10", "spawn stop#0 main=10 result=success"});
  story.spawned(6);
  CHECK(story.exited(6, exit_code(0)) == Lines{"kill TERM main=10 group awaits-empty"});
  CHECK(story.exited(10, signalled(15)) == Lines{});
  CHECK(story.emptied() == Lines{"spawn stop-post#0 result=success (killed by SIGTERM)"});
  story.spawned(7);
  CHECK(story.exited(7, exit_code(0)) == Lines{"kill TERM group awaits-empty"});
  CHECK(story.emptied() == Lines{"clean-up", "record ended"});
  CHECK(story.outcome() == "dead/success");
  CHECK(story.service.state() == ServiceState::stopped);
}

TEST_CASE("each Spawn carries the invocation, a restart is a new one") {
  Unit unit = plain_unit();
  unit.restart.edit().mode = RestartMode::always;
  Story story = running(unit);
  InvocationId first = story.service.invocation();
  CHECK(first != InvocationId{});
  story.exited(10, exit_code(1));
  story.emptied();
  CHECK(story.outcome() == "backoff/exit-code");
  story.start(true);
  CHECK(story.service.invocation() != first);
  CHECK(std::get<Spawn>(story.last_commands.at(0)).invocation == story.service.invocation());
  CHECK(std::get<Spawn>(story.last_commands.at(0)).restarts == 1);
}

TEST_CASE("the main process crashes: ExecStop= is skipped, ExecStopPost= runs") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().stop = {command("/bin/stop")};
  unit.auxiliary.edit().stop_post = {command("/bin/stop-post")};
  Story story = running(unit);
  CHECK(story.exited(10, exit_code(3)) == Lines{"kill TERM group awaits-empty"});
  CHECK(story.emptied() == Lines{"spawn stop-post#0 result=exit-code (exited with status 3)"});
  story.spawned(11);
  story.exited(11, exit_code(0));
  CHECK(story.emptied() == Lines{"clean-up", "record ended latch=failed/exit-code"});
  CHECK(story.outcome() == "failed/exit-code");
  CHECK(story.service.status_text() == "main process exited with status 3");
}

TEST_CASE("the main process ends well by itself: ExecStop= runs, without MAINPID") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().stop = {command("/bin/stop")};
  unit.auxiliary.edit().stop_post = {command("/bin/stop-post")};
  Story story = running(unit);
  CHECK(story.exited(10, exit_code(0)) == Lines{"spawn stop#0 result=success (exited with status 0)"});
  story.spawned(11);
  CHECK(story.exited(11, exit_code(0)) == Lines{"kill TERM group awaits-empty"});
  CHECK(story.emptied() == Lines{"spawn stop-post#0 result=success (exited with status 0)"});
  story.spawned(12);
  story.exited(12, exit_code(0));
  CHECK(story.emptied() == Lines{"clean-up", "record ended latch=stopped/success"});
  CHECK(story.outcome() == "dead/success");
}

TEST_CASE("ExecStartPre= fails: nothing else runs but ExecStopPost=") {
  Unit unit = with_everything();
  unit.auxiliary.edit().condition.clear();
  Story story(unit);
  story.start();
  story.spawned(1);
  CHECK(story.exited(1, exit_code(4)) == Lines{"kill TERM group awaits-empty"});
  CHECK(story.emptied() == Lines{"spawn stop-post#0 result=exit-code"});
  story.spawned(2);
  story.exited(2, exit_code(0));
  CHECK(story.emptied() == Lines{"clean-up", "record ended latch=failed/exit-code"});
  CHECK_FALSE(story.service.was_started());
}

TEST_CASE("ExecStartPre= with the prefix - may fail, and be missing") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().start_pre = {command("/bin/pre", true), command("/no/such", true)};
  Story story(unit);
  story.start();
  story.spawned(1);
  CHECK(story.exited(1, exit_code(4)) == Lines{"spawn start-pre#1"});
  CHECK(story.spawn_failed(203) == Lines{"spawn start#0"});
  story.spawned(10);
  CHECK(story.outcome() == "running/success");
}

TEST_CASE("ExecStartPost= fails: the main process is ended, and its clean end changes nothing") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().start_post = {command("/bin/post")};
  unit.auxiliary.edit().stop = {command("/bin/stop")};
  Story story(unit);
  story.start();
  story.spawned(10);
  story.spawned(11);
  CHECK(story.exited(11, exit_code(5)) == Lines{"kill TERM main=10 group awaits-empty"});
  story.exited(10, exit_code(0));
  CHECK(story.emptied() == Lines{"clean-up", "record ended latch=failed/exit-code"});
}

TEST_CASE("ExecCondition= says no: skipped, ExecStopPost= runs, no restart whatever Restart= says") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().condition = {command("/bin/cond")};
  unit.auxiliary.edit().stop_post = {command("/bin/stop-post")};
  unit.restart.edit().mode = RestartMode::always;
  Story story(unit);
  story.start();
  story.spawned(1);
  story.exited(1, exit_code(1));
  CHECK(story.emptied() == Lines{"spawn stop-post#0 result=condition"});
  story.spawned(2);
  story.exited(2, exit_code(0));
  CHECK(story.emptied() == Lines{"clean-up", "record ended latch=stopped/condition"});
  CHECK(story.outcome() == "dead/condition");
  CHECK(story.service.was_skipped());
}

TEST_CASE("ExecCondition= fails with 255 or a signal: a failure") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().condition = {command("/bin/cond")};
  for (ExitStatus status : {exit_code(255), signalled(15)}) {
    Story story(unit);
    story.start();
    story.spawned(1);
    story.exited(1, status);
    story.emptied();
    CHECK(story.service.phase() == Phase::failed);
  }
}

TEST_CASE("Condition...= and Assert...= are checked first") {
  Unit unit = plain_unit();
  unit.conditions.edit().push_back({});
  SECTION("met") {
    Story story(unit);
    CHECK(story.start() == Lines{"check-conditions"});
    CHECK(story.tell(ConditionsChecked{Story::id}) == Lines{"spawn start#0"});
  }
  SECTION("a condition that is not met skips the service") {
    Story story(unit);
    story.start();
    ConditionsChecked no{.service = Story::id, .is_met = false, .unmet = "ConditionPathExists=/x"};
    CHECK(story.tell(no) == Lines{"clean-up", "record ended latch=stopped/condition"});
    CHECK(story.outcome() == "dead/condition");
    CHECK(story.service.was_skipped());
    CHECK(story.service.status_text() == "ConditionPathExists=/x was not met");
  }
  SECTION("an assertion that is not met fails it") {
    Story story(unit);
    story.start();
    ConditionsChecked no{
        .service = Story::id, .is_met = false, .is_assert = true, .unmet = "AssertPathExists=/x"};
    CHECK(story.tell(no) == Lines{"clean-up", "record ended latch=failed/condition"});
    CHECK(story.outcome() == "failed/condition");
    CHECK_FALSE(story.service.was_skipped());
  }
  SECTION("a stop does not wait for the answer, which is then ignored") {
    Story story(unit);
    story.start();
    CHECK(story.stop() == Lines{"record stopping", "clean-up", "record ended"});
    CHECK(story.tell(ConditionsChecked{Story::id}) == Lines{});
    CHECK(story.outcome() == "dead/success");
  }
  SECTION("an answer that never comes is not waited for for ever") {
    Story story(unit);
    story.start();
    story.wait(seconds(90));
    CHECK(story.outcome() == "failed/timeout");
  }
}

TEST_CASE("ExecStopPost= or ExecStop= fails: the service has failed") {
  SECTION("ExecStopPost= after a clean end") {
    Unit unit = plain_unit();
    unit.auxiliary.edit().stop_post = {command("/bin/false")};
    Story story = running(unit);
    story.exited(10, exit_code(0));
    story.emptied();
    story.spawned(11);
    story.exited(11, exit_code(1));
    story.emptied();
    CHECK(story.outcome() == "failed/exit-code");
  }
  SECTION("ExecStop= in a stop by request") {
    Unit unit = plain_unit();
    unit.auxiliary.edit().stop = {command("/bin/false")};
    Story story = running(unit);
    story.stop();
    story.spawned(11);
    CHECK(story.exited(11, exit_code(1)) == Lines{"kill TERM main=10 group awaits-empty"});
    story.exited(10, signalled(15));
    CHECK(story.emptied() == Lines{"clean-up", "record ended"});
    CHECK(story.outcome() == "failed/exit-code");
  }
}

TEST_CASE("a reload that fails leaves the service running") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().reload = {command("/bin/false")};
  unit.timeouts.edit().start = seconds(1);
  Story story = running(unit);
  SECTION("by its exit") {
    story.reload();
    story.spawned(11);
    CHECK(story.exited(11, exit_code(1)) == Lines{});
  }
  SECTION("by its time") {
    story.reload();
    story.spawned(11);
    CHECK(story.wait(seconds(1)) == Lines{"kill KILL control=11"});
    CHECK(story.exited(11, signalled(9)) == Lines{});
  }
  SECTION("by its program") {
    story.reload();
    CHECK(story.spawn_failed(203) == Lines{});
  }
  SECTION("by lack of everything") {
    story.reload();
    CHECK(story.spawn_failed(0) == Lines{});
  }
  CHECK(story.outcome() == "running/success");
  CHECK(story.service.last_reload_failed());
  CHECK(story.service.deadline() == never);
}

TEST_CASE("a reload needs ExecReload= and a service that is up") {
  Story story = running(plain_unit());
  CHECK(story.reload() == Lines{});
  CHECK(story.outcome() == "running/success");
  Unit unit = plain_unit();
  unit.auxiliary.edit().reload = {command("/bin/reload")};
  Story down(unit);
  CHECK(down.reload() == Lines{});
}

TEST_CASE("the main process fails during a reload: noticed when the reload is over") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().reload = {command("/bin/reload")};
  Story story = running(unit);
  story.reload();
  story.spawned(11);
  CHECK(story.exited(10, exit_code(1)) == Lines{});
  CHECK(story.exited(11, exit_code(0)) == Lines{"kill TERM group awaits-empty"});
  story.emptied();
  CHECK(story.outcome() == "failed/exit-code");
}

TEST_CASE("Type=simple with a missing program was started, then failed with 203") {
  Story story(plain_unit());
  story.start();
  CHECK(story.spawn_failed(203) == Lines{"record started", "kill TERM group awaits-empty"});
  story.emptied();
  CHECK(story.outcome() == "failed/exit-code");
  CHECK(story.service.was_started());
  CHECK(story.service.main_exit() == exit_code(203));
}

TEST_CASE("other types with a missing program were never started") {
  for (ServiceType type :
       {ServiceType::exec, ServiceType::notify, ServiceType::oneshot, ServiceType::forking}) {
    Story story(plain_unit(type));
    story.start();
    CHECK(story.spawn_failed(203) == Lines{"kill TERM group awaits-empty"});
    CHECK(story.emptied() == Lines{"clean-up", "record ended latch=failed/exit-code"});
    CHECK_FALSE(story.service.was_started());
  }
}

TEST_CASE("no process can be had at all: resources") {
  Story story(plain_unit());
  story.start();
  story.spawn_failed(0);
  story.emptied();
  CHECK(story.outcome() == "failed/resources");
  CHECK(story.service.status_text() == "cannot spawn");
}

TEST_CASE("oneshot runs its commands in turn, without a time-out, and is completed") {
  Unit unit = plain_unit(ServiceType::oneshot);
  unit.start = {command("/bin/a"), command("/bin/b", true), command("/bin/c")};
  Story story(unit);
  CHECK(story.start() == Lines{"spawn start#0"});
  story.spawned(1);
  CHECK(story.service.deadline() == never);
  CHECK(story.exited(1, exit_code(0)) == Lines{"spawn start#1"});
  story.spawned(2);
  CHECK(story.exited(2, exit_code(1)) == Lines{"spawn start#2"});
  story.spawned(3);
  CHECK(story.exited(3, exit_code(0)) == Lines{"record started", "kill TERM group awaits-empty"});
  CHECK(story.emptied() == Lines{"clean-up", "record ended latch=completed/success"});
  CHECK(story.service.state() == ServiceState::completed);
}

TEST_CASE("oneshot stops at the first command that fails, and SIGTERM is a failure to it") {
  Unit unit = plain_unit(ServiceType::oneshot);
  unit.start = {command("/bin/a"), command("/bin/b")};
  Story story(unit);
  story.start();
  story.spawned(1);
  story.exited(1, signalled(15));
  CHECK(story.emptied() == Lines{"clean-up", "record ended latch=failed/signal"});
}

TEST_CASE("oneshot with RemainAfterExit= stays active and leaves what it started alone") {
  Unit unit = plain_unit(ServiceType::oneshot);
  unit.remains_after_exit = true;
  unit.auxiliary.edit().stop = {command("/bin/stop")};
  Story story(unit);
  story.start();
  story.spawned(1);
  CHECK(story.exited(1, exit_code(0)) == Lines{"record started"});
  CHECK(story.outcome() == "exited/success");
  CHECK(story.service.is_active());
  CHECK(story.stop() == Lines{"record stopping", "spawn stop#0 result=success (exited with status 0)"});
  story.spawned(2);
  story.exited(2, exit_code(0));
  story.emptied();
  CHECK(story.service.state() == ServiceState::stopped);
}

TEST_CASE("oneshot without ExecStart=: active from the start until ExecStop=") {
  Unit unit = plain_unit(ServiceType::oneshot);
  unit.start.clear();
  unit.remains_after_exit = true;
  unit.auxiliary.edit().stop = {command("/bin/stop")};
  Story story(unit);
  CHECK(story.start() == Lines{"record started"});
  CHECK(story.outcome() == "exited/success");
}

TEST_CASE("simple with RemainAfterExit=: exited after a clean end, failed after another") {
  Unit unit = plain_unit();
  unit.remains_after_exit = true;
  Story good = running(unit);
  CHECK(good.exited(10, exit_code(0)) == Lines{});
  CHECK(good.outcome() == "exited/success");
  CHECK(good.service.state() == ServiceState::running);
  Story bad = running(unit);
  bad.exited(10, exit_code(1));
  bad.emptied();
  CHECK(bad.outcome() == "failed/exit-code");
}

TEST_CASE("each start-up command has the whole time-out for itself") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().start_pre = {command("/bin/a"), command("/bin/b")};
  unit.timeouts.edit().start = seconds(10);
  Story story(unit);
  story.start();
  story.spawned(1);
  CHECK(story.wait(seconds(9)) == Lines{});
  story.exited(1, exit_code(0));
  story.spawned(2);
  CHECK(story.wait(seconds(9)) == Lines{});
  CHECK(story.wait(seconds(1)) == Lines{"kill TERM control=2 group awaits-empty"});
  story.exited(2, signalled(15));
  story.emptied();
  CHECK(story.outcome() == "failed/timeout");
}

TEST_CASE("RuntimeMaxSec= ends the service as a failure, ExecStop= included") {
  Unit unit = plain_unit();
  unit.auxiliary.edit().stop = {command("/bin/stop")};
  unit.timeouts.edit().runtime_max = seconds(30);
  Story story = running(unit);
  CHECK(story.wait(seconds(29)) == Lines{});
  CHECK(story.wait(seconds(1)) == Lines{"spawn stop#0 main=10 result=timeout"});
  story.spawned(11);
  story.exited(11, exit_code(0));
  story.exited(10, signalled(15));
  CHECK(story.emptied() == Lines{"clean-up", "record ended latch=failed/timeout"});
}

TEST_CASE("a stop during start-up skips ExecStop=") {
  Unit unit = with_everything();
  unit.auxiliary.edit().condition.clear();
  Story story(unit);
  story.start();
  story.spawned(1);
  CHECK(story.stop() == Lines{"record stopping", "kill TERM control=1 group awaits-empty"});
  story.exited(1, signalled(15));
  CHECK(story.emptied() == Lines{"spawn stop-post#0 result=signal"});
  story.spawned(2);
  story.exited(2, exit_code(0));
  CHECK(story.emptied() == Lines{"clean-up", "record ended"});
  CHECK(story.outcome() == "failed/signal");
}

TEST_CASE("a stop while a process is being spawned reaches it as soon as its pid is known") {
  Story story(plain_unit());
  story.start();
  CHECK(story.stop() == Lines{"record stopping", "kill TERM group awaits-empty"});
  CHECK(story.emptied() == Lines{});  // the group was empty before the process
  CHECK(story.spawned(10) == Lines{"kill TERM main=10 group awaits-empty"});
  story.exited(10, signalled(15));
  CHECK(story.emptied() == Lines{"clean-up", "record ended"});
  CHECK(story.outcome() == "dead/success");
}

TEST_CASE("a process that comes when nobody waits for it any more is killed") {
  Unit unit = plain_unit();
  unit.timeouts.edit().start = seconds(1);
  unit.timeouts.edit().stop = seconds(1);
  Story story(unit);
  story.start();
  story.wait(seconds(10));
  CHECK(story.outcome() == "failed/timeout");
  CHECK(story.spawned(10) == Lines{"kill KILL control=10"});
}

TEST_CASE("a manual stop forbids the restart, also when the end had begun by itself") {
  Unit unit = plain_unit();
  unit.restart.edit().mode = RestartMode::always;
  unit.restart.edit().delay = seconds(30);
  SECTION("running") {
    Story story = running(unit);
    story.stop();
    story.exited(10, signalled(9));
    CHECK(story.emptied() == Lines{"clean-up", "record ended"});
    CHECK(story.outcome() == "failed/signal");
  }
  SECTION("already ending") {
    Story story = running(unit);
    story.exited(10, exit_code(1));
    CHECK(story.stop() == Lines{"record stopping"});
    CHECK(story.stop() == Lines{});
    CHECK(story.emptied() == Lines{"clean-up", "record ended"});
    CHECK(story.outcome() == "failed/exit-code");
  }
  SECTION("in backoff: dead at once, and well") {
    Story story = running(unit);
    story.exited(10, exit_code(1));
    CHECK(story.emptied() == Lines{"clean-up will-restart", "record ended"});
    CHECK(story.outcome() == "backoff/exit-code");
    CHECK(story.service.deadline() == story.now.instant + seconds(30));
    CHECK(story.stop() == Lines{"record stopping", "clean-up", "record ended"});
    CHECK(story.outcome() == "dead/success");
  }
  SECTION("down") {
    Story story(unit);
    CHECK(story.stop() == Lines{});
  }
}

TEST_CASE("a stop for a restart tells so, and leaves the start to the Reconciler") {
  Story story = running(plain_unit());
  CHECK(story.stop(StopCause::restart) ==
        Lines{"record stopping main=10", "kill TERM main=10 group awaits-empty"});
  story.exited(10, signalled(15));
  CHECK(story.emptied() == Lines{"clean-up will-restart", "record ended"});
  CHECK(story.outcome() == "dead/success");
}

TEST_CASE("backoff: an operator's start does not wait, RestartSec=infinity waits for ever") {
  Unit unit = plain_unit();
  unit.restart.edit().mode = RestartMode::on_failure;
  unit.restart.edit().delay = infinite;
  Story story = running(unit);
  story.exited(10, signalled(9));
  story.emptied();
  CHECK(story.outcome() == "backoff/signal");
  CHECK(story.service.deadline() == never);
  CHECK(story.start() == Lines{"spawn start#0"});
  CHECK(story.service.restarts() == 0);
}

TEST_CASE("the start limit counts every start and keeps the last failure as the result") {
  Unit unit = plain_unit();
  unit.restart.edit() = {.mode = RestartMode::always,
                         .delay = milliseconds(10),
                         .start_limit_interval = seconds(10),
                         .start_limit_burst = 5,
                         .success = {},
                         .prevent = {},
                         .force = {}};
  Story story(unit);
  int runs = 0;
  Lines last = story.start();
  while (last == Lines{"spawn start#0"}) {
    ++runs;
    story.spawned(10);
    story.exited(10, exit_code(1));
    story.emptied();
    story.wait(milliseconds(10));
    last = story.start(true);
  }
  CHECK(runs == 5);
  CHECK(last == Lines{"clean-up", "record ended latch=failed/exit-code"});
  CHECK(story.outcome() == "failed/exit-code");
  CHECK(story.service.restarts() == 5);

  CHECK(story.start() == Lines{"clean-up", "record ended latch=failed/exit-code"});
  story.service.reset_failed();
  CHECK(story.outcome() == "dead/success");
  CHECK(story.start() == Lines{"spawn start#0"});
}

TEST_CASE("too many starts of a service that never failed: start-limit-hit, the next window begins anew") {
  Unit unit = plain_unit(ServiceType::oneshot);
  unit.restart.edit().start_limit_interval = seconds(10);
  unit.restart.edit().start_limit_burst = 2;
  Story story(unit);
  for (int i = 0; i < 2; ++i) {
    story.start();
    story.spawned(1);
    story.exited(1, exit_code(0));
    story.emptied();
    CHECK(story.service.state() == ServiceState::completed);
  }
  story.start();
  CHECK(story.outcome() == "failed/start-limit-hit");
  story.wait(seconds(10));
  story.start();
  CHECK(story.outcome() == "failed/start-limit-hit");
  story.wait(microseconds(1));
  CHECK(story.start() == Lines{"spawn start#0"});
}

TEST_CASE("a service that its conditions keep down does not use up its starts") {
  Unit unit = plain_unit();
  unit.conditions.edit().push_back({});
  unit.restart.edit().start_limit_interval = seconds(10);
  unit.restart.edit().start_limit_burst = 1;
  Story story(unit);
  for (int i = 0; i < 3; ++i) {
    story.start();
    story.tell(ConditionsChecked{.service = Story::id, .is_met = false, .unmet = "x"});
  }
  story.start();
  CHECK(story.tell(ConditionsChecked{Story::id}) == Lines{"spawn start#0"});
}

TEST_CASE("what the exit of the main process comes to") {
  struct Case {
    std::string name;
    ExitStatusSet success, prevent, force;
    RestartMode mode;
    ExitStatus status;
    std::string outcome;
  };
  ExitStatusSet nothing;
  Case cases[] = {
      {"143 is a failure", nothing, nothing, nothing, RestartMode::no, exit_code(143), "failed/exit-code"},
      {"SuccessExitStatus=143",
       {{143}, {}},
       nothing,
       nothing,
       RestartMode::no,
       exit_code(143),
       "dead/success"},
      {"SuccessExitStatus=SIGKILL",
       {{}, {9}},
       nothing,
       nothing,
       RestartMode::on_failure,
       signalled(9),
       "dead/success"},
      {"RestartPreventExitStatus=3",
       nothing,
       {{3}, {}},
       nothing,
       RestartMode::always,
       exit_code(3),
       "failed/exit-code"},
      {"RestartForceExitStatus=0",
       nothing,
       nothing,
       {{0}, {}},
       RestartMode::no,
       exit_code(0),
       "backoff/success"},
      {"SIGTERM is clean", nothing, nothing, nothing, RestartMode::on_failure, signalled(15), "dead/success"},
      {"SIGKILL is not", nothing, nothing, nothing, RestartMode::on_failure, signalled(9), "backoff/signal"},
      {"unseen under Restart=no", nothing, nothing, nothing, RestartMode::no, unseen(), "dead/success"},
      {"unseen otherwise", nothing, nothing, nothing, RestartMode::on_watchdog, unseen(),
       "backoff/exit-code"},
      {"unseen, on-success", nothing, nothing, nothing, RestartMode::on_success, unseen(),
       "backoff/exit-code"},
  };
  for (const Case& each : cases) {
    INFO(each.name);
    Unit unit = plain_unit();
    RestartPolicy& policy = unit.restart.edit();
    policy.mode = each.mode;
    policy.success = each.success;
    policy.prevent = each.prevent;
    policy.force = each.force;
    Story story = running(unit);
    story.exited(10, each.status);
    story.emptied();
    CHECK(story.outcome() == each.outcome);
  }
}

TEST_CASE("the prefix - on ExecStart= makes every end a clean one") {
  Unit unit = plain_unit();
  unit.start = {command("/bin/false", true)};
  unit.restart.edit().mode = RestartMode::on_failure;
  Story story = running(unit);
  story.exited(10, exit_code(1));
  story.emptied();
  CHECK(story.outcome() == "dead/success");
}

TEST_CASE("the kernel runs out of memory: oom-kill, be it the main process or another") {
  Story main = running(plain_unit());
  main.exited(10, signalled(9), true);
  main.emptied();
  CHECK(main.outcome() == "failed/oom-kill");
  Story other = running(plain_unit());
  CHECK(other.exited(77, signalled(9), true) == Lines{"kill TERM main=10 group awaits-empty"});
  other.exited(10, signalled(15));
  other.emptied();
  CHECK(other.outcome() == "failed/oom-kill");
}

TEST_CASE("since() is when the state changed") {
  Story story(plain_unit());
  WallTime begin = story.now.wall;
  story.start();
  CHECK(story.service.since() == begin);
  story.wait(seconds(1));
  story.spawned(10);
  CHECK(story.service.since() == begin + seconds(1));
  story.wait(seconds(5));
  story.stop();
  CHECK(story.service.since() == begin + seconds(6));
  story.wait(seconds(1));
  story.exited(10, signalled(15));
  CHECK(story.service.since() == begin + seconds(6));
  story.emptied();
  CHECK(story.service.since() == begin + seconds(7));
}

TEST_CASE("a unit that is replaced applies from then on, to the running process too") {
  Unit unit = plain_unit();
  Story story = running(unit);
  unit.auxiliary.edit().stop_post = {command("/bin/new")};
  unit.kill.edit().signal = 2;
  story.replace_unit(unit);
  CHECK(story.stop() == Lines{"record stopping main=10", "kill INT main=10 group awaits-empty"});
  story.exited(10, signalled(2));
  CHECK(story.emptied() == Lines{"spawn stop-post#0 result=success (killed by SIGINT)"});
}

TEST_CASE("OOMPolicy= says what the loss of a process to the OOM killer does to the others") {
  auto lost_one = [](OomPolicy policy) {
    Unit unit = plain_unit();
    unit.resources.edit().oom_policy = policy;
    Story story(std::move(unit));
    story.start();
    story.spawned(10);
    Lines lines = story.tell(OomKilled{Story::id});
    lines.push_back(story.outcome());
    return lines;
  };
  CHECK(lost_one(OomPolicy::stop) == Lines{"kill TERM main=10 group awaits-empty", "stop-sigterm/oom-kill"});
  CHECK(lost_one(OomPolicy::kill) == Lines{"kill KILL main=10 group awaits-empty", "stop-sigkill/oom-kill"});
  CHECK(lost_one(OomPolicy::carry_on) == Lines{"running/success"});
}

TEST_CASE("what survives SIGKILL is named, and not waited for") {
  Story story(plain_unit());
  story.start();
  story.spawned(10);
  story.stop();
  CHECK(story.wait(seconds(90)) == Lines{"kill KILL main=10 group awaits-empty"});
  CHECK(story.wait(seconds(90)).front() == "find-survivors");
  story.tell(SurvivorsFound{Story::id, "PID 10 (dd, in uninterruptible sleep)"});
  story.wait(seconds(180));
  CHECK(story.outcome() == "failed/timeout");
  CHECK(story.service.status_text() ==
        "its processes survived SIGKILL: PID 10 (dd, in uninterruptible sleep)");
}

TEST_CASE("an idle service is small") { CHECK(sizeof(Lifecycle) <= 250); }
