#include "drivers/store/state_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "drivers/base/system_call.h"
#include "reconcile/base/ids.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

// The PID that another agent has written; 0 where it has not come to that, or the text is no PID.
Pid read_owner(int fd) {
  Result<std::string> text = read_descriptor(fd, 32, "lock");
  if (!text) return 0;
  std::string_view digits = trim(*text);
  Pid pid = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  return error == std::errc() && end == digits.data() + digits.size() && pid > 0 ? pid : 0;
}

}  // namespace

Result<StateLock> StateLock::acquire(const std::string& directory) {
  const std::string path = directory + "/lock";
  Result<UniqueFd> file = open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
  if (!file) return std::unexpected(file.error());
  if (retry_on_interrupt([&] { return ::flock(file->get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return fail_with_errno("cannot lock '" + path + "'");
    Pid owner = read_owner(file->get());
    std::string by = owner != 0 ? "the agent with PID " + std::to_string(owner) : "another agent";
    return fail("state directory '" + directory + "' is in use by " + by, ErrorCode::busy);
  }
  // The lock holds whether or not the PID can be written: it is only for the other agent's message.
  if (::ftruncate(file->get(), 0) == 0) write_all(file->get(), std::to_string(::getpid()) + "\n");
  return StateLock(std::move(*file));
}

}  // namespace gitproc
