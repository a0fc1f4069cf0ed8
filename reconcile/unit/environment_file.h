// The content of a file that EnvironmentFile= names (systemd.exec(5)): shell-like assignments, without a
// shell's substitutions.
#pragma once

#include <string_view>
#include <vector>

#include "reconcile/base/error.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// The variables in the order of the file, each name once (the last value wins). Lines that are no valid
// assignment, "export A=1" among them, are left out as systemd does. Errors: a NUL byte, invalid UTF-8.
Result<std::vector<EnvironmentVariable>> parse_environment_file(std::string_view text);

// Whether `name` can name a variable: [A-Za-z_][A-Za-z0-9_]*.
bool is_environment_name(std::string_view name);

}  // namespace gitproc
