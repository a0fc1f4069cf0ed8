// What happens while an operation is waited for: on a terminal the agent's events are shown on standard error as
// they arrive, on a connection of their own. Elsewhere, and where events cannot be had, waiting is silent.
#pragma once

#include <optional>

#include "agent/protocol/client.h"
#include "cli/session.h"

namespace gitproc {

class Progress {
 public:
  // Subscribes at once, so that what the operation causes is not missed.
  explicit Progress(Session& session);

  // The next answer of `operation`, however long it takes.
  Result<Json> receive(Client& operation);

 private:
  void show_new_events();

  Session& session_;
  std::optional<Client> events_;
};

}  // namespace gitproc
