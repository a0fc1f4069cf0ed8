#include "agent/protocol/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/protocol/response.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

using Clock = std::chrono::steady_clock;
using Deadline = std::optional<Clock::time_point>;

Deadline deadline_of(Client::Timeout timeout) {
  return timeout ? Deadline(Clock::now() + *timeout) : std::nullopt;
}

// For poll(2): rounded up, so that a deadline is never polled for in a busy loop; -1 is for ever.
int milliseconds_until(const Deadline& deadline) {
  if (!deadline) return -1;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
  return left.count() <= 0 ? 0 : static_cast<int>(std::min<std::int64_t>(left.count(), 1'000'000));
}

// False when the deadline came first.
Result<bool> wait_for(int fd, short events, const Deadline& deadline) {
  while (true) {
    pollfd waited{.fd = fd, .events = events, .revents = 0};
    int timeout = milliseconds_until(deadline);
    int ready = ::poll(&waited, 1, timeout);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) {
      return fail(std::string("cannot wait for the agent: ") + std::strerror(errno), ErrorCode::unavailable);
    }
    if (timeout == 0) return false;
  }
}

timeval to_timeval(std::chrono::milliseconds span) {
  return {.tv_sec = static_cast<time_t>(span.count() / 1000),
          .tv_usec = static_cast<suseconds_t>(span.count() % 1000 * 1000)};
}

}  // namespace

Result<Client> Client::connect(const std::string& socket_path, std::chrono::milliseconds timeout) {
  std::string attempt = "cannot reach the agent at '" + printable(socket_path) + "': ";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.empty() || socket_path.size() >= sizeof address.sun_path) {
    return fail(
        attempt + "a socket's path has 1 to " + std::to_string(sizeof address.sun_path - 1) + " bytes",
        ErrorCode::unavailable);
  }
  socket_path.copy(address.sun_path, sizeof address.sun_path - 1);

  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(attempt + std::strerror(errno), ErrorCode::unavailable);
  Client client(fd, socket_path);
  // A Unix socket's connect(2) waits for room in the listener's backlog as long as a send may take.
  timeval limit = to_timeval(timeout);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  int connected = -1;
  do {
    connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (connected < 0 && errno == EINTR);
  if (connected == 0) return client;

  switch (errno) {
    case EACCES:
    case EPERM: return fail(attempt + "permission denied", ErrorCode::denied);
    case ENOENT: return fail(attempt + "no such socket; is it running?", ErrorCode::unavailable);
    case ECONNREFUSED: return fail(attempt + "nobody listens there; is it running?", ErrorCode::unavailable);
    case EAGAIN: return fail(attempt + "it does not accept connections", ErrorCode::unavailable);
    default: return fail(attempt + std::strerror(errno), ErrorCode::unavailable);
  }
}

Client::Client(Client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      framer_(std::move(other.framer_)),
      line_(std::move(other.line_)),
      is_closed_(other.is_closed_) {}

Client& Client::operator=(Client&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
    path_ = std::move(other.path_);
    framer_ = std::move(other.framer_);
    line_ = std::move(other.line_);
    is_closed_ = other.is_closed_;
  }
  return *this;
}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> Client::send(const Request& request, Timeout timeout) {
  std::string line = encode_request(request);
  std::string_view rest = line;
  Deadline deadline = deadline_of(timeout);
  while (!rest.empty()) {
    ssize_t sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      return fail(std::string("cannot send to the agent: ") + std::strerror(errno), ErrorCode::unavailable);
    }
    Result<bool> ready = wait_for(fd_, POLLOUT, deadline);
    if (!ready) return std::unexpected(ready.error());
    if (!*ready) return fail("the agent does not take the request", ErrorCode::unavailable);
  }
  return {};
}

Result<bool> Client::read_more(Timeout timeout) {
  std::array<char, 64 * 1024> piece;
  Deadline deadline = deadline_of(timeout);
  while (true) {
    Result<bool> ready = wait_for(fd_, POLLIN, deadline);
    if (!ready || !*ready) return ready;
    ssize_t received = ::recv(fd_, piece.data(), piece.size(), MSG_DONTWAIT);
    if (received > 0) {
      framer_.feed(std::string_view(piece.data(), static_cast<std::size_t>(received)));
      return true;
    }
    if (received == 0) {
      is_closed_ = true;
      return true;
    }
    if (errno != EINTR && errno != EAGAIN) {
      return fail(std::string("cannot read from the agent: ") + std::strerror(errno), ErrorCode::unavailable);
    }
  }
}

bool Client::wait(std::chrono::milliseconds timeout) {
  Clock::time_point end = Clock::now() + timeout;
  while (true) {
    if (!line_) line_ = framer_.next();
    if (line_ || framer_.is_overlong() || is_closed_) return true;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    Result<bool> read = read_more(std::max(left, std::chrono::milliseconds(0)));
    if (!read) return true;
    if (!*read) return false;
  }
}

Result<Json> Client::receive(Timeout timeout) {
  Deadline deadline = deadline_of(timeout);
  while (true) {
    if (!line_) line_ = framer_.next();
    if (line_) {
      std::string line = std::move(*line_);
      line_.reset();
      return parse_response(line);
    }
    if (framer_.is_overlong()) {
      return fail("the agent's answer is longer than " + std::to_string(max_response_bytes) + " bytes");
    }
    if (is_closed_) return fail("the agent closed the connection", ErrorCode::unavailable);
    Timeout left;
    if (deadline) left = std::chrono::milliseconds(milliseconds_until(deadline));
    Result<bool> read = read_more(left);
    if (!read) return std::unexpected(read.error());
    if (!*read) return fail("the agent does not answer", ErrorCode::unavailable);
  }
}

Result<Json> Client::call(const Request& request, Timeout timeout) {
  if (Result<void> sent = send(request, timeout); !sent) {
    // An agent that refuses a peer answers and closes before it reads: its reason is worth more than EPIPE.
    Result<Json> refusal = receive(std::chrono::milliseconds(0));
    bool has_reason = !refusal && refusal.error().code != ErrorCode::unavailable;
    return std::unexpected(has_reason ? refusal.error() : sent.error());
  }
  return receive(timeout);
}

}  // namespace gitproc
