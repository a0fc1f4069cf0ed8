#include "bench/stamps.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <utility>

namespace gitproc::bench {

namespace {
constexpr int fifo_size_bytes = 1 << 20;  // 65,536 stamps: no service ever waits for the reader
}

Nanoseconds monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return Nanoseconds{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Stamps::Stamps(std::string path) : path_(std::move(path)) {
  ::unlink(path_.c_str());
  if (::mkfifo(path_.c_str(), 0600) == -1 || ::chmod(path_.c_str(), 0666) == -1) {
    throw std::runtime_error("cannot make '" + path_ + "': " + std::strerror(errno));
  }
  reader_ = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  own_writer_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  ::fcntl(reader_, F_SETPIPE_SZ, fifo_size_bytes);
}

Stamps::~Stamps() {
  ::close(reader_);
  if (own_writer_ != -1) ::close(own_writer_);
  ::unlink(path_.c_str());
}

Stamps::Progress Stamps::read_more(Nanoseconds deadline) {
  for (;;) {
    std::array<Stamp, 1024> buffer;
    const ssize_t size = ::read(reader_, buffer.data(), sizeof buffer);
    if (size > 0) {
      // Writes this small are atomic (pipe(7)), so only whole stamps arrive.
      unread_.insert(unread_.end(), buffer.begin(),
                     buffer.begin() + size / static_cast<ssize_t>(sizeof(Stamp)));
      return Progress::stamps;
    }
    if (size == 0) return Progress::end;
    const Nanoseconds left = deadline - monotonic_now();
    if (left <= 0) return Progress::deadline;
    pollfd waiting{reader_, POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(left / 1'000'000 + 1));
  }
}

std::optional<Nanoseconds> Stamps::await_starts(std::size_t count, Nanoseconds deadline) {
  while (unread_.size() < count) {
    if (read_more(deadline) != Progress::stamps) return std::nullopt;
  }
  Nanoseconds latest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    latest = std::max(latest, static_cast<Nanoseconds>(unread_[i].monotonic_ns));
  }
  unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(count));
  return latest;
}

std::optional<Nanoseconds> Stamps::await_start_of(std::uint64_t number, Nanoseconds since,
                                                  Nanoseconds deadline) {
  for (;;) {
    for (std::size_t i = 0; i < unread_.size(); ++i) {
      const auto at = static_cast<Nanoseconds>(unread_[i].monotonic_ns);
      if (unread_[i].number == number && at > since) {
        unread_.clear();
        return at;
      }
    }
    unread_.clear();
    if (read_more(deadline) != Progress::stamps) return std::nullopt;
  }
}

std::optional<Nanoseconds> Stamps::await_all_gone(Nanoseconds deadline) {
  ::close(std::exchange(own_writer_, -1));
  for (;;) {
    switch (read_more(deadline)) {
      case Progress::stamps: break;
      case Progress::end: return monotonic_now();
      case Progress::deadline: return std::nullopt;
    }
  }
}

}  // namespace gitproc::bench
