#include "agent/control_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio.hpp>
#include <deque>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "agent/protocol/framing.h"
#include "agent/protocol/response.h"
#include "drivers/base/system_call.h"

namespace gitproc {
namespace {

using Socket = asio::local::stream_protocol::socket;

constexpr std::size_t read_step_bytes = 16u << 10;

bool is_in_group(int fd, gid_t group) {
  std::vector<gid_t> groups(64);
  socklen_t length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0) {
    if (errno != ERANGE) return false;
    groups.resize(length / sizeof(gid_t));
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0) return false;
  }
  groups.resize(length / sizeof(gid_t));
  return std::ranges::find(groups, group) != groups.end();
}

Peer identify(int fd, const SocketPolicy& policy) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return Peer{.uid = static_cast<uid_t>(-1)};
  bool is_member = policy.group && (credentials.gid == *policy.group || is_in_group(fd, *policy.group));
  bool may_operate = credentials.uid == 0 || credentials.uid == policy.own_uid || is_member;
  return Peer{.uid = credentials.uid,
              .pid = credentials.pid,
              .may_operate = may_operate,
              .may_read = may_operate || policy.read_all};
}

class Connection;

// Hands finished answers to their connection, in their place in the order of requests.
class ConnectionReply : public Reply {
 public:
  ConnectionReply(std::weak_ptr<Connection> connection, std::uint64_t sequence, RequestTag tag)
      : connection_(std::move(connection)), sequence_(sequence), tag_(std::move(tag)) {}

  void success(const Json& data) override;
  void error(const Error& error) override;
  void stream(const Json& data) override;
  std::size_t pending_bytes() const override;
  bool is_closed() const override { return connection_.expired(); }
  void on_closed(std::function<void()> callback) override;
  void on_drained(std::function<void()> callback) override;

 private:
  std::weak_ptr<Connection> connection_;
  std::uint64_t sequence_;
  RequestTag tag_;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // `heard` counts what is heard of all connections.
  Connection(Socket socket, Peer peer, const ControlServer::Handler& handler, std::uint64_t& heard,
             std::function<void(Connection*)> on_end)
      : socket_(std::move(socket)),
        peer_(peer),
        handler_(handler),
        on_end_(std::move(on_end)),
        heard_(heard),
        last_heard_(++heard) {}

  void start() { read(); }

  const Peer& peer() const { return peer_; }
  // Nothing is asked, answered or streamed: the peer loses nothing that it waits for when it is closed.
  bool is_idle() const { return next_request_ == next_answer_ && !is_streaming_ && pending_bytes() == 0; }
  // Orders connections by when they were heard of last.
  std::uint64_t last_heard() const { return last_heard_; }

  void close() {
    if (is_closed_) return;
    is_closed_ = true;
    asio::error_code ignored;
    socket_.close(ignored);
    for (auto& [sequence, callback] : std::exchange(on_closed_, {}))
      callback();
    on_drained_ = nullptr;
    on_end_(this);
  }

  void finish(std::uint64_t sequence, std::string line) {
    if (is_closed_) return;
    std::erase_if(on_closed_, [sequence](const auto& entry) { return entry.first == sequence; });
    finished_.emplace(sequence, std::move(line));
    while (!finished_.empty() && finished_.begin()->first == next_answer_) {
      output_ += finished_.begin()->second;
      finished_.erase(finished_.begin());
      ++next_answer_;
    }
    write();
    take_requests();
  }

  void stream(std::uint64_t sequence, const std::string& line) {
    if (is_closed_) return;
    // A stream takes the connection over: answers before it are out, requests after it are not read.
    if (sequence != next_answer_) return;
    is_streaming_ = true;
    output_ += line;
    write();
  }

  void on_closed(std::uint64_t sequence, std::function<void()> callback) {
    if (is_closed_) return callback();
    on_closed_.emplace_back(sequence, std::move(callback));
  }
  void on_drained(std::function<void()> callback) { on_drained_ = std::move(callback); }
  std::size_t pending_bytes() const { return output_.size() + writing_.size(); }

 private:
  // Who asks faster than it takes answers waits, with what it has asked already.
  bool is_full() const {
    return next_request_ - next_answer_ >= max_requests_in_flight || pending_bytes() > answers_pause_bytes;
  }

