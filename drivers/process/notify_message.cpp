#include "drivers/process/notify_message.h"

#include <cstdint>

#include "reconcile/base/cut.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

std::optional<Duration> parse_usec(std::string_view text) {
  std::optional<std::uint64_t> usec = parse_number<std::uint64_t>(text);
  if (!usec) return std::nullopt;
  if (*usec >= static_cast<std::uint64_t>(infinite.count())) return infinite;
  return Duration(static_cast<Duration::rep>(*usec));
}

}  // namespace

std::optional<Notified> parse_notify_message(std::string_view text) {
  Notified message;
  bool matters = false;
  for (std::string_view line : split(text, '\n')) {
    std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view name = line.substr(0, equals), value = line.substr(equals + 1);
    bool is_one = value == "1";
    if (name == "READY" && is_one) {
      message.is_ready = matters = true;
    } else if (name == "RELOADING" && is_one) {
      message.is_reloading = matters = true;
    } else if (name == "STOPPING" && is_one) {
      message.is_stopping = matters = true;
    } else if (name == "WATCHDOG" && is_one) {
      message.is_watchdog = matters = true;
    } else if (name == "WATCHDOG" && value == "trigger") {
      message.is_watchdog_trigger = matters = true;
    } else if (name == "STATUS" && is_utf8(value)) {
      message.status = std::string(cut_at_character(value, max_status_bytes));
      matters = true;
    } else if (name == "MAINPID") {
      if (auto pid = parse_number<Pid>(value); pid && *pid > 0) {
        message.main_pid = pid;
        matters = true;
      }
    } else if (name == "EXTEND_TIMEOUT_USEC") {
      if (auto span = parse_usec(value)) {
        message.extend_timeout = *span;
        matters = true;
      }
    } else if (name == "WATCHDOG_USEC") {
      if (auto span = parse_usec(value)) {
        message.watchdog = *span;
        matters = true;
      }
    }
  }
  return matters ? std::optional(std::move(message)) : std::nullopt;
}

}  // namespace gitproc
