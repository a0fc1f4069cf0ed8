// An event of the agent as a line for people, without its time: "web: starting -> running".
#pragma once

#include <string>

#include "agent/protocol/json.h"

namespace gitproc {

std::string event_text(const Json& event);

}  // namespace gitproc
