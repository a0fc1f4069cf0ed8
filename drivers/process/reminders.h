// Services to be looked at again a while later, all after the same while: so a queue and one timer are enough. The timer
// is armed by the first in the queue alone, and not at all while there is none.
#pragma once

#include <deque>
#include <vector>

#include "drivers/base/timer.h"
#include "reconcile/base/ids.h"

namespace gitproc {

class Reminders {
 public:
  explicit Reminders(Duration delay) : delay_(delay) {}

  // `now` never goes back from one call to the next.
  void add(ServiceId service, Instant now);
  // Those whose time has come, each as often as it was added.
  std::vector<ServiceId> take_due(Instant now);
  // Readable when take_due() may have something.
  int fd() const { return timer_.fd(); }

 private:
  struct Reminder {
    Instant due;
    ServiceId service;
  };

  Duration delay_;
  std::deque<Reminder> queue_;
  Timer timer_;
};

}  // namespace gitproc
