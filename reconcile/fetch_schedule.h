// When the remote is asked. Time is cut into slots of the poll interval, and each slot has one fetch at a random
// moment of it (full jitter): thousands of nodes spread evenly, and each still asks once an interval. A fetch that
// fails is tried again after a delay that doubles, with jitter too; one that was refused waits much longer, because
// a server may lock out who keeps knocking with a wrong password.
#pragma once

#include <cstdint>

#include "reconcile/base/time.h"

namespace gitproc {

// The first delay after a failure (or the interval, where that is shorter), and what doubling ends at.
inline constexpr Duration first_fetch_delay = std::chrono::seconds(5);
inline constexpr Duration longest_fetch_delay = std::chrono::minutes(10);
// The same after refused credentials.
inline constexpr Duration first_refused_delay = std::chrono::minutes(5);
inline constexpr Duration longest_refused_delay = std::chrono::hours(1);
// The first fetch of an agent that knows what to run is spread over this time.
inline constexpr Duration first_fetch_spread = std::chrono::seconds(5);

class FetchSchedule {
 public:
  FetchSchedule(Duration interval, std::uint64_t seed) : interval_(interval), chance_(seed) {}

  // The first fetch: at once, or soon.
  void start(Instant now, bool is_urgent);
  // One more at once; while one runs, as soon as it has ended.
  void request(Instant now);
  // Whether a fetch is to begin now; then it counts as running until it is told how it went.
  bool begin_if_due(Instant now);
  void succeeded(Instant now);
  void failed(Instant now, bool was_refused);

  bool is_running() const { return is_running_; }
  // `never` while one runs.
  Instant next() const { return is_running_ ? never : next_; }

 private:
  Duration random_below(Duration span);
  void ended(Instant now);

  Duration interval_;
  std::uint64_t chance_;
  Instant slot_{};  // where the slot of the next poll begins
  Instant next_ = never;
  unsigned failures_ = 0;  // in a row
  bool is_running_ = false;
  bool is_wanted_again_ = false;
};

}  // namespace gitproc
