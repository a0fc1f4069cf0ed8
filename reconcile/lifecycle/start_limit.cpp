#include "reconcile/lifecycle/start_limit.h"

namespace gitproc {

bool StartLimit::admits(const RestartPolicy& policy, Instant now) {
  if (policy.start_limit_interval <= Duration::zero() || policy.start_limit_burst == 0) return true;
  if (starts_ == 0 || now > after(window_start_, policy.start_limit_interval)) {
    window_start_ = now;
    starts_ = 1;
    return true;
  }
  if (starts_ >= policy.start_limit_burst) return false;
  ++starts_;
  return true;
}

}  // namespace gitproc
