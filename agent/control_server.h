// The control socket: connections, peers, bounds. What requests mean is the handler's business.
//
// One thread, the loop's. Nobody can make it wait: a peer that sends slowly costs its own buffer, one that reads
// slowly is dropped when more than max_pending_bytes wait for it, one that pipelines is not read on while
// max_requests_in_flight of its requests are unanswered or answers_pause_bytes of answers are not taken. When there are too many connections, the one that is idle and
// was silent for longest is closed for a new one.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/protocol/json.h"
#include "agent/protocol/request.h"
#include "reconcile/base/error.h"

namespace asio {
class io_context;
}

namespace gitproc {

inline constexpr std::size_t max_connections = 4096;
// Of those who may not operate (socket_read_all), together.
inline constexpr std::size_t max_reader_connections = 1024;
inline constexpr std::size_t max_requests_in_flight = 64;
inline constexpr std::size_t answers_pause_bytes = 1u << 20;
inline constexpr std::size_t max_pending_bytes = 64u << 20;
// A stream (logs -f) is asked to wait while more than this is unsent.
inline constexpr std::size_t stream_pause_bytes = 1u << 20;

// Who is at the other end (SO_PEERCRED, SO_PEERGROUPS of unix(7)).
struct Peer {
  uid_t uid = 0;
  pid_t pid = 0;
  bool may_operate = false;  // all commands
  bool may_read = false;     // is_readable_by_all ones
};

// Who may do what; see Peer.
struct SocketPolicy {
  uid_t own_uid = 0;
  std::optional<gid_t> group;  // socket_group
  bool read_all = false;       // socket_read_all
};

// Answers one request: exactly one success() or error(), or any number of stream() until the peer is gone.
// May be kept and called later; calls after the peer has gone do nothing.
class Reply {
 public:
  virtual ~Reply() = default;
  virtual void success(const Json& data) = 0;
  virtual void error(const Error& error) = 0;
  virtual void stream(const Json& data) = 0;
  // How much was streamed and not yet taken by the peer.
  virtual std::size_t pending_bytes() const = 0;
  virtual bool is_closed() const = 0;
  // Called once when the peer is gone before the answer, or while it is streamed to.
  virtual void on_closed(std::function<void()> callback) = 0;
  // Called whenever all that was streamed has been taken.
  virtual void on_drained(std::function<void()> callback) = 0;
};

class ControlServer {
 public:
  using Handler = std::function<void(const Peer&, const Request&, const std::shared_ptr<Reply>&)>;

  // Listens on `path` (mode 0600, 0660 with a group, 0666 with read_all). A socket file that nobody listens on any
  // more is replaced; one that answers is an error.
  static Result<std::unique_ptr<ControlServer>> listen(asio::io_context& loop, const std::string& path,
                                                       SocketPolicy policy, Handler handler);
  // Closes all connections and removes the socket file.
  virtual ~ControlServer() = default;
};

}  // namespace gitproc
