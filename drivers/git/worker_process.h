// What both fetch workers share inside their process: messages out, and rights given up.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "drivers/git/fetch_message.h"
#include "reconcile/base/error.h"

namespace gitproc {

// Writes messages to the agent; where the agent is gone the process ends.
class WorkerVoice {
 public:
  void say(const WorkerMessage& message);
  // At most a few times a second.
  void progress(const FetchProgress& progress);

 private:
  std::chrono::steady_clock::time_point last_{};
};

struct WorkerLimits {
  std::uint64_t memory_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t cpu_seconds = 0;
};

// Not dumpable, no core, tied to the life of `parent`; also when it was root's before.
Result<void> give_up_rights(uid_t uid, gid_t gid, const WorkerLimits& limits, pid_t parent);

// What the receiver and the indexer do with their jobs; they say how it went.
void receive(const FetchJob& job, WorkerVoice& voice, pid_t parent);
void index_pack(const IndexJob& job, WorkerVoice& voice, pid_t parent);

}  // namespace gitproc
