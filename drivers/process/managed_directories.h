// RuntimeDirectory=, StateDirectory=, CacheDirectory=, LogsDirectory= and ConfigurationDirectory= (systemd.exec(5)):
// made before a command is run, the runtime ones removed when the service is dead.
//
// The base directories are the administrator's; what lies below belongs to services and may be swapped for a
// symbolic link at any moment. So every step below the base goes through a descriptor and follows no link.
#pragma once

#include <optional>

#include "drivers/process/exec_spec.h"
#include "drivers/process/spawner.h"

namespace gitproc {

// Makes what is missing and sets mode and owner of the last component, where they differ; ConfigurationDirectory=
// stays the agent's. `owner`: nullopt for the agent's user. The fault has the exit code of the kind.
std::optional<SpawnFault> make_managed_directories(const ExecContext& exec, const ExecFacts& facts,
                                                   const std::optional<Account>& owner);

// Removes the runtime directories with all they hold, but for RuntimeDirectoryPreserve=. What cannot be removed
// (a mount point, a tree deeper than max_removal_depth) stays.
inline constexpr int max_removal_depth = 128;
void remove_runtime_directories(const ExecContext& exec, const ExecFacts& facts, bool will_restart);

}  // namespace gitproc
