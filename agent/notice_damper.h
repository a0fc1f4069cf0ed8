// Keeps notices few. What flaps tells the same again and again: of one kind and message some go out at once, and then
// one each interval, which says how many it stands for. The last one of them always goes out, so that whoever is told
// knows how it ended. Pure; time is an argument.
//
// A recovery counts with the trouble that it ends. A notice of a commit (applied, rejected, rolled back) is damped by
// its kind alone.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/notice.h"
#include "reconcile/base/rate_limit.h"

namespace gitproc {

// Of one kind and message. A trouble and its end are two notices.
inline constexpr unsigned notice_burst = 6;
inline constexpr Duration notice_interval = std::chrono::minutes(10);
// Of all together.
inline constexpr unsigned notice_total_burst = 30;
inline constexpr Duration notice_total_interval = std::chrono::minutes(1);
// Kinds and messages that are told apart; further ones count as one.
inline constexpr std::size_t notice_streams_limit = 64;

class NoticeDamper {
 public:
  // The notice, or nothing where it waits.
  std::optional<Notice> offer(Notice notice, Instant now);
  // What has waited for long enough, the oldest first.
  std::vector<Notice> due(Instant now);
  // When due() has something; `never` where nothing waits.
  Instant next() const;

 private:
  struct Stream {
    RateLimit limit{notice_burst, notice_interval};
    std::optional<Notice> waiting;  // the last of those that were held back
  };

  std::string stream_of(const Notice& notice);
  Stream& stream(const std::string& key, Instant now);

  std::map<std::string, Stream> streams_;
  RateLimit total_{notice_total_burst, notice_total_interval};
  std::string trouble_;  // the stream of the last one
};

}  // namespace gitproc
