// Whether a service whose invocation has ended by itself is started again: Restart= and its exceptions,
// systemd.service(5), in the order in which systemd asks.
#pragma once

#include <optional>

#include "reconcile/actual/service.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// The end of an invocation that nobody asked for: after a stop by request there is no question.
struct Ending {
  ServiceResult result = ServiceResult::success;
  std::optional<ExitStatus> main_exit;  // nullopt: there was no main process
  bool is_unhealthy = false;            // it was stopped for HealthCheckAction=restart
};

bool should_restart(const Unit& unit, const Ending& ending);

}  // namespace gitproc
