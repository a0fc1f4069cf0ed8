// WallTime as people and programs read it: RFC 3339, written in UTC. Pure conversion; the calendar is the
// proleptic Gregorian one, and leap seconds are not counted, as in POSIX.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "reconcile/base/time.h"

namespace gitproc {

// "2026-11-22T21:18:20Z", with ".123456" (trailing zeros left out) only where the time is between two whole
// seconds. Times before year 0 or after year 9999 are written as the nearest one that RFC 3339 can say.
std::string to_rfc3339(WallTime time);

// Any RFC 3339 date-time: an offset or Z is required, "T" and "Z" may be lower case, "T" may be a space, digits
// of the fraction after the sixth are dropped, and second 60 is the first one of the next minute. Anything else,
// dates that do not exist included, is nullopt.
std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace gitproc
