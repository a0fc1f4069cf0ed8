// What `gitproc events` shows: the last announcements of the Reconciler, and whoever follows them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "reconcile/base/time.h"
#include "reconcile/command.h"

namespace gitproc {

struct LoggedEvent {
  WallTime at;
  Announce event;
};

class EventLog {
 public:
  static constexpr std::size_t limit = 1000;
  using Follower = std::function<void(const LoggedEvent&)>;

  void add(LoggedEvent event) {
    for (const auto& [id, follower] : followers_)
      follower(event);
    events_.push_back(std::move(event));
    if (events_.size() > limit) events_.pop_front();
  }

  // The newest `count` events that concern `service` ("": all), oldest first.
  std::vector<LoggedEvent> last(std::size_t count, const std::string& service) const {
    std::vector<LoggedEvent> found;
    for (auto event = events_.rbegin(); event != events_.rend() && found.size() < count; ++event) {
      if (service.empty() || event->event.service == service) found.push_back(*event);
    }
    return {found.rbegin(), found.rend()};
  }

  // A follower must not follow or unfollow from within its call.
  std::uint64_t follow(Follower follower) {
    followers_.emplace(++last_id_, std::move(follower));
    return last_id_;
  }
  void unfollow(std::uint64_t id) { followers_.erase(id); }

 private:
  std::deque<LoggedEvent> events_;
  std::map<std::uint64_t, Follower> followers_;
  std::uint64_t last_id_ = 0;
};

}  // namespace gitproc
