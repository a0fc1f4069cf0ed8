#include "reconcile/base/civil.h"

#include "testing/catch.h"

using namespace gitproc;

namespace {

WallTime at(std::int64_t microseconds) { return WallTime(Duration(microseconds)); }

}  // namespace

TEST_CASE("a time is written as RFC 3339 in UTC, with a fraction only where it has one") {
  CHECK(to_rfc3339(at(0)) == "1970-01-01T00:00:00Z");
  CHECK(to_rfc3339(at(1'000'000'000'000'000)) == "2001-09-09T01:46:40Z");
  CHECK(to_rfc3339(at(1'500'000)) == "1970-01-01T00:00:01.5Z");
  CHECK(to_rfc3339(at(10)) == "1970-01-01T00:00:00.00001Z");
  CHECK(to_rfc3339(at(-1)) == "1969-12-31T23:59:59.999999Z");
  CHECK(to_rfc3339(at(951'782'400'000'000)) == "2000-02-29T00:00:00Z");
}

TEST_CASE("a time that RFC 3339 cannot say is written as the nearest one it can") {
  CHECK(to_rfc3339(WallTime::max()) == "9999-12-31T23:59:59.999999Z");
  CHECK(to_rfc3339(WallTime::min()) == "0000-01-01T00:00:00Z");
}

TEST_CASE("what was written is read again as the same time") {
  std::int64_t step = 86'400'000'000 * 97 + 12'345'678'901;
  for (std::int64_t microseconds = -50'000'000'000'000'000; microseconds < 200'000'000'000'000'000;
       microseconds += step) {
    REQUIRE(parse_rfc3339(to_rfc3339(at(microseconds))) == at(microseconds));
  }
}

TEST_CASE("offsets, lower case, a space, long fractions and second 60 are read as RFC 3339 has them") {
  CHECK(parse_rfc3339("1996-12-19T16:39:57-08:00") == parse_rfc3339("1996-12-20T00:39:57Z"));
  CHECK(parse_rfc3339("1937-01-01T12:00:27.87+00:20") == parse_rfc3339("1937-01-01T11:40:27.87Z"));
  CHECK(parse_rfc3339("1970-01-01t00:00:01z") == at(1'000'000));
  CHECK(parse_rfc3339("1970-01-01 00:00:01-00:00") == at(1'000'000));
  CHECK(parse_rfc3339("1970-01-01T00:00:00.1234567899999999999999999Z") == at(123'456));
  CHECK(parse_rfc3339("1990-12-31T23:59:60Z") == parse_rfc3339("1991-01-01T00:00:00Z"));
}

TEST_CASE("what is no RFC 3339 time, or no date of the calendar, is refused") {
  for (const char* text : {"",
                           "2026",
                           "2026-11-22",
                           "2026-11-22T21:18:20",
                           "2026-11-22T21:18:20Zx",
                           "2026-11-22T21:18:20.Z",
                           "2026-11-22T21:18Z",
                           "2026-13-01T00:00:00Z",
                           "2026-00-01T00:00:00Z",
                           "2026-02-29T00:00:00Z",
                           "2026-04-31T00:00:00Z",
                           "2026-01-00T00:00:00Z",
                           "2026-11-22T24:00:00Z",
                           "2026-11-22T21:60:20Z",
                           "2026-11-22T21:18:61Z",
                           "2026-11-22T21:18:20+24:00",
                           "2026-11-22T21:18:20+1:00",
                           "+026-11-22T21:18:20Z",
                           "26-11-22T21:18:20Z",
                           "2026-11-22T21:18:2 Z",
                           " 2026-11-22T21:18:20Z"}) {
    INFO(text);
    CHECK_FALSE(parse_rfc3339(text));
  }
}
