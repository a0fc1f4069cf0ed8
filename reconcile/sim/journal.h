// The run journal as drivers/process keeps it: what a started agent is told of the services that an earlier one
// of this boot left. It is written by the spawned processes and by RunRecords, and outlives the agent.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcile/actual/service.h"
#include "reconcile/command.h"

namespace gitproc::sim {

class Journal {
 public:
  void spawned(const Spawn& spawn, Pid pid);
  void add(const RunRecord& record);
  void clear() { entries_.clear(); }

  // Null where nothing is known of the service.
  const AdoptedService* find(const std::string& name) const;
  std::vector<AdoptedService> replay(const std::function<bool(Pid)>& is_alive) const;

 private:
  std::map<std::string, AdoptedService, std::less<>> entries_;
};

}  // namespace gitproc::sim
