// libcurl's multi interface on an asio loop: any number of transfers at once, without a thread for any of them. What is
// transferred, and what is made of it, is the business of who adds a transfer.
//
// Handles are curl's easy handles (CURL*), named as what they are to C: void*. So this header costs nobody curl's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "reconcile/base/error.h"

namespace asio {
class io_context;
}

namespace gitproc {

class CurlLoop {
 public:
  // A transfer has ended with this CURLcode; its handle was taken out already. Called from the loop, never from within
  // add() or remove(). May add and remove others, but not end the CurlLoop.
  using OnDone = std::function<void(void* easy, int code)>;

  // `loop` must outlive it.
  static Result<std::unique_ptr<CurlLoop>> make(asio::io_context& loop, OnDone on_done);
  // All transfers must have been removed.
  virtual ~CurlLoop() = default;

  virtual Result<void> add(void* easy) = 0;
  // Without a word of it to on_done.
  virtual void remove(void* easy) = 0;
};

// curl's own words for a CURLcode, which begin with a capital, as the end of a message.
std::string curl_text(int code);

}  // namespace gitproc
