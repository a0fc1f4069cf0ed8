// A service of `list` or `status` in words for people.
#pragma once

#include <string>

#include "agent/protocol/json.h"
#include "cli/output.h"

namespace gitproc {

// By state and health: green is as it should be, yellow on its way or held, red needs somebody.
Style style_of_service(const Json& service);
// The same for a node's `sync`.
Style style_of_sync(const std::string& sync);

// "failed (exit-code)", "running, unhealthy", "stopped, held": the state and what else matters.
std::string state_text(const Json& service);

// 0 for running, reloading and completed, else 3: the exit code of `status SERVICE`.
bool is_active(const Json& service);

}  // namespace gitproc
