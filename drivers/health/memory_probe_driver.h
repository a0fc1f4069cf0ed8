// A ProbeDriver without a network, for the agent's tests: it keeps what was asked, and the test answers.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "drivers/health/probe_driver.h"

namespace gitproc {

class MemoryProbeDriver : public ProbeDriver {
 public:
  explicit MemoryProbeDriver(std::function<void(Event)> on_event) : on_event_(std::move(on_event)) {}

  void start(ServiceId service, const HealthCheck& check) override { under_way[service] = check; }
  void cancel(ServiceId service) override { under_way.erase(service); }

  // Ends the probe of `service`; false where none is under way.
  bool finish(ServiceId service, bool is_healthy, std::string detail) {
    if (under_way.erase(service) == 0) return false;
    on_event_(ProbeFinished{service, is_healthy, std::move(detail)});
    return true;
  }

  std::map<ServiceId, HealthCheck> under_way;

 private:
  std::function<void(Event)> on_event_;
};

}  // namespace gitproc
