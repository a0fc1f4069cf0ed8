#include "drivers/process/reminders.h"

namespace gitproc {

void Reminders::add(ServiceId service, Instant now) {
  queue_.push_back({.due = now + delay_, .service = service});
  if (queue_.size() == 1) timer_.set(queue_.front().due);
}

std::vector<ServiceId> Reminders::take_due(Instant now) {
  std::vector<ServiceId> due;
  if (queue_.empty() || queue_.front().due > now) return due;
  while (!queue_.empty() && queue_.front().due <= now) {
    due.push_back(queue_.front().service);
    queue_.pop_front();
  }
  timer_.set(queue_.empty() ? never : queue_.front().due);
  return due;
}

}  // namespace gitproc
