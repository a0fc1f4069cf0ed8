#include "reconcile/fetch_schedule.h"

#include <algorithm>
#include <utility>

namespace gitproc {
namespace {

// Doublings after which every delay has long reached its end.
constexpr unsigned most_doublings = 16;

}  // namespace

// splitmix64, as in IdSource.
Duration FetchSchedule::random_below(Duration span) {
  chance_ += 0x9E3779B97F4A7C15u;
  std::uint64_t value = chance_;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  value ^= value >> 31;
  return span <= Duration::zero() ? Duration::zero()
                                  : Duration(value % static_cast<std::uint64_t>(span.count()));
}

void FetchSchedule::start(Instant now, bool is_urgent) {
  slot_ = now;
  next_ = is_urgent ? now : now + random_below(std::min(interval_, first_fetch_spread));
}

void FetchSchedule::request(Instant now) {
  if (is_running_) {
    is_wanted_again_ = true;
  } else {
    next_ = now;
  }
}

bool FetchSchedule::begin_if_due(Instant now) {
  if (is_running_ || next_ > now) return false;
  is_running_ = true;
  return true;
}

void FetchSchedule::succeeded(Instant now) {
  failures_ = 0;
  // Time that went by unused (a slow fetch, a machine asleep) is not made up for.
  slot_ = std::max(after(slot_, interval_), now);
  next_ = after(slot_, random_below(interval_));
  ended(now);
}

void FetchSchedule::failed(Instant now, bool was_refused) {
  Duration delay =
      was_refused ? std::max(interval_, first_refused_delay) : std::min(interval_, first_fetch_delay);
  Duration longest = std::max(interval_, was_refused ? longest_refused_delay : longest_fetch_delay);
  for (unsigned i = 0; i < std::min(failures_, most_doublings) && delay < longest; ++i)
    delay *= 2;
  delay = std::min(delay, longest);
  ++failures_;
  // Half of it is certain: jitter must not undo the backing off.
  next_ = after(now, delay / 2 + random_below(delay / 2));
  slot_ = next_;
  ended(now);
}

void FetchSchedule::ended(Instant now) {
  is_running_ = false;
  if (std::exchange(is_wanted_again_, false)) next_ = now;
}

}  // namespace gitproc
