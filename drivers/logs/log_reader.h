// Reads the captured output of a service as one stream: its archives from the oldest to the newest, then the live
// file. The agent may rotate at any moment meanwhile, and the service may write: no byte is given twice and none is
// left out.
//
// The position is kept relative to the newest archive that is wholly read, because the live file's own offsets
// change with each rotation; after reading from the live file it is checked that none came in between.
//
// The bytes are the service's own, verbatim: whoever shows them on a terminal has to escape them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "drivers/logs/log_files.h"
#include "reconcile/base/error.h"

namespace gitproc {

// What seek_to_last_lines() searches at most, from the end.
inline constexpr std::uint64_t tail_limit_bytes = 16u << 20;

struct LogChunk {
  std::string bytes;     // empty: nothing more for now
  bool has_gap = false;  // what came before these was truncated, deleted or rotated away before it was read

  bool operator==(const LogChunk&) const = default;
};

class LogReader {
 public:
  // Begins at the oldest byte that is kept. A service without a log reads as empty, until there is one.
  static Result<LogReader> open(const LogDirectory& directory, std::string service);
  LogReader(LogReader&&) noexcept;
  LogReader& operator=(LogReader&&) noexcept;
  ~LogReader();

  // What is read next are the last `lines` lines; an unfinished line at the end counts as one. No more than
  // tail_limit_bytes: the first line of then may be cut.
  Result<void> seek_to_last_lines(std::size_t lines);
  Result<LogChunk> read(std::size_t limit_bytes);

  const std::string& service() const;
  // The live file being read, for inotify; -1 while there is none.
  int live_fd() const;

 private:
  class State;
  explicit LogReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace gitproc
