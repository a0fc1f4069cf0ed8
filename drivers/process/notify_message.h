// One datagram of sd_notify(3), as text: "READY=1\nSTATUS=...". Hostile until parsed: any process on the machine that
// can reach the socket may send anything.
#pragma once

#include <string_view>

#include "reconcile/event.h"

namespace gitproc {

// A longer datagram is cut by the kernel when it is received, and then ignored.
inline constexpr std::size_t max_notify_bytes = 4096;
inline constexpr std::size_t max_status_bytes = 1024;

// `service` and `sender` are left to the caller. Unknown assignments and bad values are passed over; a STATUS= is
// cut at max_status_bytes, and one that is not UTF-8 passed over. nullopt where nothing is left that matters.
std::optional<Notified> parse_notify_message(std::string_view text);

}  // namespace gitproc
