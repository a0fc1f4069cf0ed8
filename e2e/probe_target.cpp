#include "e2e/probe_target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "testing/catch.h"

namespace e2e {
namespace {

void add_to(int epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

ProbeTarget::ProbeTarget()
    : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(listener_, generic, size) == 0);
  REQUIRE(::listen(listener_, SOMAXCONN) == 0);
  REQUIRE(::getsockname(listener_, generic, &size) == 0);
  port_ = ntohs(address.sin_port);
  add_to(epoll_, listener_);
  thread_ = std::thread([this] { run(); });
}

ProbeTarget::~ProbeTarget() {
  is_stopped_ = true;
  thread_.join();
  ::close(epoll_);
  ::close(listener_);
}

std::map<unsigned, std::vector<ProbeTarget::Clock::time_point>> ProbeTarget::take_questions() {
  std::lock_guard lock(mutex_);
  return std::exchange(questions_, {});
}

void ProbeTarget::run() {
  while (!is_stopped_) {
    std::array<epoll_event, 256> events;
    int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < count; ++i) {
      int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == listener_)
        accept_all();
      else
        answer(fd);
    }
  }
}

void ProbeTarget::accept_all() {
  for (;;) {
    int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    add_to(epoll_, client);
  }
}

// "GET /17 HTTP/1.1...": a probe's question is small and arrives whole.
void ProbeTarget::answer(int client) {
  Clock::time_point now = Clock::now();
  std::array<char, 4096> question;
  ssize_t size = ::read(client, question.data(), question.size() - 1);
  if (size <= 0) {
    ::close(client);
    return;
  }
  question[static_cast<std::size_t>(size)] = '\0';
  constexpr std::string_view prefix = "GET /";
  if (!std::string_view(question.data()).starts_with(prefix)) {
    ::close(client);
    return;
  }
  auto endpoint = static_cast<unsigned>(std::strtoul(question.data() + prefix.size(), nullptr, 10));
  {
    std::lock_guard lock(mutex_);
    questions_[endpoint].push_back(now);
  }
  if (endpoint < hanging_) return;
  constexpr std::string_view text = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
  if (::write(client, text.data(), text.size()) < 0) return;
  ::close(client);
}

}  // namespace e2e