  void read() {
    if (is_reading_ || is_closed_ || is_ending_ || is_full()) return;
    is_reading_ = true;
    // Waits without a buffer, so that an idle connection costs little.
    socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const asio::error_code& error) {
      self->is_reading_ = false;
      if (self->is_closed_) return;
      if (error) return self->close();
      self->take_input();
    });
  }

  void take_input() {
    std::array<char, read_step_bytes> buffer;
    ssize_t count = retry_on_interrupt(
        [&] { return ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT); });
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return read();
    if (count <= 0) return end_of_input();
    last_heard_ = ++heard_;
    if (!is_streaming_) framer_.feed({buffer.data(), static_cast<std::size_t>(count)});
    take_requests();
  }

  // The peer will ask nothing more, but may still wait for its answers.
  void end_of_input() {
    if (is_streaming_ || (next_request_ == next_answer_ && pending_bytes() == 0)) return close();
    is_ending_ = true;
  }

  // Takes what was read already, and reads on.
  void take_requests() {
    if (std::exchange(is_taking_, true)) return;  // an answer that came at once
    while (!is_closed_ && !is_streaming_ && !is_full()) {
      std::optional<std::string> line = framer_.next();
      if (!line) break;
      std::uint64_t sequence = next_request_++;
      auto request = parse_request(*line);
      if (!request) {
        finish(sequence, error_response(request.error().id, request.error().error));
        continue;
      }
      auto reply = std::make_shared<ConnectionReply>(weak_from_this(), sequence, request->id);
      bool may = peer_.may_operate || (peer_.may_read && is_readable_by_all(request->command));
      if (!may) {
        reply->error(Error{"user " + std::to_string(peer_.uid) + " may not do that: '" +
                               std::string(to_string(request->command)) +
                               "' needs root, the agent's own user or a member of socket_group",
                           ErrorCode::denied});
        continue;
      }
      handler_(peer_, *request, reply);
    }
    if (framer_.is_overlong() && !is_ending_) {
      is_ending_ = true;
      finish(next_request_++,
             error_response({}, Error{"a request may be 1 MiB long at most", ErrorCode::invalid}));
    }
    is_taking_ = false;
    read();
  }

  void write() {
    if (is_closed_ || output_.empty()) return;
    if (pending_bytes() > max_pending_bytes) return close();
    if (is_writing_) return;
    is_writing_ = true;
    writing_ = std::exchange(output_, {});
    asio::async_write(socket_, asio::buffer(writing_),
                      [self = shared_from_this()](const asio::error_code& error, std::size_t) {
                        self->is_writing_ = false;
                        std::string().swap(self->writing_);
                        if (self->is_closed_) return;
                        if (error) return self->close();
                        self->write();
                        self->take_requests();
                        if (self->is_closed_ || self->is_writing_) return;
                        if (self->is_ending_ && self->next_request_ == self->next_answer_)
                          return self->close();
                        if (self->on_drained_) self->on_drained_();
                      });
  }

  Socket socket_;
  const Peer peer_;
  const ControlServer::Handler& handler_;
  const std::function<void(Connection*)> on_end_;
  std::uint64_t& heard_;
  std::uint64_t last_heard_;
  LineFramer framer_;
  std::string output_;                             // waits for its turn
  std::string writing_;                            // is being written
  std::map<std::uint64_t, std::string> finished_;  // answers that came before an earlier one's
  std::uint64_t next_request_ = 0;
  std::uint64_t next_answer_ = 0;
  std::vector<std::pair<std::uint64_t, std::function<void()>>> on_closed_;
  std::function<void()> on_drained_;
  bool is_reading_ = false;
  bool is_taking_ = false;
  bool is_writing_ = false;
  bool is_streaming_ = false;
  bool is_ending_ = false;  // no more requests are read
  bool is_closed_ = false;
};

void ConnectionReply::success(const Json& data) {
  if (auto connection = connection_.lock()) connection->finish(sequence_, success_response(tag_, data));
}
void ConnectionReply::error(const Error& error) {
  if (auto connection = connection_.lock()) connection->finish(sequence_, error_response(tag_, error));
}
void ConnectionReply::stream(const Json& data) {
  if (auto connection = connection_.lock()) connection->stream(sequence_, success_response(tag_, data));
}
std::size_t ConnectionReply::pending_bytes() const {
  auto connection = connection_.lock();
  return connection ? connection->pending_bytes() : 0;
}
void ConnectionReply::on_closed(std::function<void()> callback) {
  auto connection = connection_.lock();
  connection ? connection->on_closed(sequence_, std::move(callback)) : callback();
}
void ConnectionReply::on_drained(std::function<void()> callback) {
  if (auto connection = connection_.lock()) connection->on_drained(std::move(callback));
}

class AsioControlServer : public ControlServer {
 public:
  AsioControlServer(asio::io_context& loop, std::string path, SocketPolicy policy, Handler handler)
      : acceptor_(loop),
        retry_(loop),
        path_(std::move(path)),
        policy_(policy),
        handler_(std::move(handler)) {}

