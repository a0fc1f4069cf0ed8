// A timerfd_create(2) descriptor on the clock of Instant: readable from an instant on.
#pragma once

#include "drivers/base/unique_fd.h"
#include "reconcile/base/time.h"

namespace gitproc {

class Timer {
 public:
  // Aborts where the kernel has no descriptors left: whoever has timers is only starting.
  Timer();

  // Replaces what was set before, and clears what it has told. `never` sets nothing.
  void set(Instant when);
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace gitproc
