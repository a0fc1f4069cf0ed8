#include "bench/advertisement.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <stdexcept>

namespace gitproc::bench {
namespace {

struct ClosePipe {
  void operator()(std::FILE* pipe) const { ::pclose(pipe); }
};

std::string advertised_refs(const std::string& repository) {
  // The path is one that this benchmark made: nothing in it is to be quoted.
  const std::string command =
      "git -c safe.directory='*' upload-pack --stateless-rpc --advertise-refs " + repository;
  std::unique_ptr<std::FILE, ClosePipe> pipe(::popen(command.c_str(), "r"));
  std::string refs;
  char buffer[4096];
  for (std::size_t count = 0; pipe && (count = std::fread(buffer, 1, sizeof buffer, pipe.get())) > 0;)
    refs.append(buffer, count);
  if (refs.empty()) throw std::runtime_error("git upload-pack said nothing of '" + repository + "'");
  return refs;
}

}  // namespace

Advertisement::Advertisement(const std::string& repository) {
  const std::string body = "001e# service=git-upload-pack\n0000" + advertised_refs(repository);
  answer_ =
      "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n"
      "Cache-Control: no-cache\r\nConnection: close\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, generic, &size) != 0) {
    ::close(listener_);
    throw std::runtime_error("cannot listen on the loopback interface");
  }
  url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/services.git";
  thread_ = std::thread([this] { serve(); });
}

Advertisement::~Advertisement() {
  ::shutdown(listener_, SHUT_RDWR);  // accept() fails from now on
  thread_.join();
  ::close(listener_);
}

void Advertisement::serve() {
  for (int peer = 0; (peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ::close(peer)) {
    std::string request;
    char buffer[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t count = ::recv(peer, buffer, sizeof buffer, 0);
      if (count <= 0) break;
      request.append(buffer, static_cast<std::size_t>(count));
    }
    (void)!::send(peer, answer_.data(), answer_.size(), MSG_NOSIGNAL);
  }
}

}  // namespace gitproc::bench
