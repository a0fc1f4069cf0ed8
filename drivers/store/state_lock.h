// One agent per state directory, and one per run directory, whose journal two would both believe to be theirs:
// <directory>/lock is locked with flock(2), and holds the PID of the agent that
// has it, so that the refusal of a second agent can name the first. The kernel lifts the lock with the process,
// however it ends; the file stays.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "drivers/base/unique_fd.h"
#include "reconcile/base/error.h"

namespace gitproc {

class StateLock {
 public:
  // `what` names the directory in messages. Waits for no living agent; for the last child of a killed one, 2 s at most.
  // Error `busy`: "state directory '/var/lib/gitproc' is in use by the agent with PID 123".
  static Result<StateLock> acquire(const std::string& directory, std::string_view what = "state directory");

 private:
  explicit StateLock(UniqueFd file) : file_(std::move(file)) {}

  UniqueFd file_;
};

}  // namespace gitproc
