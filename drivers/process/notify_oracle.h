// What must hold of a notification of any bytes, for the fuzzer and for the replay of its corpus.
#pragma once

#include <string>
#include <string_view>

#include "drivers/process/notify_message.h"
#include "reconcile/base/strings.h"

namespace gitproc {

// "" or what does not hold of what was read.
inline std::string notify_fault(std::string_view text) {
  std::optional<Notified> read = parse_notify_message(text);
  if (!read) return "";
  if (read->service != ServiceId{} || read->sender != 0) return "a message told who sent it";
  if (read->status && (read->status->size() > max_status_bytes || !is_utf8(*read->status)))
    return "a bad status: " + printable(*read->status);
  if (read->main_pid && *read->main_pid <= 0) return "an impossible PID";
  for (std::optional<Duration> span : {read->extend_timeout, read->watchdog}) {
    if (span && *span < Duration::zero()) return "an impossible time span";
  }
  return "";
}

}  // namespace gitproc
