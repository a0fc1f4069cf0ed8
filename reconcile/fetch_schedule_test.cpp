#include "reconcile/fetch_schedule.h"

#include "testing/catch.h"

using namespace gitproc;
using namespace std::chrono_literals;

namespace {

constexpr Instant start{1h};

}  // namespace

TEST_CASE("each interval has one fetch, at a moment that only chance knows") {
  constexpr unsigned rounds = 1000;
  FetchSchedule schedule(60s, 7);
  schedule.start(start, true);
  REQUIRE(schedule.begin_if_due(start));
  schedule.succeeded(start);
  unsigned early = 0;
  for (unsigned i = 1; i < rounds; ++i) {
    Instant slot = start + i * 60s, at = schedule.next();
    REQUIRE(at >= slot);
    REQUIRE(at < slot + 60s);
    early += at < slot + 30s;
    REQUIRE_FALSE(schedule.begin_if_due(at - 1us));
    REQUIRE(schedule.begin_if_due(at));
    CHECK(schedule.next() == never);
    schedule.succeeded(at);
  }
  // Half of them in the first half, give or take five deviations.
  CHECK(early > rounds / 2 - 80);
  CHECK(early < rounds / 2 + 80);
}

TEST_CASE("nodes that start together do not ask together") {
  FetchSchedule one(60s, 1), other(60s, 2);
  one.start(start, false);
  other.start(start, false);
  CHECK(one.next() != other.next());
  CHECK(one.next() <= start + first_fetch_spread);
}

TEST_CASE("failures are followed by longer and longer waits, refusals by long ones, and success ends both") {
  FetchSchedule schedule(60s, 7);
  schedule.start(start, true);
  Instant now = start;
  for (Duration most : {5s, 10s, 20s, 40s, 80s, 160s, 320s, 600s, 600s}) {
    REQUIRE(schedule.begin_if_due(now));
    schedule.failed(now, false);
    CHECK(schedule.next() >= now + most / 2);
    CHECK(schedule.next() <= now + most);
    now = schedule.next();
  }
  REQUIRE(schedule.begin_if_due(now));
  schedule.succeeded(now);
  CHECK(schedule.next() <= now + 120s);
  now = schedule.next();
  for (Duration most : {300s, 600s, 1200s, 2400s, 3600s, 3600s}) {
    REQUIRE(schedule.begin_if_due(now));
    schedule.failed(now, true);
    CHECK(schedule.next() >= now + most / 2);
    CHECK(schedule.next() <= now + most);
    now = schedule.next();
  }
}

TEST_CASE("who asks for a fetch gets one at once, or another when the one that runs has ended") {
  FetchSchedule schedule(60s, 7);
  schedule.start(start, false);
  schedule.request(start);
  REQUIRE(schedule.begin_if_due(start));
  schedule.request(start);
  schedule.request(start);
  CHECK(schedule.next() == never);
  schedule.succeeded(start + 1s);
  REQUIRE(schedule.begin_if_due(start + 1s));
  schedule.succeeded(start + 2s);
  CHECK_FALSE(schedule.begin_if_due(start + 2s));
}
