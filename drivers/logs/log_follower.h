// `gitproc logs -f`: the lines of several services as they arrive. Sleeps in inotify(7), and survives rotation,
// truncation, deletion and re-creation of the logs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "drivers/logs/log_files.h"
#include "drivers/logs/log_reader.h"
#include "reconcile/base/error.h"

namespace gitproc {

// A longer line is given in pieces.
inline constexpr std::size_t follow_line_limit_bytes = 64u << 10;
// Read by one call of LogFollower::read(), of each service.
inline constexpr std::size_t follow_read_limit_bytes = 256u << 10;

// One or more lines of a service. Ends with '\n', unless the last of them is a piece of an overlong line.
struct FollowedLines {
  std::size_t service = 0;  // index into what open() was given
  std::string text;
  bool has_gap = false;  // as LogChunk

  bool operator==(const FollowedLines&) const = default;
};

class LogFollower {
 public:
  // Begins with the last `lines` lines of each.
  static Result<LogFollower> open(const LogDirectory& directory, const std::vector<std::string>& services,
                                  std::size_t lines);

  // Readable when there may be something to read. -1 where inotify cannot be had: read() once a second then.
  int fd() const { return inotify_.get(); }
  // Whether the last read() stopped at its limit: read on without waiting for fd().
  bool has_more() const { return has_more_; }
  // What has arrived. A line is held back until its end is there.
  Result<std::vector<FollowedLines>> read();

 private:
  struct Followed {
    LogReader reader;
    std::string unfinished;
    int watched_fd = -1;  // of the live file that watch_ is on
    bool has_gap = false;
  };

  void watch_live(Followed& followed);

  UniqueFd inotify_;
  std::vector<Followed> followed_;
  bool has_more_ = false;
};

}  // namespace gitproc
