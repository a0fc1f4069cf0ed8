// What probes mean: [X-GitProc] HealthCheck...=. Until the first success a service is probed often and no
// failure counts; from then on `retries` failures in a row make it unhealthy.
#pragma once

#include "reconcile/actual/service.h"
#include "reconcile/base/time.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// From the end of one probe to the start of the next. Never shorter than 100 ms.
Duration probe_pause(const HealthCheck& check, bool is_starting);

// The health after a probe of a service that was `before`. `failed_probes` counts failures in a row; those
// within HealthCheckStartPeriod= do not count.
HealthState judge_probe(const HealthCheck& check, HealthState before, bool is_healthy,
                        bool is_in_start_period, unsigned& failed_probes);

}  // namespace gitproc
