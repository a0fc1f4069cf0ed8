// Times as people read and write them.
#pragma once

#include <string>
#include <string_view>

#include "reconcile/base/error.h"
#include "reconcile/base/time.h"

namespace gitproc {

// The two greatest units: "850ms", "12s", "3min 20s", "2h 5min", "4d 1h", "3 years 2 months".
std::string human_duration(Duration span);

// The greatest unit only: "3min ago", "in 20s", "now".
std::string relative_time(WallTime at, WallTime now);

// "2026-11-22 21:18:37 UTC"
std::string human_time(WallTime at);

// What --until takes: RFC 3339; "2026-12-31", "2026-12-31 18:00" or with seconds, in UTC; "18:00", the next one;
// or a span from now ("2h", "1h 30min", "3d"), with or without "+". A usage error says so; the past is one too.
Result<WallTime> parse_until(std::string_view text, WallTime now);

}  // namespace gitproc
