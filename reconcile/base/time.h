// Points in time and spans, without a way to ask what time it is: `now` is always an argument.
#pragma once

#include <chrono>
#include <compare>

namespace gitproc {

// All spans are whole microseconds, systemd's own resolution (systemd.time(7)).
using Duration = std::chrono::microseconds;

// "infinity" of systemd.time(7): a timer of this length is never armed.
inline constexpr Duration infinite = Duration::max();

// CLOCK_BOOTTIME: counts while the machine sleeps and is the clock of /proc/PID/stat's start time.
struct BootClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock, duration>;
  static constexpr bool is_steady = true;
};
using Instant = BootClock::time_point;

// CLOCK_REALTIME, in UTC: only for what people read (since, history) and for calendars (--until).
struct CivilClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<CivilClock, duration>;
  static constexpr bool is_steady = false;
};
using WallTime = CivilClock::time_point;

inline constexpr Instant never = Instant::max();

// `start + span`, saturating at `never` for infinite spans.
constexpr Instant after(Instant start, Duration span) { return span >= never - start ? never : start + span; }

// Both clocks, read together once per turn.
struct Now {
  Instant instant;
  WallTime wall;
};

}  // namespace gitproc
