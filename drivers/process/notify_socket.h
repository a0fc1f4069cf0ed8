// The one socket that all services send their sd_notify(3) messages to: <run-dir>/notify, an AF_UNIX datagram socket
// whose path stays the same over restarts of the agent. The kernel vouches for the sender's pid.
#pragma once

#include <string>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "reconcile/base/error.h"
#include "reconcile/event.h"

namespace gitproc {

class NotifySocket {
 public:
  // Replaces what an earlier agent left at `path`. Anyone may send: who a message is from is judged by its pid.
  // Error: a path longer than sockaddr_un takes.
  static Result<NotifySocket> open(const std::string& path);

  int fd() const { return fd_.get(); }

  // The messages that have arrived, at most `max`, with `sender` filled in and `service` not. Descriptors that came
  // along are kept until release_barriers().
  std::vector<Notified> receive(std::size_t max);

  // Closes those descriptors, which is what BARRIER=1 waits for (sd_notify_barrier(3)): to be called when the senders
  // have been looked up, as they may end then.
  void release_barriers() { barriers_.clear(); }

 private:
  UniqueFd fd_;
  std::vector<UniqueFd> barriers_;
};

}  // namespace gitproc
