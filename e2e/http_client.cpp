#include "e2e/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <utility>

namespace e2e {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++found;
  return found;
}

Client::Client(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  timeval limit{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  is_connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

Client::Client(Client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), is_connected_(other.is_connected_) {}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

void Client::send(const std::string& text) { (void)!::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }

std::string Client::read_to_end() {
  std::string text;
  char buffer[65536];
  for (ssize_t count = 0; (count = ::recv(fd_, buffer, sizeof buffer, 0)) > 0;)
    text.append(buffer, static_cast<std::size_t>(count));
  return text;
}

bool Client::is_dropped() {
  pollfd waited{.fd = fd_, .events = POLLIN, .revents = 0};
  if (::poll(&waited, 1, 0) != 1) return false;
  char byte;
  return ::recv(fd_, &byte, 1, MSG_DONTWAIT) <= 0;
}

Answer ask(int port, const std::string& request) {
  Client client(port);
  client.send(request);
  std::string text = client.read_to_end();
  std::size_t end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || end == std::string::npos) return {.head = text};
  return {.status = std::stoi(text.substr(9, 3)), .head = text.substr(0, end), .body = text.substr(end + 4)};
}

Answer get(int port, const std::string& path) {
  return ask(port, "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

Answer post(int port, const std::vector<std::string>& headers, const std::string& body) {
  std::string request = "POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  for (const std::string& header : headers)
    request += header + "\r\n";
  return ask(port, request + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

int http_port(const Sandbox& box) {
  std::string log = box.agent_log();
  std::size_t at = log.find(" on 127.0.0.1:");
  REQUIRE(at != std::string::npos);
  return std::stoi(log.substr(at + std::strlen(" on 127.0.0.1:")));
}

std::size_t fetches(const Sandbox& box) { return count(box.agent_log(), "asks for a fetch"); }

}  // namespace e2e
