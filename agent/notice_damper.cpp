#include "agent/notice_damper.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace gitproc {

std::string NoticeDamper::stream_of(const Notice& notice) {
  bool is_trouble = notice.event == "degraded" || notice.event == "held" || notice.event == "error";
  if (is_trouble) return trouble_ = notice.event + "\n" + notice.message;
  return notice.event == "recovered" ? trouble_ : notice.event;
}

NoticeDamper::Stream& NoticeDamper::stream(const std::string& key, Instant now) {
  auto found = streams_.find(key);
  if (found != streams_.end()) return found->second;
  if (streams_.size() >= notice_streams_limit) {
    for (auto entry = streams_.begin(); entry != streams_.end();) {
      Stream& known = entry->second;
      bool is_quiet = !known.waiting && known.limit.has_one(now) && known.limit.is_full();
      entry = is_quiet ? streams_.erase(entry) : std::next(entry);
    }
  }
  return streams_[streams_.size() < notice_streams_limit ? key : ""];
}

std::optional<Notice> NoticeDamper::offer(Notice notice, Instant now) {
  Stream& its = stream(stream_of(notice), now);
  // In order: what waits is told first.
  if (!its.waiting && its.limit.has_one(now) && total_.has_one(now)) {
    its.limit.take(now);
    total_.take(now);
    return notice;
  }
  if (its.waiting) notice.left_out = its.waiting->left_out + 1;
  its.waiting = std::move(notice);
  return std::nullopt;
}

std::vector<Notice> NoticeDamper::due(Instant now) {
  std::vector<Stream*> ready;
  for (auto& [key, its] : streams_) {
    if (its.waiting && its.limit.has_one(now)) ready.push_back(&its);
  }
  std::ranges::sort(ready, {}, [](const Stream* its) { return its->waiting->at; });
  std::vector<Notice> told;
  for (Stream* its : ready) {
    if (!total_.has_one(now)) break;
    its->limit.take(now);
    total_.take(now);
    told.push_back(*std::exchange(its->waiting, std::nullopt));
  }
  return told;
}

Instant NoticeDamper::next() const {
  Instant first = never;
  for (const auto& [key, its] : streams_) {
    if (its.waiting) first = std::min(first, its.limit.has_one_at());
  }
  return first == never ? never : std::max(first, total_.has_one_at());
}

}  // namespace gitproc
