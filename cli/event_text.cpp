#include "cli/event_text.h"

#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/text.h"

namespace gitproc {

std::string event_text(const Json& event) {
  std::string service = text_of(event, "service");
  std::string kind = text_of(event, "kind");
  std::string from = text_of(event, "from");
  std::string to = text_of(event, "to");
  std::string text = service.empty() ? kind : service + ":";
  if (!service.empty() && kind != "state") text += " " + kind;
  if (!from.empty() && !to.empty()) {
    text += " " + from + " -> " + to;
  } else if (!to.empty()) {
    text += " " + to;
  }
  if (std::string commit = text_of(event, "commit"); !commit.empty()) text += " at " + short_commit(commit);
  if (std::string reason = text_of(event, "reason"); !reason.empty()) text += " (" + reason + ")";
  return for_terminal(text);
}

}  // namespace gitproc
