// What sync, rollback and approve share: asking for a commit and waiting until it has settled.
#pragma once

#include "cli/session.h"

namespace gitproc {

// Sends the request, shows what happens meanwhile, and prints how it ended. Degraded, held and rejected are
// failures; an unknown revision is one too, not a missing service.
ExitCode settle(Session& session, const Request& request);

}  // namespace gitproc
