// Every row of testdata/systemd-restart-matrix.tsv, which was observed on systemd 252: a cause of an end under a
// value of Restart=, and what it came to.
#include <fstream>
#include <map>
#include <sstream>

#include "reconcile/lifecycle/story.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

const std::map<std::string, RestartMode> modes = {
    {"no", RestartMode::no},
    {"always", RestartMode::always},
    {"on-success", RestartMode::on_success},
    {"on-failure", RestartMode::on_failure},
    {"on-abnormal", RestartMode::on_abnormal},
    {"on-abort", RestartMode::on_abort},
    {"on-watchdog", RestartMode::on_watchdog},
};

// Answers what is left to answer until the service is down.
void wind_down(Story& story) {
  story.exited(story.service.main_pid(), signalled(15));
  story.exited(story.service.control_pid(), signalled(15));
  story.emptied();
}

Story ended_by_main(Unit unit, ExitStatus status) {
  Story story(std::move(unit));
  story.start();
  story.spawned(10);
  story.exited(10, status);
  wind_down(story);
  return story;
}

Story ended_by_time(Unit unit) {
  Story story(std::move(unit));
  story.start();
  story.spawned(10);
  story.wait(seconds(5));
  wind_down(story);
  return story;
}

Story ended_by_missing_program(Unit unit) {
  Story story(std::move(unit));
  story.start();
  story.spawn_failed(203);
  wind_down(story);
  return story;
}

// `edit` names the phase that gets a command, which ends with `status`.
Story ended_by_command(Unit unit, ExecPhase phase, ExitStatus status) {
  AuxiliaryCommands& auxiliary = unit.auxiliary.edit();
  if (phase == ExecPhase::condition) auxiliary.condition = {command("/bin/cond")};
  if (phase == ExecPhase::start_pre) auxiliary.start_pre = {command("/bin/pre")};
  if (phase == ExecPhase::start_post) auxiliary.start_post = {command("/bin/post")};
  Story story(std::move(unit));
  story.start();
  if (phase == ExecPhase::start_post) story.spawned(10);
  story.spawned(11);
  story.exited(11, status);
  wind_down(story);
  return story;
}

Story played(const std::string& cause, RestartMode mode) {
  auto unit = [&](ServiceType type = ServiceType::simple) {
    Unit result = plain_unit(type);
    result.restart.edit().mode = mode;
    return result;
  };
  static const std::map<std::string, ExitStatus> exits = {
      {"exit0", exit_code(0)},   {"exit1", exit_code(1)},    {"SIGHUP", signalled(1)},
      {"SIGINT", signalled(2)},  {"SIGTERM", signalled(15)}, {"SIGPIPE", signalled(13)},
      {"SIGKILL", signalled(9)}, {"SIGUSR1", signalled(10)}, {"SIGABRT(core)", signalled(6)},
  };
  if (auto exit = exits.find(cause); exit != exits.end()) return ended_by_main(unit(), exit->second);
  if (cause == "start-timeout") {
    Unit slow = unit(ServiceType::notify);
    slow.timeouts.edit().start = seconds(5);
    return ended_by_time(slow);
  }
  if (cause == "watchdog") {
    Unit watched = unit();
    watched.timeouts.edit().watchdog = seconds(5);
    return ended_by_time(watched);
  }
  if (cause == "runtime-max") {
    Unit bounded = unit();
    bounded.timeouts.edit().runtime_max = seconds(5);
    return ended_by_time(bounded);
  }
  if (cause == "exec-missing(203)") return ended_by_missing_program(unit());
  if (cause == "exec-missing type=exec") return ended_by_missing_program(unit(ServiceType::exec));
  if (cause == "startpre-fail") return ended_by_command(unit(), ExecPhase::start_pre, exit_code(1));
  if (cause == "startpost-fail") return ended_by_command(unit(), ExecPhase::start_post, exit_code(1));
  if (cause == "condition-exit1") return ended_by_command(unit(), ExecPhase::condition, exit_code(1));
  if (cause == "condition-exit255") return ended_by_command(unit(), ExecPhase::condition, exit_code(255));
  if (cause == "oneshot-exit0") return ended_by_main(unit(ServiceType::oneshot), exit_code(0));
  if (cause == "oneshot-exit1") return ended_by_main(unit(ServiceType::oneshot), exit_code(1));
  if (cause == "oneshot-SIGTERM") return ended_by_main(unit(ServiceType::oneshot), signalled(15));
  if (cause == "forking-parent-fail") {
    return ended_by_command(unit(ServiceType::forking), ExecPhase::start, exit_code(1));
  }
  FAIL("a cause that this test does not know: " << cause);
  return Story(unit());
}

}  // namespace

TEST_CASE("the restart matrix of systemd 252") {
  std::ifstream file(std::string(GITPROC_SOURCE_DIR) +
                     "/reconcile/lifecycle/testdata/systemd-restart-matrix.tsv");
  std::string line;
  std::getline(file, line);  // the headings
  unsigned rows = 0, rejected = 0;
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    std::string cause, mode, result, active_state, sub_state, restarts, code, status, verdict;
    for (std::string* cell :
         {&cause, &mode, &result, &active_state, &sub_state, &restarts, &code, &status, &verdict}) {
      std::getline(cells, *cell, '\t');
    }
    ++rows;
    if (verdict == "bad-setting") {
      ++rejected;  // no such unit is ever loaded
      continue;
    }
    INFO(cause << " under Restart=" << mode);
    Story story = played(cause, modes.at(mode));
    std::string phase = verdict == "RESTART" ? "backoff" : sub_state;
    // systemd forgets that a condition said no; we show it.
    if (cause == "condition-exit1") result = "condition";
    CHECK(story.outcome() == phase + "/" + result);
  }
  CHECK(rows == 154);
  CHECK(rejected == 6);
}
