#include "reconcile/lifecycle/health_policy.h"

#include <algorithm>

namespace gitproc {
namespace {

constexpr Duration longest_pause_when_starting = std::chrono::seconds(1);
constexpr Duration shortest_pause = std::chrono::milliseconds(100);

Duration interval_of(const HealthCheck& check, bool is_starting) {
  return is_starting ? std::min(check.interval, longest_pause_when_starting) : check.interval;
}

}  // namespace

Instant next_probe(const HealthCheck& check, bool is_starting, Instant began, Instant ended) {
  return std::max(after(began, interval_of(check, is_starting)), after(ended, shortest_pause));
}

Duration spread_pause(const HealthCheck& check, ServiceId id) {
  // The multiples of the golden ratio lie evenly in the interval, however many there are.
  const double share = static_cast<double>(static_cast<std::uint32_t>(id) * 2654435769u) / 4294967296.0;
  const Duration room = std::max(check.interval, shortest_pause) - shortest_pause;
  return shortest_pause + Duration(static_cast<Duration::rep>(static_cast<double>(room.count()) * share));
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
