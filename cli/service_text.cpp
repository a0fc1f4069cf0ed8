#include "cli/service_text.h"

#include <nlohmann/json.hpp>

#include "cli/answer.h"

namespace gitproc {

Style style_of_service(const Json& service) {
  std::string state = text_of(service, "state");
  if (state == "failed" || state == "backoff" || text_of(service, "health") == "unhealthy") return Style::red;
  if (state == "running" || state == "completed") return Style::green;
  if (state == "stopped" && !flag_of(service, "held")) return Style::faint;
  return Style::yellow;
}

Style style_of_sync(const std::string& sync) {
  if (sync == "synced") return Style::green;
  if (sync == "progressing" || sync == "held") return Style::yellow;
  return Style::red;
}

std::string state_text(const Json& service) {
  std::string text = text_of(service, "state");
  std::string result = text_of(service, "result");
  std::string health = text_of(service, "health");
  if (!result.empty() && result != "success" && !is_active(service)) text += " (" + result + ")";
  if (health == "unhealthy" || (health == "starting" && text == "running")) {
    text += health == "unhealthy" ? ", unhealthy" : ", not yet healthy";
  }
  if (flag_of(service, "held")) text += ", held";
  return text;
}

bool is_active(const Json& service) {
  std::string state = text_of(service, "state");
  return state == "running" || state == "reloading" || state == "completed";
}

}  // namespace gitproc
