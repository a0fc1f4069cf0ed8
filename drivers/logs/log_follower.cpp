#include "drivers/logs/log_follower.h"

#include <sys/inotify.h>

#include <cerrno>
#include <utility>

#include "drivers/base/system_call.h"

namespace gitproc {
namespace {

std::string descriptor_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

}  // namespace

Result<LogFollower> LogFollower::open(const LogDirectory& directory, const std::vector<std::string>& services,
                                      std::size_t lines) {
  LogFollower follower;
  follower.inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  // The directory tells of logs that appear and of rotations, each log of what is written to it.
  if (follower.inotify_ &&
      ::inotify_add_watch(follower.inotify_.get(), descriptor_path(directory.fd()).c_str(),
                          IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) < 0) {
    follower.inotify_.reset();
  }
  for (const std::string& service : services) {
    Result<LogReader> reader = LogReader::open(directory, service);
    if (!reader) return std::unexpected(reader.error());
    if (Result<void> sought = reader->seek_to_last_lines(lines); !sought)
      return std::unexpected(sought.error());
    follower.followed_.push_back({.reader = std::move(*reader), .unfinished = {}});
    follower.watch_live(follower.followed_.back());
  }
  follower.has_more_ = true;
  return follower;
}

// Follows the log to another file, where it was deleted and made again. The watch of the old one goes with it.
void LogFollower::watch_live(Followed& followed) {
  int fd = followed.reader.live_fd();
  if (!inotify_ || fd < 0) return;
  // Adding a watch that exists changes nothing.
  if (::inotify_add_watch(inotify_.get(), descriptor_path(fd).c_str(), IN_MODIFY) < 0) inotify_.reset();
}

Result<std::vector<FollowedLines>> LogFollower::read() {
  // Which files the events are about does not matter: each log is asked, for a few system calls.
  alignas(inotify_event) char events[16 * 1024];
  while (inotify_ && retry_on_interrupt([&] { return ::read(inotify_.get(), events, sizeof events); }) > 0) {
  }
  std::vector<FollowedLines> lines;
  has_more_ = false;
  for (std::size_t i = 0; i < followed_.size(); ++i) {
    Followed& followed = followed_[i];
    Result<LogChunk> chunk = followed.reader.read(follow_read_limit_bytes);
    if (!chunk) return std::unexpected(chunk.error());
    // The watch comes before the end is believed: what is written in between is found by the next read().
    int watched = std::exchange(followed.watched_fd, followed.reader.live_fd());
    watch_live(followed);
    has_more_ |= !chunk->bytes.empty() || watched != followed.watched_fd;
    followed.has_gap |= chunk->has_gap;
    if (chunk->has_gap) followed.unfinished.clear();  // its end is lost
    std::string text = std::move(followed.unfinished) + chunk->bytes;
    std::size_t end = text.rfind('\n') + 1;  // npos + 1 is 0: no line is complete
    if (text.size() - end > follow_line_limit_bytes) end = text.size();
    followed.unfinished = text.substr(end);
    text.resize(end);
    if (!text.empty()) lines.push_back({i, std::move(text), std::exchange(followed.has_gap, false)});
  }
  return lines;
}

}  // namespace gitproc
