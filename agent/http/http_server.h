// The HTTP server: one thread, which owns its connections and nothing else of the agent. It reads a whole request
// before anybody looks at it, hands it to the handler, writes the answer and closes.
//
// Nobody waits for anybody else: a connection is some memory and a deadline, not a thread. A request that is not
// complete in time is dropped; where there are too many connections, the one that has been sending its request for
// longest makes room. So whoever sends a request at once is answered, however many others dawdle.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "agent/http/http_message.h"
#include "drivers/base/listen_address.h"
#include "reconcile/base/error.h"

namespace gitproc {

inline constexpr std::size_t http_connection_limit = 512;
inline constexpr std::size_t http_head_limit_bytes = 16u << 10;
// GitHub's own limit is 25 MiB, but what a push event of a thousand commits takes is far below this.
inline constexpr std::size_t http_body_limit_bytes = 1u << 20;
// Of all requests that are being read or answered.
inline constexpr std::size_t http_buffered_limit_bytes = 16u << 20;
// Of all answers that their peers have not taken yet; small ones are always given.
inline constexpr std::size_t http_answers_limit_bytes = 32u << 20;
inline constexpr std::size_t http_small_answer_bytes = 4u << 10;
// From accepting a connection, a TLS handshake included, to the last byte of its request.
inline constexpr std::chrono::seconds http_request_deadline{10};
// For the handler; then the peer is told that the agent does not answer.
inline constexpr std::chrono::seconds http_answer_deadline{5};
// For the peer to take the answer.
inline constexpr std::chrono::seconds http_write_deadline{10};

class HttpServer {
 public:
  struct Options {
    ListenAddress address;
    // PEM files; empty: no TLS. The certificate's file may hold a chain.
    std::string tls_certificate;
    std::string tls_key;
  };

  // Binds and begins to serve; `handler` is called on the HTTP thread. Errors: the address cannot be bound, a
  // certificate cannot be read.
  static Result<std::unique_ptr<HttpServer>> listen(const Options& options, HttpHandler handler);
  // Closes all connections and joins the thread.
  virtual ~HttpServer() = default;

  // Where it listens: with the port that the kernel chose.
  virtual ListenAddress address() const = 0;
  // Runs `function` on the HTTP thread, soon; from any thread.
  virtual void post(std::function<void()> function) = 0;
};

}  // namespace gitproc
