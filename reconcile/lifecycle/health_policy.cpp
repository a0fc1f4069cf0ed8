#include "reconcile/lifecycle/health_policy.h"

#include <algorithm>

namespace gitproc {
namespace {

constexpr Duration longest_pause_when_starting = std::chrono::seconds(1);
constexpr Duration shortest_pause = std::chrono::milliseconds(100);

}  // namespace

Duration probe_pause(const HealthCheck& check, bool is_starting) {
  Duration pause = is_starting ? std::min(check.interval, longest_pause_when_starting) : check.interval;
  return std::max(pause, shortest_pause);
}

HealthState judge_probe(const HealthCheck& check, HealthState before, bool is_healthy,
                        bool is_in_start_period, ProbeStreak& streak) {
  if (is_healthy) {
    streak.failed = 0;
    if (streak.passed < check.success_threshold) ++streak.passed;
    return streak.passed >= check.success_threshold ? HealthState::healthy : before;
  }
  streak.passed = 0;
  if (is_in_start_period) return before;
  if (streak.failed < check.retries) ++streak.failed;
  return streak.failed >= check.retries ? HealthState::unhealthy : before;
}

}  // namespace gitproc
