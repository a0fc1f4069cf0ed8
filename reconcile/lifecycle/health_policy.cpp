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
                        bool is_in_start_period, unsigned& failed_probes) {
  if (is_healthy) {
    failed_probes = 0;
    return HealthState::healthy;
  }
  if (is_in_start_period) return before;
  if (failed_probes < check.retries) ++failed_probes;
  return failed_probes >= check.retries ? HealthState::unhealthy : before;
}

}  // namespace gitproc
