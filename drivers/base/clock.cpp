#include "drivers/base/clock.h"

#include <ctime>

namespace gitproc {
namespace {

Duration read_clock(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);  // cannot fail for these two clocks
  return std::chrono::seconds(time.tv_sec) +
         std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace

Now read_clocks() {
  return {.instant = Instant(read_clock(CLOCK_BOOTTIME)), .wall = WallTime(read_clock(CLOCK_REALTIME))};
}

}  // namespace gitproc
