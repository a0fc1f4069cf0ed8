#include "drivers/process/fake_process_driver.h"

#include <sys/eventfd.h>

namespace gitproc {

FakeProcessDriver::FakeProcessDriver() : wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

void FakeProcessDriver::happen(Event event) {
  pending_.push_back(std::move(event));
  ::eventfd_write(wake_.get(), 1);
}

void FakeProcessDriver::fail_next_spawn(ServiceId service, int exit_code, std::string message) {
  failures_[service] =
      SpawnFailed{.service = service, .spawn = {}, .exit_code = exit_code, .message = std::move(message)};
}

void FakeProcessDriver::spawn(const Spawn& command) {
  commands.emplace_back(command);
  if (auto failure = failures_.find(command.service); failure != failures_.end()) {
    SpawnFailed failed = std::move(failure->second);
    failures_.erase(failure);
    failed.spawn = command.spawn;
    spawned_.emplace_back(std::move(failed));
    return;
  }
  spawned_.emplace_back(Spawned{.service = command.service, .spawn = command.spawn, .pid = next_pid_++});
}

void FakeProcessDriver::kill(const Kill& command) {
  commands.emplace_back(command);
  if (!answers_kills_) return;
  ExitStatus status{.kind = ExitStatus::Kind::killed, .value = command.signal};
  for (Pid pid : {command.main_pid, command.control_pid}) {
    if (pid != 0) happen(ProcessExited{.service = command.service, .pid = pid, .status = status});
  }
  if (command.awaits_empty) happen(Emptied{.service = command.service});
}

ConditionsChecked FakeProcessDriver::check_conditions(const CheckConditions& command) {
  commands.emplace_back(command);
  auto found = conditions.find(command.service);
  return found != conditions.end() ? found->second : ConditionsChecked{.service = command.service};
}

PreflightChecked FakeProcessDriver::preflight(const Preflight& command) {
  commands.emplace_back(command);
  auto found = preflights.find(command.service);
  if (found != preflights.end()) return found->second;
  return {.service = command.service, .fingerprint = command.unit->fingerprint, .error = ""};
}

Result<void> FakeProcessDriver::record(const RunRecord& record) {
  commands.emplace_back(record);
  return {};
}

std::vector<Event> FakeProcessDriver::drain() {
  eventfd_t count;
  ::eventfd_read(wake_.get(), &count);
  return std::exchange(pending_, {});
}

}  // namespace gitproc
