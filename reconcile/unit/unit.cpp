#include "reconcile/unit/unit.h"

namespace gitproc {

const std::vector<ExecCommand>& Unit::commands(ExecPhase phase) const {
  switch (phase) {
    case ExecPhase::condition: return auxiliary->condition;
    case ExecPhase::start_pre: return auxiliary->start_pre;
    case ExecPhase::start: return start;
    case ExecPhase::start_post: return auxiliary->start_post;
    case ExecPhase::reload: return auxiliary->reload;
    case ExecPhase::stop: return auxiliary->stop;
    case ExecPhase::stop_post: return auxiliary->stop_post;
  }
  __builtin_unreachable();
}

Duration Unit::start_timeout() const {
  if (timeouts->start) return *timeouts->start;
  return type == ServiceType::oneshot ? infinite : Duration(std::chrono::seconds(90));
}

}  // namespace gitproc
