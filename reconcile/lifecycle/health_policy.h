// What probes mean: [X-GitProc] HealthCheck...=. Until the first success a service is probed often and no
// failure counts; from then on `retries` failures in a row make it unhealthy, and `success_threshold` successes
// in a row healthy.
#pragma once

#include <cstddef>

#include "reconcile/actual/service.h"
#include "reconcile/base/time.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// Results kept of each service.
inline constexpr std::size_t probe_history_limit = 10;

// From the end of one probe to the start of the next. Never shorter than 100 ms.
Duration probe_pause(const HealthCheck& check, bool is_starting);

// Probes of the same outcome in a row; one of them is 0.
struct ProbeStreak {
  unsigned failed = 0;
  unsigned passed = 0;
};

// The health after a probe of a service that was `before`. Failures within HealthCheckStartPeriod= do not count.
HealthState judge_probe(const HealthCheck& check, HealthState before, bool is_healthy,
                        bool is_in_start_period, ProbeStreak& streak);

}  // namespace gitproc
