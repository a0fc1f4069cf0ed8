// A ProcessDriver without processes, for tests of what uses one: it writes down every command, answers spawns with
// counted pids, and hands over the Events that the test gives it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "drivers/process/process_driver.h"

namespace gitproc {

class FakeProcessDriver final : public ProcessDriver {
 public:
  FakeProcessDriver();

  // --- the test's side ---
  // Makes the event come out of the next drain().
  void happen(Event event);
  // The next spawn of that service fails so (service and spawn id are filled in).
  void fail_next_spawn(ServiceId service, int exit_code, std::string message);
  // Kills that await an empty service are answered at once, by default.
  void answer_kills(bool answers) { answers_kills_ = answers; }

  std::vector<Command> commands;                               // everything that was asked, in order
  std::vector<AdoptedService> adopted;                         // what take_adopted() gives
  std::vector<std::pair<ServiceId, AdoptedService>> taken_in;  // by adopt()
  std::map<ServiceId, ConditionsChecked> conditions;           // answers other than "met"
  std::map<ServiceId, PreflightChecked> preflights;            // answers other than "nothing missing"

  // --- ProcessDriver ---
  std::vector<AdoptedService> take_adopted() override { return std::exchange(adopted, {}); }
  void adopt(ServiceId service, const AdoptedService& found) override {
    taken_in.emplace_back(service, found);
  }
  void spawn(const Spawn& command) override;
  std::vector<SpawnOutcome> take_spawned() override { return std::exchange(spawned_, {}); }
  void kill(const Kill& command) override;
  void await_main_pid(const AwaitMainPid& command) override { commands.emplace_back(command); }
  void clean_up(const CleanUp& command) override { commands.emplace_back(command); }
  void adjust_limits(const AdjustLimits& command) override { commands.emplace_back(command); }
  SurvivorsFound find_survivors(const FindSurvivors& command) override { return {command.service, ""}; }
  ConditionsChecked check_conditions(const CheckConditions& command) override;
  PreflightChecked preflight(const Preflight& command) override;
  void start_probe(const StartProbe& command) override { commands.emplace_back(command); }
  void cancel_probe(ServiceId service) override { commands.emplace_back(CancelProbe{service}); }
  Result<void> record(const RunRecord& record) override;
  int fd() const override { return wake_.get(); }
  std::vector<Event> drain() override;
  std::string cgroup_of(ServiceId) const override { return ""; }
  FigurePlaces figure_places(ServiceId) override { return {}; }
  std::vector<std::string> take_unavailable() override { return {}; }

 private:
  Pid next_pid_ = 1000;
  bool answers_kills_ = true;
  std::map<ServiceId, SpawnFailed> failures_;
  std::vector<SpawnOutcome> spawned_;
  std::vector<Event> pending_;
  UniqueFd wake_;
};

}  // namespace gitproc
