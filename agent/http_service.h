// HTTP for the agent: loads the module behind it (agent/http/module.h) and answers its questions from the loop. Made only
// where `http.listen` is set.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/daemon.h"
#include "agent/notices.h"
#include "drivers/base/listen_address.h"

namespace gitproc {

// Pushes that come sooner one after the other are one.
inline constexpr Duration push_interval = std::chrono::seconds(1);
inline constexpr std::size_t max_secret_bytes = 4096;

class HttpService {
 public:
  struct Options {
    ListenAddress address;
    std::string tls_certificate;  // "": no TLS
    std::string tls_key;
    std::string secret_file;  // "": no webhook is taken
  };
  // Fetches, soon; called on the loop's thread. `by` says who wanted it.
  using OnPush = std::function<void(std::string by)>;

  // `notices`: null where nobody is notified.
  static Result<std::unique_ptr<HttpService>> start(asio::io_context& loop, Daemon& daemon,
                                                    const Notices* notices, const Options& options,
                                                    OnPush on_push);
  virtual ~HttpService() = default;

  virtual ListenAddress address() const = 0;
};

}  // namespace gitproc
