// $PORT in HealthCheckURL=: unlike in Exec...= lines, a variable may stand anywhere in the URL.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reconcile/unit/unit.h"

namespace gitproc {

// Replaces $NAME and ${NAME} by the unit's Environment= (the last one of a name counts), by nothing where it is
// not set; "$$" is "$", and any other '$' stays.
std::string expand_url_variables(std::string_view url, const std::vector<EnvironmentVariable>& environment);

}  // namespace gitproc
