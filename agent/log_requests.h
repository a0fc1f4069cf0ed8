// `logs`: what the services' log files hold, read on a thread of its own, and what is added to them, streamed from
// the loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/control_server.h"
#include "agent/protocol/request.h"

namespace gitproc {

// One answer carries at most this much text, the newest.
inline constexpr std::size_t max_logs_bytes = 8u << 20;
inline constexpr std::size_t default_follow_lines = 10;

class LogRequests {
 public:
  LogRequests(asio::io_context& loop, std::string log_dir);
  ~LogRequests();

  // `request.services` exist.
  void serve(const Request& request, std::shared_ptr<Reply> reply);

 private:
  struct Reading;  // the thread that reads, started with the first request
  class Stream;
  void read(const Request& request, std::shared_ptr<Reply> reply);
  void follow(const Request& request, std::shared_ptr<Reply> reply);

  asio::io_context& loop_;
  const std::string log_dir_;
  std::unique_ptr<Reading> reading_;
};

}  // namespace gitproc
