// What a unit names that this machine does not have: executables, users and groups. They are warnings, since the
// machine that verifies need not be the one that runs it.
#pragma once

#include <functional>
#include <string>

#include "reconcile/base/diagnostic.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// The text of a unit's source file, to find the line in; "" where it cannot be had.
using SourceReader = std::function<std::string(const std::string& path)>;

// Warns also of a service that would run as root because User= is unset, when `runs_as_root`.
Diagnostics check_against_machine(const Unit& unit, const SourceReader& read, bool runs_as_root);

}  // namespace gitproc
