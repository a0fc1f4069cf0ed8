// --until TIME, of the commands whose effect may end by itself.
#pragma once

#include <optional>

#include "cli/session.h"

namespace gitproc {

// A time that cannot be read, or is over, is a usage error.
void add_until_option(CLI::App& command, const Session& session, std::optional<WallTime>& until);

}  // namespace gitproc
