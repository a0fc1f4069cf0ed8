// How services are ended: KillMode=, signals, time-outs and what they come to (systemd.kill(5)).
#include "reconcile/lifecycle/story.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

Unit unit_of(KillMode mode) {
  Unit unit = plain_unit();
  unit.kill.edit().mode = mode;
  unit.timeouts.edit().stop = seconds(1);
  return unit;
}

Story running(Unit unit) {
  Story story(std::move(unit));
  story.start();
  story.spawned(10);
  REQUIRE(story.outcome() == "running/success");
  return story;
}

const std::string stopping = "record stopping main=10";

}  // namespace

TEST_CASE("control-group: everybody is asked, and killed when somebody does not go in time") {
  Story story = running(unit_of(KillMode::control_group));
  CHECK(story.stop() == Lines{stopping, "kill TERM main=10 group awaits-empty"});
  CHECK(story.exited(10, exit_code(0)) == Lines{});
  CHECK(story.wait(seconds(1)) == Lines{"kill KILL group awaits-empty"});
  CHECK(story.emptied() == Lines{"clean-up", "record ended"});
  CHECK(story.outcome() == "failed/timeout");
}

TEST_CASE("control-group: what a main process leaves behind when it ends by itself") {
  Story story = running(unit_of(KillMode::control_group));
  CHECK(story.exited(10, exit_code(0)) == Lines{"kill TERM group awaits-empty"});
  CHECK(story.wait(seconds(1)) == Lines{"kill KILL group awaits-empty"});
  story.emptied();
  CHECK(story.outcome() == "failed/timeout");
}

TEST_CASE("mixed: the main process is asked, the others are killed as soon as it is gone") {
  Story story = running(unit_of(KillMode::mixed));
  CHECK(story.stop() == Lines{stopping, "kill TERM main=10"});
  CHECK(story.exited(10, exit_code(0)) == Lines{"kill KILL group awaits-empty"});
  CHECK(story.emptied() == Lines{"clean-up", "record ended"});
  CHECK(story.outcome() == "dead/success");
}

TEST_CASE("mixed: a main process that does not go is killed with all others") {
  Story story = running(unit_of(KillMode::mixed));
  story.stop();
  CHECK(story.wait(seconds(1)) == Lines{"kill KILL main=10 group awaits-empty"});
  story.exited(10, signalled(9));
  story.emptied();
  CHECK(story.outcome() == "failed/timeout");
}

TEST_CASE("process: only the main process, the others stay") {
  Story story = running(unit_of(KillMode::process));
  CHECK(story.stop() == Lines{stopping, "kill TERM main=10"});
  CHECK(story.exited(10, exit_code(0)) == Lines{"clean-up", "record ended"});
  CHECK(story.outcome() == "dead/success");

  Story by_itself = running(unit_of(KillMode::process));
  CHECK(by_itself.exited(10, exit_code(0)) == Lines{"clean-up", "record ended latch=stopped/success"});
}

TEST_CASE("none: nobody is signalled or waited for") {
  Unit unit = unit_of(KillMode::none);
  unit.auxiliary.edit().stop = {command("/bin/stop")};
  Story story = running(unit);
  CHECK(story.stop() == Lines{stopping, "spawn stop#0 main=10 result=success"});
  story.spawned(11);
  CHECK(story.exited(11, exit_code(0)) == Lines{"clean-up", "record ended"});
  CHECK(story.outcome() == "dead/success");
}

TEST_CASE("none: an ExecStop= that hangs is left alone as well") {
  Unit unit = unit_of(KillMode::none);
  unit.auxiliary.edit().stop = {command("/bin/stop")};
  unit.auxiliary.edit().stop_post = {command("/bin/stop-post")};
  Story story = running(unit);
  story.stop();
  story.spawned(11);
  CHECK(story.wait(seconds(1)) == Lines{"spawn stop-post#0 main=10 result=timeout"});
  story.spawned(12);
  CHECK(story.exited(11, exit_code(0)) == Lines{});
  CHECK(story.exited(12, exit_code(0)) == Lines{"clean-up", "record ended"});
}

TEST_CASE("SendSIGKILL=no: asked twice, then given up as failed, without a restart") {
  Unit unit = unit_of(KillMode::control_group);
  unit.kill.edit().sends_sigkill = false;
  unit.restart.edit().mode = RestartMode::always;
  unit.timeouts.edit().runtime_max = seconds(5);
  Story story = running(unit);
  CHECK(story.wait(seconds(5)) == Lines{"kill TERM main=10 group awaits-empty"});
  CHECK(story.wait(seconds(1)) == Lines{"kill TERM main=10 group awaits-empty"});
  CHECK(story.wait(seconds(1)) == Lines{"clean-up", "record ended latch=failed/timeout"});
}

