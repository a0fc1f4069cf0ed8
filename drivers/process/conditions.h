// Condition...= and Assert...= (systemd.unit(5)), and what a unit needs to be there before its old instance may be
// stopped. All of it is looked at as the agent's user.
#pragma once

#include <string>

#include "drivers/process/accounts.h"
#include "drivers/process/exec_spec.h"
#include "reconcile/event.h"

namespace gitproc {

// All conditions must hold, and of the triggering ones ("|") at least one.
ConditionsChecked check_unit_conditions(ServiceId service, const Unit& unit);

// "" or the first thing that is missing: user, group, an executable, the working directory, an environment file,
// the directory of an output file.
std::string find_missing(const Unit& unit, const ExecFacts& facts, Accounts& accounts, Instant now);

}  // namespace gitproc
