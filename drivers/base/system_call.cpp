#include "drivers/base/system_call.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cstring>

namespace gitproc {

std::string error_text(int error_number) {
  const char* description = strerrordesc_np(error_number);
  if (description == nullptr) return "error " + std::to_string(error_number);
  std::string text = description;
  // "RFS specific error" and "I/O error" keep their capitals.
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1]))) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

namespace {

ErrorCode code_of(int error_number) {
  switch (error_number) {
    case ENOENT: return ErrorCode::not_found;
    case EACCES:
    case EPERM: return ErrorCode::denied;
    case EBUSY:
    case ETXTBSY:
    case EAGAIN: return ErrorCode::busy;
    default: return ErrorCode::failed;
  }
}

}  // namespace

Error system_error(std::string_view attempt, int error_number) {
  return Error{std::string(attempt) + ": " + error_text(error_number), code_of(error_number)};
}

Result<UniqueFd> open_file_at(int directory_fd, const std::string& path, int flags, mode_t mode) {
  int fd = retry_on_interrupt([&] { return ::openat(directory_fd, path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return fail_with_errno("cannot open '" + path + "'");
  return UniqueFd(fd);
}

Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode) {
  return open_file_at(AT_FDCWD, path, flags, mode);
}

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = retry_on_interrupt([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

Result<std::string> read_descriptor(int fd, std::size_t limit_bytes, std::string_view name) {
  static constexpr std::size_t chunk_bytes = 16 * 1024;
  std::string text;
  for (;;) {
    std::size_t used = text.size();
    // One byte beyond the limit is asked for, to tell a file that just fits from one that is too large.
    text.resize(used + std::min(chunk_bytes, limit_bytes + 1 - used));
    ssize_t got = retry_on_interrupt([&] { return ::read(fd, text.data() + used, text.size() - used); });
    if (got < 0) return fail_with_errno("cannot read '" + std::string(name) + "'");
    text.resize(used + static_cast<std::size_t>(got));
    if (text.size() > limit_bytes) {
      return fail(
          "cannot read '" + std::string(name) + "': larger than " + std::to_string(limit_bytes) + " bytes",
          ErrorCode::invalid);
    }
    if (got == 0) return text;
  }
}

Result<std::string> read_file(const std::string& path, std::size_t limit_bytes) {
  Result<UniqueFd> fd = open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd) return std::unexpected(fd.error());
  return read_descriptor(fd->get(), limit_bytes, path);
}

Result<void> make_directories(const std::string& path, mode_t mode) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      // On a read-only file system mkdir says so even where the directory exists.
      int error_number = errno;
      struct stat status;
      if (::stat(part.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
        return fail_with_errno("cannot make directory '" + part + "'", error_number);
      }
    }
    if (end == std::string::npos) break;
  }
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return fail_with_errno("cannot make directory '" + path + "'");
  if (!S_ISDIR(status.st_mode)) return fail_with_errno("cannot make directory '" + path + "'", ENOTDIR);
  return {};
}

}  // namespace gitproc
