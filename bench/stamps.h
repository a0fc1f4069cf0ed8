// How the benchmark knows that a service runs: bench/pause.c writes the time of its first instruction into a FIFO,
// and holds the FIFO open until it ends. So "running" is the service's own clock reading, and "all gone" is the end
// of the file; nobody polls, and a late reader changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gitproc::bench {

using Nanoseconds = std::int64_t;

// CLOCK_MONOTONIC, the clock of the stamps.
Nanoseconds monotonic_now();

class Stamps {
 public:
  // Makes the FIFO at `path`, writable by everyone. Throws std::runtime_error.
  explicit Stamps(std::string path);
  ~Stamps();
  Stamps(const Stamps&) = delete;
  Stamps& operator=(const Stamps&) = delete;

  const std::string& path() const { return path_; }
  // The latest stamp of the next `count` starts, or nothing when the deadline passes first.
  std::optional<Nanoseconds> await_starts(std::size_t count, Nanoseconds deadline);
  // The next start of service `number` after `since`.
  std::optional<Nanoseconds> await_start_of(std::uint64_t number, Nanoseconds since, Nanoseconds deadline);
  // When every service has ended. Nothing may be started afterwards.
  std::optional<Nanoseconds> await_all_gone(Nanoseconds deadline);

 private:
  struct Stamp {
    std::uint64_t number;
    std::uint64_t monotonic_ns;
  };
  enum class Progress { stamps, end, deadline };
  Progress read_more(Nanoseconds deadline);

  std::string path_;
  int reader_ = -1;
  int own_writer_ = -1;  // keeps the end of the file away until all are expected to go
  std::vector<Stamp> unread_;
};

}  // namespace gitproc::bench
