// Points in time as the protocol writes them: RFC 3339, in UTC.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "reconcile/base/time.h"

namespace gitproc {

// "2026-11-22T21:18:37.123Z": cut to milliseconds.
std::string to_rfc3339(WallTime at);

// With any offset and up to nine digits of a second's fraction; years 1970 to 9999. Anything else is nullopt.
std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace gitproc
