#include "reconcile/base/rate_limit.h"

#include "testing/catch.h"

using namespace gitproc;
using namespace std::chrono_literals;

TEST_CASE("a burst, and then one each interval") {
  RateLimit limit(2, 10s);
  Instant begin(1h);
  CHECK(limit.has_one(begin));
  limit.take(begin);
  limit.take(begin);
  CHECK_FALSE(limit.has_one(begin));
  Instant next = limit.has_one_at();
  CHECK(next > begin);
  CHECK(next <= begin + 10s);
  CHECK_FALSE(limit.has_one(next - 1us));
  CHECK(limit.has_one(next));
  CHECK_FALSE(limit.is_full());
  CHECK(limit.has_one(begin + 1h));
  CHECK(limit.is_full());
}
