#include "drivers/base/timer.h"

#include <sys/timerfd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace gitproc {

Timer::Timer() : fd_(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (!fd_) std::abort();
}

void Timer::set(Instant when) {
  itimerspec setting{};
  if (when != never) {
    // Zero would set nothing.
    auto span = std::max<Duration>(when.time_since_epoch(), Duration(1));
    setting.it_value.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(span).count();
    setting.it_value.tv_nsec = std::chrono::nanoseconds(span % std::chrono::seconds(1)).count();
  }
  ::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &setting, nullptr);
}

}  // namespace gitproc
