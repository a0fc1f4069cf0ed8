// Runs a command of the operator's for the agent itself (`notify.exec`), one at a time, in bounded time. It is no service:
// it runs as the agent, in the agent's control group, its output goes nowhere, and nothing is decided by it but whether it
// is tried again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "reconcile/actual/exit_status.h"
#include "reconcile/base/error.h"
#include "reconcile/base/ids.h"

namespace gitproc {

class HookRunner {
 public:
  HookRunner() = default;
  ~HookRunner() { kill(); }
  HookRunner(const HookRunner&) = delete;
  HookRunner& operator=(const HookRunner&) = delete;

  // Starts `command` (its first word is an absolute path) with `input` as its standard input, and the agent's environment
  // and `environment` ("NAME=value", which wins). It is the leader of a process group of its own. Needs !is_running().
  Result<void> start(const std::vector<std::string>& command, const std::vector<std::string>& environment,
                     const std::string& input);
  bool is_running() const { return pid_ != 0; }

  // Told of any child that has ended; true where it was the command.
  bool ended(Pid pid);
  // SIGKILL to all of its process group; ended() follows.
  void kill();

 private:
  Pid pid_ = 0;
};

}  // namespace gitproc
