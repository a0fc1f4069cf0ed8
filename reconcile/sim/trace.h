// What happened in a run, in order: a hash of all of it, and, on demand, the last of it in words.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "reconcile/command.h"
#include "reconcile/event.h"

namespace gitproc::sim {

// For people: "exited b 107 with status 3", "spawn b start#0".
std::string describe(const Event& event);
std::string describe(const Command& command);

class Trace {
 public:
  // `keeps_words`: costs time; without it only the hash is kept.
  explicit Trace(bool keeps_words) : keeps_words_(keeps_words) {}

  bool keeps_words() const { return keeps_words_; }
  std::uint64_t hash() const { return hash_; }
  const std::deque<std::string>& words() const { return words_; }

  void add(Instant at, std::uint64_t what);
  void add(Instant at, const Event& event);
  void add(Instant at, const Command& command);
  void say(Instant at, std::string words);

 private:
  void add(Instant at, std::string_view mark, const std::string& words);
  void mix(std::uint64_t what);

  // The last that are kept.
  static constexpr std::size_t words_limit = 4000;

  bool keeps_words_;
  std::uint64_t hash_ = 1469598103934665603u;
  std::deque<std::string> words_;
};

}  // namespace gitproc::sim
