// Makes notices of what the daemon announces, and gives them to the Notifier. Made only where there is somebody to notify.
#pragma once

#include <memory>

#include "agent/child_exits.h"
#include "agent/daemon.h"
#include "agent/notice.h"
#include "agent/notice_damper.h"
#include "agent/notifier.h"

namespace gitproc {

class Notices {
 public:
  // Follows the daemon's events and its sync state. `daemon` and `loop` must outlive it; `exits` must not tell of any
  // once it is gone.
  Notices(asio::io_context& loop, Daemon& daemon, ChildExits& exits, const Notifier::Options& options);
  ~Notices();
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;

  std::vector<Count> counts() const { return notifier_->counts(); }

 private:
  void tell(std::optional<NoticeFilter::Found> found);
  void await_held_back();

  Daemon& daemon_;
  NoticeFilter filter_;
  NoticeDamper damper_;
  struct Timer;
  std::unique_ptr<Timer> timer_;  // for what the damper holds back
  std::unique_ptr<Notifier> notifier_;
  std::uint64_t follower_;
};

}  // namespace gitproc
