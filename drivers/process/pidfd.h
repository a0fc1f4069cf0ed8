// Process descriptors (pidfd_open(2)): the one way to speak of a process that is nobody's unreaped child without
// meaning another one that got its number. Raw calls: glibc 2.36's <sys/pidfd.h> lacks extern "C".
#pragma once

#include <optional>

#include "drivers/base/unique_fd.h"
#include "reconcile/actual/exit_status.h"
#include "reconcile/base/ids.h"

namespace gitproc {

// Empty where there is no such process.
UniqueFd open_pidfd(Pid pid);

// False where the process is gone, or may not be signalled.
bool send_signal(const UniqueFd& pidfd, int signal);

// How the process ended, where that can be known of one that is not a child: a zombie's from /proc/PID/stat, one that
// was reaped already from PIDFD_GET_INFO (Linux 6.15). Else unknown.
ExitStatus exit_status_of(const UniqueFd& pidfd, Pid pid);

// From a status word of waitpid(2).
ExitStatus exit_status_from(int wait_status);

}  // namespace gitproc
