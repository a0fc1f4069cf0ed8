// Takes notices to where the operator wants them: a command (`notify.exec`), a URL (`notify.url`). Each destination has a
// queue of its own and gets one notice at a time, in order. What cannot be delivered is tried again, later and later,
// and then dropped with a line in the log. Nothing waits for a notice: not a turn, and not the end of the agent.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/http/metrics.h"
#include "agent/notice.h"
#include "reconcile/actual/exit_status.h"
#include "reconcile/base/ids.h"

namespace asio {
class io_context;
}

namespace gitproc {

// For each destination: notices that wait; then the oldest one goes.
inline constexpr std::size_t notice_queue_limit = 64;
inline constexpr unsigned notice_attempts = 5;
// Between attempts: this long, and then each time four times as long (1, 4, 16, 64 seconds).
inline constexpr std::chrono::seconds notice_retry_delay{1};
inline constexpr std::chrono::seconds notice_exec_timeout{30};

class Notifier {
 public:
  struct Options {
    std::vector<std::string> command;  // empty: none
    std::string url;                   // "": none
  };

  // `loop` must outlive it.
  static std::unique_ptr<Notifier> make(asio::io_context& loop, const Options& options);
  // What runs is killed, what waits is forgotten.
  virtual ~Notifier() = default;

  virtual void send(Notice notice) = 0;
  // Told of any child of the agent's that has ended.
  virtual void child_ended(Pid pid, const ExitStatus& status) = 0;
  // By what became of them: "delivered", "retried", "dropped".
  virtual std::vector<Count> counts() const = 0;
};

}  // namespace gitproc
