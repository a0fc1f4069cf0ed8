// What sync, rollback, approve and accept share: asking for a commit and waiting until it has settled.
#pragma once

#include "cli/session.h"

namespace gitproc {

// Adds what they have in common: --no-wait, which `args` gets, --socket and --json.
void add_settle_options(CLI::App& command, Session& session, RequestArguments& args);

// Sends the request, shows what happens meanwhile, and prints how it ended. Degraded, held and rejected are
// failures; an unknown revision is one too, not a missing service.
ExitCode settle(Session& session, const Request& request);

}  // namespace gitproc
