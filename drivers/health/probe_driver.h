// Health probes over the network: HTTP(S) through libcurl's multi interface and plain TCP connects, all on the
// agent's event loop: thousands at once, no thread. A probe asks one thing, "does it answer well in time?", so
// nothing is followed, kept or trusted: no redirects, no proxies, no reused connections, at most 64 KiB of an
// answer.
//
// HealthCheckExec= is not probed here: it is a process, and processes are the process driver's (README.md).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "reconcile/event.h"
#include "reconcile/unit/unit.h"

namespace asio {
class io_context;
}

namespace gitproc {

// More probes than this wait for their turn; their time-outs begin then.
inline constexpr std::size_t probes_in_flight_limit = 4096;
// Headers and body each: a longer body is not read on, longer headers are unhealthy.
inline constexpr std::size_t probe_response_limit_bytes = 64u << 10;

class ProbeDriver {
 public:
  virtual ~ProbeDriver() = default;
  // Probes once, as `check` says; $VARIABLES in its URL are expanded already. One ProbeFinished follows, never
  // from within this call, at the latest `check.timeout` after the probe began. A probe of the same service that
  // is still under way is cancelled first.
  virtual void start(ServiceId service, const HealthCheck& check) = 0;
  // No ProbeFinished follows any more. Does nothing where there is no probe.
  virtual void cancel(ServiceId service) = 0;
};

// The loop's thread runs everything, `on_event` too; `loop` must outlive the driver.
Result<std::unique_ptr<ProbeDriver>> make_probe_driver(asio::io_context& loop,
                                                       std::function<void(Event)> on_event);

}  // namespace gitproc
