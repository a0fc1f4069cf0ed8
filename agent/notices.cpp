#include "agent/notices.h"

#include <algorithm>
#include <asio.hpp>

#include "drivers/base/clock.h"

namespace gitproc {

struct Notices::Timer {
  explicit Timer(asio::io_context& loop) : timer(loop) {}
  asio::steady_timer timer;
};

Notices::Notices(asio::io_context& loop, Daemon& daemon, ChildExits& exits, const Notifier::Options& options)
    : daemon_(daemon), timer_(std::make_unique<Timer>(loop)), notifier_(Notifier::make(loop, options)) {
  follower_ =
      daemon.events().follow([this](const LoggedEvent& event) { tell(filter_.announced(event.event)); });
  daemon.on_sync([this](SyncState now) {
    NodeView node = daemon_.reconciler().node();
    tell(filter_.sync_changed(now, node.error, node.desired_commit));
  });
  exits.listen([this](Pid pid, const ExitStatus& status) { notifier_->child_ended(pid, status); });
}

Notices::~Notices() {
  daemon_.on_sync(nullptr);
  daemon_.events().unfollow(follower_);
}

void Notices::tell(std::optional<NoticeFilter::Found> found) {
  if (!found) return;
  Notice notice{.event = std::move(found->event),
                .at = read_clocks().wall,
                .node = daemon_.node().name,
                .branch = daemon_.reconciler().node().branch,
                .commit = found->commit ? found->commit->hex() : "",
                .subject = "",
                .message = std::move(found->message)};
  const std::vector<HistoryEntry>& history = daemon_.reconciler().durable().history;
  auto known = std::find_if(history.rbegin(), history.rend(),
                            [&](const HistoryEntry& entry) { return entry.commit == found->commit; });
  if (known != history.rend()) notice.subject = known->subject;
  if (auto told = damper_.offer(std::move(notice), read_clocks().instant)) notifier_->send(*std::move(told));
  await_held_back();
}

void Notices::await_held_back() {
  Instant next = damper_.next();
  if (next == never) return;
  timer_->timer.expires_after(std::max(next - read_clocks().instant, Duration::zero()));
  timer_->timer.async_wait([this](const asio::error_code& stopped) {
    if (stopped) return;
    for (Notice& notice : damper_.due(read_clocks().instant))
      notifier_->send(std::move(notice));
    await_held_back();
  });
}

}  // namespace gitproc
