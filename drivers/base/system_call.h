// System calls as the rest of the drivers want them: EINTR is handled here, and errno becomes an Error whose
// message says what was attempted on what.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "drivers/base/unique_fd.h"
#include "reconcile/base/error.h"

namespace gitproc {

// "permission denied", "no such file or directory": lower case, for the end of a message.
std::string error_text(int error_number);

// "<attempt>: <error_text>", with the ErrorCode that fits: ENOENT not_found, EACCES and EPERM denied, EBUSY,
// ETXTBSY and EAGAIN busy, everything else failed. Example: system_error("cannot open 'x.service'", errno).
Error system_error(std::string_view attempt, int error_number);
inline std::unexpected<Error> fail_with_errno(std::string_view attempt, int error_number = errno) {
  return std::unexpected(system_error(attempt, error_number));
}

// Calls `call` until it ends otherwise than by EINTR; returns what it returned (-1 and errno on failure).
template <typename Call>
auto retry_on_interrupt(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR)
    result = call();
  return result;
}

// open(2) with O_CLOEXEC, relative to `directory_fd` or AT_FDCWD. Error: "cannot open 'PATH': ...".
Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode = 0);
Result<UniqueFd> open_file_at(int directory_fd, const std::string& path, int flags, mode_t mode = 0);

// Writes all bytes; returns 0 or errno. After an error an unknown part has been written.
int write_all(int fd, std::string_view bytes);

// The whole of a file, also of /proc and other files without a size. A file of more than `limit_bytes` is an
// error: nothing is cut silently.
Result<std::string> read_file(const std::string& path, std::size_t limit_bytes);
Result<std::string> read_descriptor(int fd, std::size_t limit_bytes, std::string_view name);

// mkdir -p; directories that exist are left as they are. `mode` is for those it makes, less the umask.
Result<void> make_directories(const std::string& path, mode_t mode);

}  // namespace gitproc
