#include "cli/progress.h"

#include <nlohmann/json.hpp>

#include "cli/event_text.h"

namespace gitproc {

Progress::Progress(Session& session) : session_(session) {
  if (!session.err.is_terminal()) return;
  Result<Client> client = session.connect();
  if (!client) return;
  Request request{.command = RequestCommand::events, .args = {.lines = 0, .follow = true}};
  if (client->send(request)) events_ = std::move(*client);
}

Result<Json> Progress::receive(Client& operation) {
  constexpr auto look_at_events_every = std::chrono::milliseconds(50);
  while (events_ && !operation.wait(look_at_events_every))
    show_new_events();
  return operation.receive(std::nullopt);
}

void Progress::show_new_events() {
  while (events_ && events_->wait(std::chrono::milliseconds(0))) {
    Result<Json> event = events_->receive(std::chrono::milliseconds(0));
    if (!event) {
      events_.reset();
    } else {
      session_.err.line(session_.err.paint(event_text(*event), Style::faint));
      session_.err.stream().flush();
    }
  }
}

}  // namespace gitproc
