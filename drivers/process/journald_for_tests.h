// Stands in for journald (sd-daemon's stream protocol, on a socket of its own): tells what a service has written to it.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "drivers/base/system_call.h"

namespace gitproc {

class JournaldForTests {
 public:
  explicit JournaldForTests(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long for a socket: " + path);
    std::memcpy(address.sun_path, path.c_str(), path.size());
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket_.get(), 4) != 0)
      throw std::runtime_error("cannot listen on " + path);
  }

  // All of the next stream; waits until everybody has closed it.
  std::string next_stream() {
    UniqueFd stream(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    return read_descriptor(stream.get(), 1 << 16, "a stream to journald").value();
  }

 private:
  UniqueFd socket_;
};

}  // namespace gitproc
