#include "agent/notice_damper.h"

#include "testing/catch.h"

using namespace gitproc;
using namespace std::chrono_literals;

namespace {

constexpr Instant begin(100h);

Notice of(std::string event, std::string message, Instant at = begin) {
  return {.event = std::move(event),
          .at = WallTime(at.time_since_epoch()),
          .node = "vm",
          .branch = "main",
          .commit = "",
          .subject = "",
          .message = std::move(message)};
}

// Offers it as often, a second apart; what went out.
std::vector<Notice> flap(NoticeDamper& damper, const std::string& message, unsigned times, Instant from) {
  std::vector<Notice> told;
  for (unsigned i = 0; i < times; ++i) {
    Instant now = from + i * 1s;
    for (const char* event : {"degraded", "recovered"}) {
      std::string why = event == std::string("degraded") ? message : "";
      if (auto notice = damper.offer(of(event, why, now), now)) told.push_back(*notice);
    }
  }
  return told;
}

}  // namespace

TEST_CASE("a few notices go out as they come") {
  NoticeDamper damper;
  for (const char* event : {"applied", "degraded", "recovered", "rejected"})
    CHECK(damper.offer(of(event, "m"), begin) == of(event, "m"));
  CHECK(damper.next() == never);
  CHECK(damper.due(begin + 1h).empty());
}

TEST_CASE(
    "what flaps is told a few times, then rarely, with the number that it stands for, and how it ended") {
  NoticeDamper damper;
  std::vector<Notice> told = flap(damper, "web (failed)", 500, begin);
  CHECK(told.size() == notice_burst);
  REQUIRE(damper.next() != never);
  CHECK(damper.next() > begin);
  CHECK(damper.next() <= begin + notice_interval);
  std::vector<Notice> later = damper.due(begin + notice_interval);
  REQUIRE(later.size() == 1);
  CHECK(later.front().event == "recovered");
  CHECK(later.front().left_out == 1000 - notice_burst - 1);
  CHECK(damper.next() == never);
  // A day of it: one each interval.
  for (Instant now = begin + 1h; now < begin + 25h; now += 1min) {
    (void)damper.offer(of("degraded", "web (failed)", now), now);
    for (Notice& notice : damper.due(now))
      later.push_back(std::move(notice));
  }
  CHECK(later.size() <= 24h / notice_interval + 1);
  CHECK(later.size() >= 24h / notice_interval - notice_burst - 1);
}

TEST_CASE("one that flaps does not keep another one's trouble back") {
  NoticeDamper damper;
  (void)flap(damper, "web (failed)", 100, begin);
  Instant now = begin + 100s;
  CHECK(damper.offer(of("degraded", "db (failed)", now), now) == of("degraded", "db (failed)", now));
  CHECK(damper.offer(of("applied", "", now), now) == of("applied", "", now));
}

TEST_CASE("what is held back is told after what waits already, however much may be sent meanwhile") {
  NoticeDamper damper;
  (void)flap(damper, "web (failed)", 10, begin);
  Instant later = begin + 1h;
  // The timer is late: a new one does not overtake.
  CHECK_FALSE(damper.offer(of("degraded", "web (failed)", later), later));
  std::vector<Notice> told = damper.due(later);
  REQUIRE(told.size() == 1);
  CHECK(told.front().event == "degraded");
  CHECK(told.front().left_out == 2 * 10 - notice_burst);
}

TEST_CASE("however many different troubles there are, all together have a bound, and none waits for ever") {
  NoticeDamper damper;
  std::size_t told = 0;
  for (unsigned i = 0; i < 1000; ++i)
    told += damper.offer(of("degraded", std::to_string(i)), begin).has_value() ? 1 : 0;
  CHECK(told == notice_total_burst);
  std::uint64_t accounted = told;
  Instant now = begin;
  while (damper.next() != never) {
    REQUIRE(damper.next() > now);
    now = damper.next();
    for (const Notice& notice : damper.due(now))
      accounted += 1 + notice.left_out;
  }
  CHECK(accounted == 1000);
  CHECK(now <= begin + (notice_streams_limit + 1) * notice_total_interval);
}
