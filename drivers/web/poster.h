// POSTs a text to a URL and tells whether it was taken, in bounded time. Certificates are judged; nothing is followed,
// and nothing of the environment (proxies, .netrc) is used.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "reconcile/base/error.h"

namespace asio {
class io_context;
}

namespace gitproc {

// From looking the host up to the last byte of the answer.
inline constexpr std::chrono::seconds post_timeout{10};
// Of the answer, which nobody reads.
inline constexpr std::size_t post_answer_limit_bytes = 64u << 10;

class Poster {
 public:
  // Success is a status of 200 to 299. Called from the loop.
  using OnDone = std::function<void(Result<void>)>;

  // Sets up libcurl, which takes megabytes where nothing else has: to be made when it is needed. `loop` must outlive it.
  static Result<std::unique_ptr<Poster>> make(asio::io_context& loop);
  virtual ~Poster() = default;

  // One at a time: not before `on_done` of the one before it. `on_done` is not called any more once the Poster is gone.
  // No message names the URL: it may be a secret.
  virtual void post(const std::string& url, std::string body, OnDone on_done) = 0;
};

}  // namespace gitproc
