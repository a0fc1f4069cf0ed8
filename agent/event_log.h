// What `gitproc events` shows: the last announcements of the Reconciler, and whoever follows them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
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
  // Of one text of an event; what is beyond is cut off.
  static constexpr std::size_t max_text_bytes = 0xFFFF;
  using Follower = std::function<void(const LoggedEvent&)>;

  void add(const LoggedEvent& event);

  // The newest `count` events that concern `service` ("": all), oldest first.
  std::vector<LoggedEvent> last(std::size_t count, std::string_view service) const;

  // A follower must not follow or unfollow from within its call.
  std::uint64_t follow(Follower follower) {
    followers_.emplace(++last_id_, std::move(follower));
    return last_id_;
  }
  void unfollow(std::uint64_t id) { followers_.erase(id); }

 private:
  // The events one behind the other, oldest first, each in a third of what its strings would take; see event_log.cpp.
  std::deque<std::byte> bytes_;
  std::deque<std::uint32_t> sizes_;  // of each in bytes_
  std::map<std::uint64_t, Follower> followers_;
  std::uint64_t last_id_ = 0;
};

}  // namespace gitproc