  ~AsioControlServer() override {
    is_ending_ = true;
    for (auto& [raw, connection] : std::exchange(connections_, {}))
      connection->close();
    asio::error_code ignored;
    acceptor_.close(ignored);
    // Only while it is still this server's own: another agent may have taken the path over.
    struct stat now{};
    if (::stat(path_.c_str(), &now) == 0 && now.st_ino == inode_) ::unlink(path_.c_str());
  }

  Result<void> open() {
    sockaddr_un address{};
    if (path_.size() >= sizeof address.sun_path) {
      return fail("cannot listen on '" + path_ + "': a socket's path may be " +
                  std::to_string(sizeof address.sun_path - 1) + " bytes long at most");
    }
    if (is_answering()) return fail("another agent listens on '" + path_ + "'", ErrorCode::busy);
    struct stat existing{};
    if (::lstat(path_.c_str(), &existing) == 0) {
      if (!S_ISSOCK(existing.st_mode)) return fail("cannot listen on '" + path_ + "': it is no socket");
      if (::unlink(path_.c_str()) != 0) return fail_with_errno("cannot replace '" + path_ + "'");
    }
    asio::error_code error;
    acceptor_.open(asio::local::stream_protocol(), error);
    // The file must never be open to more than it will be, not even for a moment.
    mode_t before = ::umask(0177);
    if (!error) acceptor_.bind(asio::local::stream_protocol::endpoint(path_), error);
    int bind_error = error.value();
    ::umask(before);
    if (error) return fail_with_errno("cannot listen on '" + path_ + "'", bind_error);
    if (policy_.group && ::chown(path_.c_str(), static_cast<uid_t>(-1), *policy_.group) != 0) {
      return fail_with_errno("cannot give '" + path_ + "' to socket_group");
    }
    mode_t mode = policy_.read_all ? 0666 : policy_.group ? 0660 : 0600;
    if (::chmod(path_.c_str(), mode) != 0) return fail_with_errno("cannot set the mode of '" + path_ + "'");
    acceptor_.listen(SOMAXCONN, error);
    if (error) return fail_with_errno("cannot listen on '" + path_ + "'", error.value());
    if (::stat(path_.c_str(), &existing) == 0) inode_ = existing.st_ino;
    accept();
    return {};
  }

 private:
  bool is_answering() const {
    UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path_.begin(), path_.end(), address.sun_path);
    int connected = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    return connected == 0 || errno == EAGAIN;
  }

  void accept() {
    acceptor_.async_accept([this](const asio::error_code& error, Socket socket) {
      if (is_ending_ || error == asio::error::operation_aborted) return;
      if (error) {
        // Out of descriptors, most likely: go on in a moment instead of spinning.
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([this](const asio::error_code& stopped) {
          if (!stopped) accept();
        });
        return;
      }
      Peer peer = identify(socket.native_handle(), policy_);
      if (make_room(peer.may_operate)) {
        auto connection =
            std::make_shared<Connection>(std::move(socket), peer, handler_, heard_,
                                         [this](Connection* ended) { connections_.erase(ended); });
        connections_.emplace(connection.get(), connection);
        connection->start();
      }
      accept();
    });
  }

  // Room for one more. When there is none left, the one that was silent for longest goes: who only holds connections
  // open keeps nobody out, and those who may only read keep out nobody who may do more.
  bool make_room(bool may_operate) {
    auto is_of_all = [](const Connection&) { return true; };
    auto is_reader = [](const Connection& connection) { return !connection.peer().may_operate; };
    if (!may_operate && !make_room_among(is_reader, max_reader_connections)) return false;
    return make_room_among(is_of_all, max_connections);
  }

  template <typename Belongs>
  bool make_room_among(Belongs belongs, std::size_t limit) {
    if (connections_.size() < limit) return true;
    std::size_t count = 0;
    std::shared_ptr<Connection> silent;
    for (const auto& [raw, connection] : connections_) {
      if (!belongs(*connection)) continue;
      ++count;
      bool is_more_silent = !silent || connection->last_heard() < silent->last_heard();
      if (connection->is_idle() && is_more_silent) silent = connection;
    }
    if (count < limit) return true;
    if (!silent) return false;
    silent->close();
    return true;
  }

  asio::local::stream_protocol::acceptor acceptor_;
  asio::steady_timer retry_;
  std::uint64_t heard_ = 0;
  const std::string path_;
  const SocketPolicy policy_;
  const Handler handler_;
  ino_t inode_ = 0;
  bool is_ending_ = false;
  std::map<Connection*, std::shared_ptr<Connection>> connections_;
};

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::listen(asio::io_context& loop, const std::string& path,
                                                             SocketPolicy policy, Handler handler) {
  auto server = std::make_unique<AsioControlServer>(loop, path, policy, std::move(handler));
  if (Result<void> opened = server->open(); !opened) return std::unexpected(opened.error());
  return server;
}

}  // namespace gitproc
