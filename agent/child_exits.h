// Tells of children of the agent that are no services (hooks, workers) and have ended: the process driver reaps all
// children, and hands on what is not its own.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "reconcile/actual/exit_status.h"
#include "reconcile/base/ids.h"

namespace gitproc {

class ChildExits {
 public:
  using Listener = std::function<void(Pid, const ExitStatus&)>;

  // Each listener is told of all, and knows its own.
  void listen(Listener listener) { listeners_.push_back(std::move(listener)); }
  void tell(Pid pid, const ExitStatus& status) const {
    for (const Listener& listener : listeners_)
      listener(pid, status);
  }

 private:
  std::vector<Listener> listeners_;
};

}  // namespace gitproc
