// The program that is PID 1 of services' PID namespaces (init/namespace_init.c): its file is a part of this one, and is
// executed from memory, so that nothing has to be installed beside the agent.
#pragma once

#include "drivers/base/unique_fd.h"
#include "reconcile/base/error.h"

namespace gitproc {

// A sealed descriptor to execute it by (execveat(2)), close-on-exec. Errors: the kernel allows no such.
Result<UniqueFd> open_namespace_image();

}  // namespace gitproc
