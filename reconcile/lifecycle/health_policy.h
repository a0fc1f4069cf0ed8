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

// When the next probe begins after one of this beginning and end: an interval after its beginning, so that a service is
// probed as often as it says however long probes take, but no sooner than 100 ms after its end.
Instant next_probe(const HealthCheck& check, bool is_starting, Instant began, Instant ended);
// From the moment when a service's health is first known, or supervision goes on, to the next probe: some part of the
// interval, another one for each id. Services that were started or adopted together are not probed together for ever.
Duration spread_pause(const HealthCheck& check, ServiceId id);

// Probes of the same outcome in a row; one of them is 0.
struct ProbeStreak {
  unsigned failed = 0;
  unsigned passed = 0;
};

// The health after a probe of a service that was `before`. Failures within HealthCheckStartPeriod= do not count.
HealthState judge_probe(const HealthCheck& check, HealthState before, bool is_healthy,
                        bool is_in_start_period, ProbeStreak& streak);

}  // namespace gitproc
