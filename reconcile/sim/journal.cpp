#include "reconcile/sim/journal.h"

namespace gitproc::sim {

void Journal::spawned(const Spawn& spawn, Pid pid) {
  AdoptedService& entry = entries_[spawn.unit->name];
  if (entry.name.empty() || entry.invocation != spawn.invocation || entry.latch) {
    entry = AdoptedService{};
    entry.name = spawn.unit->name;
    entry.invocation = spawn.invocation;
  }
  entry.fingerprint = spawn.unit->fingerprint;
  entry.restarts = spawn.restarts;
  entry.phase = spawn.phase;
  entry.command_index = spawn.command_index;
  if (spawn.phase == ExecPhase::start) {
    entry.main = AdoptedProcess{pid, false};
    entry.control.reset();
  } else {
    entry.control = AdoptedProcess{pid, false};
  }
}

void Journal::add(const RunRecord& record) {
  auto found = entries_.find(record.name);
  if (found == entries_.end()) return;
  AdoptedService& entry = found->second;
  std::optional<AdoptedProcess> main;
  if (record.main_pid != 0) main = AdoptedProcess{record.main_pid, false};
  switch (record.kind) {
    case RunRecord::Kind::started:
      entry.was_started = true;
      entry.main = main;
      entry.control.reset();
      return;
    case RunRecord::Kind::main_pid: entry.main = main; return;
    case RunRecord::Kind::stopping: entry.was_stopping = true; return;
    case RunRecord::Kind::stamped: entry.fingerprint = record.fingerprint; return;
    case RunRecord::Kind::ended:
      if (!record.latch) {
        entries_.erase(found);
        return;
      }
      entry.main.reset();
      entry.control.reset();
      entry.latch = record.latch;
      return;
    case RunRecord::Kind::forgotten: entries_.erase(found); return;
  }
  __builtin_unreachable();
}

const AdoptedService* Journal::find(const std::string& name) const {
  auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

std::vector<AdoptedService> Journal::replay(const std::function<bool(Pid)>& is_alive) const {
  std::vector<AdoptedService> services;
  for (auto [name, entry] : entries_) {
    for (std::optional<AdoptedProcess>* process : {&entry.main, &entry.control}) {
      if (*process) (*process)->is_alive = is_alive((*process)->pid);
    }
    services.push_back(std::move(entry));
  }
  return services;
}

}  // namespace gitproc::sim
