// StartLimitIntervalSec= and StartLimitBurst=: so many starts within so long, and no more. The window is fixed:
// it begins at its first start, and the next one begins with the first start after it has passed.
#pragma once

#include <cstdint>

#include "reconcile/base/time.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

class StartLimit {
 public:
  // Whether a start at `now` is within the limit; it is counted if so. An interval or a burst of 0: no limit.
  bool admits(const RestartPolicy& policy, Instant now);
  void forget() { starts_ = 0; }

 private:
  Instant window_start_{};
  std::uint32_t starts_ = 0;  // within the window; 0: there is none yet
};

}  // namespace gitproc
