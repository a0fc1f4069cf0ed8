#include "cli/human_time.h"

#include "reconcile/base/civil.h"
#include "testing/catch.h"

using namespace gitproc;
using namespace std::chrono_literals;

namespace {

const WallTime now = *parse_rfc3339("2026-11-22T21:18:37.5Z");

std::string until(std::string_view text) {
  Result<WallTime> time = parse_until(text, now);
  return time ? to_rfc3339(*time) : time.error().message;
}

}  // namespace

TEST_CASE("durations name their two greatest units") {
  CHECK(human_duration(0us) == "0s");
  CHECK(human_duration(850ms) == "850ms");
  CHECK(human_duration(12s + 300ms) == "12s");
  CHECK(human_duration(200s) == "3min 20s");
  CHECK(human_duration(1h + 3s) == "1h");
  CHECK(human_duration(25h) == "1d 1h");
  CHECK(human_duration(24h * 40) == "1 month 1w");
}

TEST_CASE("times are told from now, in both directions") {
  CHECK(relative_time(now - 200s, now) == "3min ago");
  CHECK(relative_time(now + 20s, now) == "in 20s");
  CHECK(relative_time(now - 10ms, now) == "now");
  CHECK(human_time(now) == "2026-11-22 21:18:37 UTC");
}

TEST_CASE("an end is given as a date, a time of day or a span") {
  CHECK(until("2030-12-31T18:00:00+02:00") == "2030-12-31T16:00:00Z");
  CHECK(until("2030-12-31") == "2030-12-31T00:00:00Z");
  CHECK(until("2030-12-31 18:00") == "2030-12-31T18:00:00Z");
  CHECK(until("22:00") == "2026-11-22T22:00:00Z");
  CHECK(until("08:00") == "2026-11-23T08:00:00Z");
  CHECK(until("1h 30min") == "2026-11-22T22:48:37.5Z");
  CHECK(until("+3d") == "2026-11-25T21:18:37.5Z");
}

TEST_CASE("an end that is over or is no time is refused") {
  CHECK(until("2020-01-01") == "the time '2020-01-01' is in the past");
  for (const char* text : {"", "soon", "0", "-1h", "infinity", "25:00", "2030-02-30", "5000 years"}) {
    INFO(text);
    CHECK(until(text).starts_with("cannot read the time"));
  }
}
