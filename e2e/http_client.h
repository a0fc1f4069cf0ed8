// HTTP as the tests speak it: requests as text, so that they can be wrong, too.
#pragma once

#include <string>
#include <vector>

#include "e2e/harness.h"

namespace e2e {

struct Answer {
  int status = 0;  // 0: none
  std::string head;
  std::string body;
};

// One connection to a port of the loopback interface.
class Client {
 public:
  explicit Client(int port);
  Client(Client&& other) noexcept;
  Client& operator=(Client&&) = delete;
  ~Client();

  bool is_connected() const { return is_connected_; }
  void send(const std::string& text);
  std::string read_to_end();
  // Whether the other end has closed the connection, without a word.
  bool is_dropped();

 private:
  int fd_;
  bool is_connected_ = false;
};

// The answer to one request on a connection of its own.
Answer ask(int port, const std::string& request);
Answer get(int port, const std::string& path);
// A delivery to /webhook.
Answer post(int port, const std::vector<std::string>& headers, const std::string& body);

// Where the agent listens that was started with `--http :0`; its log tells.
int http_port(const Sandbox& box);
// How often `part` is in `text`.
std::size_t count(const std::string& text, const std::string& part);
// How many pushes it was told of.
std::size_t fetches(const Sandbox& box);

}  // namespace e2e
