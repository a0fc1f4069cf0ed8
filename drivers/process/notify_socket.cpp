#include "drivers/process/notify_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "drivers/base/system_call.h"
#include "drivers/process/notify_message.h"

namespace gitproc {
namespace {

constexpr int receive_buffer_bytes = 8 << 20;  // as systemd's: thousands of services may become ready at once
constexpr std::size_t max_descriptors = 16;    // that come with one message; the kernel closes what is more

// Takes what came along with a message: the sender, and descriptors that must not leak.
Pid take_control_data(msghdr& header, std::vector<UniqueFd>& descriptors) {
  Pid sender = 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    std::size_t size = part->cmsg_len - CMSG_LEN(0);
    if (part->cmsg_type == SCM_CREDENTIALS && size >= sizeof(ucred)) {
      ucred credentials;
      std::memcpy(&credentials, CMSG_DATA(part), sizeof credentials);
      sender = credentials.pid;
    } else if (part->cmsg_type == SCM_RIGHTS) {
      for (std::size_t i = 0; i + sizeof(int) <= size; i += sizeof(int)) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(part) + i, sizeof fd);
        descriptors.emplace_back(fd);
      }
    }
  }
  return sender;
}

}  // namespace

Result<NotifySocket> NotifySocket::open(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail("cannot make socket '" + path + "': the path is too long", ErrorCode::invalid);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  NotifySocket socket;
  socket.fd_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.fd_) return fail_with_errno("cannot make socket '" + path + "'");
  int on = 1;
  if (::setsockopt(socket.fd(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    return fail_with_errno("cannot make socket '" + path + "'");
  }
  // Beyond the system's bound only root may go; the bound is good enough for others.
  if (::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer_bytes,
                   sizeof receive_buffer_bytes) != 0) {
    ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  }
  ::unlink(path.c_str());
  if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_with_errno("cannot make socket '" + path + "'");
  }
  static constexpr mode_t anyone_may_send = 0666;
  if (::chmod(path.c_str(), anyone_may_send) != 0)
    return fail_with_errno("cannot open socket '" + path + "' to services");
  return socket;
}

std::vector<Notified> NotifySocket::receive(std::size_t max) {
  std::vector<Notified> messages;
  for (std::size_t i = 0; i < max; ++i) {
    char text[max_notify_bytes];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(max_descriptors * sizeof(int))];
    iovec part{.iov_base = text, .iov_len = sizeof text};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t length =
        retry_on_interrupt([&] { return ::recvmsg(fd_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC); });
    if (length < 0) break;
    Pid sender = take_control_data(header, barriers_);
    if ((header.msg_flags & MSG_TRUNC) != 0 || sender <= 0) continue;
    std::optional<Notified> message =
        parse_notify_message(std::string_view(text, static_cast<std::size_t>(length)));
    if (!message) continue;
    message->sender = sender;
    messages.push_back(std::move(*message));
  }
  return messages;
}

}  // namespace gitproc
