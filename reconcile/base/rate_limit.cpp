#include "reconcile/base/rate_limit.h"

#include <algorithm>

namespace gitproc {

bool RateLimit::has_one(Instant now) {
  if (now > refilled_) {
    auto refills = (now - refilled_) / interval_;
    tokens_ = static_cast<unsigned>(std::min<decltype(refills)>(burst_, tokens_ + refills));
    refilled_ += refills * interval_;
  }
  return tokens_ > 0;
}

void RateLimit::take(Instant now) {
  if (has_one(now)) --tokens_;
}

}  // namespace gitproc
