#include "agent/event_log.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "reconcile/base/cut.h"

namespace gitproc {
namespace {

// A packed event: its time, whether there is a commit, the commit; then each text with its length before it, the
// service's name first.
class Packer {
 public:
  explicit Packer(std::deque<std::byte>& to) : to_(to) {}

  template <typename T>
  void put(const T& value) {
    put(&value, sizeof value);
  }
  void put_text(std::string_view text) {
    text = cut_at_character(text, EventLog::max_text_bytes);
    put(static_cast<std::uint16_t>(text.size()));
    put(text.data(), text.size());
  }

 private:
  void put(const void* from, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(from);
    to_.insert(to_.end(), bytes, bytes + size);
  }

  std::deque<std::byte>& to_;
};

class Unpacker {
 public:
  explicit Unpacker(const std::byte* from) : at_(from) {}

  template <typename T>
  T take() {
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::string_view take_text() {
    auto size = take<std::uint16_t>();
    return {reinterpret_cast<const char*>(std::exchange(at_, at_ + size)), size};
  }

 private:
  const std::byte* at_;
};

void pack(const LoggedEvent& logged, Packer& packer) {
  const Announce& event = logged.event;
  packer.put(logged.at);
  packer.put(event.commit.has_value());
  if (event.commit) packer.put(event.commit->bytes);
  for (std::string_view text :
       {std::string_view(event.service), std::string_view(event.kind), std::string_view(event.from),
        std::string_view(event.to), std::string_view(event.reason)})
    packer.put_text(text);
}

// nullopt: it concerns another service.
std::optional<LoggedEvent> unpack(const std::byte* packed, std::string_view service) {
  Unpacker unpacker(packed);
  LoggedEvent logged;
  logged.at = unpacker.take<WallTime>();
  if (unpacker.take<bool>()) logged.event.commit.emplace().bytes = unpacker.take<decltype(ObjectId::bytes)>();
  std::string_view concerned = unpacker.take_text();
  if (!service.empty() && concerned != service) return std::nullopt;
  logged.event.service = concerned;
  for (std::string* text : {&logged.event.kind, &logged.event.from, &logged.event.to, &logged.event.reason})
    *text = unpacker.take_text();
  return logged;
}

}  // namespace

void EventLog::add(const LoggedEvent& event) {
  for (const auto& [id, follower] : followers_)
    follower(event);
  std::size_t before = bytes_.size();
  Packer packer(bytes_);
  pack(event, packer);
  sizes_.push_back(static_cast<std::uint32_t>(bytes_.size() - before));
  if (sizes_.size() <= limit) return;
  bytes_.erase(bytes_.begin(), bytes_.begin() + sizes_.front());
  sizes_.pop_front();
}

std::vector<LoggedEvent> EventLog::last(std::size_t count, std::string_view service) const {
  std::vector<LoggedEvent> found;
  std::vector<std::byte> packed;
  auto end = bytes_.end();
  for (auto size = sizes_.rbegin(); size != sizes_.rend() && found.size() < count; ++size) {
    auto begin = end - *size;
    packed.assign(begin, end);
    end = begin;
    if (std::optional<LoggedEvent> logged = unpack(packed.data(), service))
      found.push_back(*std::move(logged));
  }
  std::ranges::reverse(found);
  return found;
}

}  // namespace gitproc
