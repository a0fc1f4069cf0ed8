// The command line's side of the control socket: a blocking Unix stream connection, unix(7), on which each wait
// can be given a deadline. Requests may be sent ahead; responses come in their order.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "agent/protocol/framing.h"
#include "agent/protocol/json.h"
#include "agent/protocol/request.h"
#include "reconcile/base/error.h"

namespace gitproc {

// A response may be much longer than a request: `list` of 10,000 services is about 6 MB.
inline constexpr std::size_t max_response_bytes = 64u << 20;

// How long connect and a plain question may take.
inline constexpr std::chrono::milliseconds connect_timeout = std::chrono::seconds(5);
inline constexpr std::chrono::milliseconds answer_timeout = std::chrono::seconds(30);

class Client {
 public:
  // nullopt waits for ever: for operations that end when a service has started or a commit has settled.
  using Timeout = std::optional<std::chrono::milliseconds>;

  // Errors: `denied` where the socket's permissions forbid it, else `unavailable`: nobody listens there.
  static Result<Client> connect(const std::string& socket_path,
                                std::chrono::milliseconds timeout = connect_timeout);

  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  Result<void> send(const Request& request, Timeout timeout = answer_timeout);

  // The data of the next response; the agent's error where it answered with one. `unavailable` where the agent
  // closed the connection or the time is over.
  Result<Json> receive(Timeout timeout = answer_timeout);

  // Whether receive() has something to say at once: an answer, the end of the connection or a fault.
  bool wait(std::chrono::milliseconds timeout);

  // The agent closed the connection in an orderly way: how a stream of `follow` ends.
  bool is_closed() const { return is_closed_; }

  // send and receive.
  Result<Json> call(const Request& request, Timeout timeout = answer_timeout);

 private:
  // Reads what there is. False when nothing came until the deadline.
  Result<bool> read_more(Timeout timeout);

  explicit Client(int fd, std::string path) : fd_(fd), path_(std::move(path)), framer_(max_response_bytes) {}

  int fd_ = -1;
  std::string path_;
  LineFramer framer_;
  std::optional<std::string> line_;  // complete, not yet given out
  bool is_closed_ = false;
};

}  // namespace gitproc
