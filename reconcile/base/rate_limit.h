// How often something may happen: `burst` times at once, and then once each interval (a token bucket).
#pragma once

#include "reconcile/base/time.h"

namespace gitproc {

class RateLimit {
 public:
  RateLimit(unsigned burst, Duration interval) : burst_(burst), interval_(interval), tokens_(burst) {}

  // Whether there is one left, without taking it.
  bool has_one(Instant now);
  void take(Instant now);
  // When there will be one again, as of the last call of has_one(); in the past where there is one.
  Instant has_one_at() const { return tokens_ > 0 ? refilled_ : refilled_ + interval_; }
  // Nothing was taken for so long that nothing is known of it.
  bool is_full() const { return tokens_ == burst_; }

 private:
  unsigned burst_;
  Duration interval_;
  unsigned tokens_;
  Instant refilled_{};
};

}  // namespace gitproc