TEST_CASE("KillSignal=, SendSIGHUP= and RestartKillSignal=") {
  Unit unit = unit_of(KillMode::control_group);
  unit.kill.edit().signal = 2;
  unit.kill.edit().sends_sighup = true;
  unit.kill.edit().restart_signal = 10;
  Story stop = running(unit);
  CHECK(stop.stop() == Lines{stopping, "kill INT main=10 group HUP awaits-empty"});
  CHECK(stop.wait(seconds(1)) == Lines{"kill KILL main=10 group awaits-empty"});
  Story restart = running(unit);
  CHECK(restart.stop(StopCause::restart) == Lines{stopping, "kill USR1 main=10 group HUP awaits-empty"});
}

TEST_CASE("every phase of a stop has the whole TimeoutStopSec=") {
  Unit unit = unit_of(KillMode::control_group);
  unit.auxiliary.edit().stop = {command("/bin/stop")};
  unit.auxiliary.edit().stop_post = {command("/bin/stop-post")};
  Story story = running(unit);
  story.stop();
  story.spawned(11);
  CHECK(story.wait(seconds(1)) == Lines{"kill TERM main=10 control=11 group awaits-empty"});
  story.exited(11, signalled(15));
  CHECK(story.wait(seconds(1)) == Lines{"kill KILL main=10 group awaits-empty"});
  story.exited(10, signalled(9));
  CHECK(story.emptied() == Lines{"spawn stop-post#0 result=timeout (killed by SIGKILL)"});
  story.spawned(12);
  CHECK(story.wait(seconds(1)) == Lines{"kill TERM control=12 group awaits-empty"});
  story.exited(12, signalled(15));
  CHECK(story.emptied() == Lines{"clean-up", "record ended"});
  CHECK(story.outcome() == "failed/timeout");
}

TEST_CASE("processes that survive SIGKILL do not hold up the end, and forbid the restart") {
  Unit unit = unit_of(KillMode::control_group);
  unit.restart.edit().mode = RestartMode::always;
  unit.timeouts.edit().watchdog = seconds(5);
  Story story = running(unit);
  story.wait(seconds(5));
  CHECK(story.service.phase() == Phase::stop_watchdog);
  Lines rest = story.wait(seconds(10));
  CHECK(rest == Lines{"kill KILL main=10 group awaits-empty", "find-survivors",
                      "kill TERM main=10 group awaits-empty", "kill KILL main=10 group awaits-empty",
                      "find-survivors", "clean-up", "record ended latch=failed/watchdog"});
}

TEST_CASE("an Emptied that comes before the exit of the main process waits for it") {
  Story story = running(unit_of(KillMode::control_group));
  story.stop();
  CHECK(story.emptied() == Lines{});
  CHECK(story.exited(10, exit_code(143)) == Lines{"clean-up", "record ended"});
  CHECK(story.outcome() == "failed/exit-code");
}

TEST_CASE("TimeoutStartFailureMode=: how a start-up that takes too long is ended") {
  Unit unit = plain_unit(ServiceType::notify);
  unit.timeouts.edit().start = seconds(1);
  auto end_of_start = [&](TimeoutFailureMode mode) {
    unit.timeouts.edit().start_failure = mode;
    Story story(unit);
    story.start();
    story.spawned(10);
    Lines lines = story.wait(seconds(1));
    story.exited(10, signalled(9));
    story.emptied();
    CHECK(story.outcome() == "failed/timeout");
    return lines;
  };
  CHECK(end_of_start(TimeoutFailureMode::terminate) == Lines{"kill TERM main=10 group awaits-empty"});
  CHECK(end_of_start(TimeoutFailureMode::abort) == Lines{"kill ABRT main=10 group awaits-empty"});
  CHECK(end_of_start(TimeoutFailureMode::kill) == Lines{"kill KILL main=10 group awaits-empty"});
}

TEST_CASE("TimeoutStopFailureMode=abort: WatchdogSignal= between the request and SIGKILL") {
  Unit unit = unit_of(KillMode::control_group);
  unit.timeouts.edit().stop_failure = TimeoutFailureMode::abort;
  unit.timeouts.edit().abort = seconds(3);
  Story story = running(unit);
  story.stop();
  CHECK(story.wait(seconds(1)) == Lines{"kill ABRT main=10 group awaits-empty"});
  CHECK(story.wait(seconds(2)) == Lines{});
  CHECK(story.wait(seconds(1)) == Lines{"kill KILL main=10 group awaits-empty"});
}
