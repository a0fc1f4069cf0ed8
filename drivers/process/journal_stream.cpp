#include "drivers/process/journal_stream.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

#include <cstring>

#include "drivers/base/system_call.h"

namespace gitproc {
namespace {

// As systemd asks for: a service that writes faster than journald reads is not held up at once.
constexpr int send_buffer_bytes = 8 << 20;

// Each of these lines is one that journald reads before the stream itself begins.
std::string header_of(const JournalStream& stream) {
  const int priority = LOG_DAEMON | LOG_INFO;
  const char* reads_level_prefix = "1";  // "<3>" before a line is its priority, sd-daemon(3)
  const char* forwards_to_syslog = "0";
  const char* forwards_to_kmsg = "0";
  const char* forwards_to_console = "0";
  std::string header;
  for (const std::string& line :
       {stream.identifier, stream.unit, std::to_string(priority), std::string(reads_level_prefix),
        std::string(forwards_to_syslog), std::string(forwards_to_kmsg), std::string(forwards_to_console)}) {
    header += line + "\n";
  }
  return header;
}

}  // namespace

Result<UniqueFd> open_journal_stream(const std::string& socket, const JournalStream& stream) {
  const std::string attempt = "cannot connect to '" + socket + "'";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) return fail_with_errno(attempt, ENAMETOOLONG);
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_with_errno(attempt);
  ::shutdown(fd.get(), SHUT_RD);
  // No more than a wish: the system's limit may be lower.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer_bytes, sizeof send_buffer_bytes) != 0)
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes);
  if (int error_number = write_all(fd.get(), header_of(stream)); error_number != 0)
    return fail_with_errno(attempt, error_number);
  // The service's descriptor blocks, as a file would.
  if (::fcntl(fd.get(), F_SETFL, 0) != 0) return fail_with_errno(attempt);
  return fd;
}

}  // namespace gitproc
