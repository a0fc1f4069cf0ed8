#include "drivers/logs/log_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/base/system_call.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::string_view log_suffix = ".log";
// Output may hold secrets: not for everyone.
constexpr mode_t log_mode = 0640;

// O_NONBLOCK: opening a FIFO that somebody put here must not hang; regular files do not care.
Result<UniqueFd> open_regular(const LogDirectory& directory, const std::string& name, int flags) {
  if (name.find('/') != std::string::npos || name.find('\0') != std::string::npos) {
    return fail("cannot open log '" + printable(name) + "': not a file name", ErrorCode::invalid);
  }
  Result<UniqueFd> file =
      open_file_at(directory.fd(), name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, log_mode);
  if (!file) return file;
  struct stat status;
  if (::fstat(file->get(), &status) != 0) return fail_with_errno("cannot stat '" + name + "'");
  if (!S_ISREG(status.st_mode))
    return fail("cannot use '" + name + "' as a log: not a regular file", ErrorCode::invalid);
  return file;
}

}  // namespace

std::string log_file_name(std::string_view service) { return std::string(service) + std::string(log_suffix); }

std::string archive_file_name(std::string_view service, unsigned number) {
  return log_file_name(service) + "." + std::to_string(number);
}

std::optional<std::string_view> service_of_log_file(std::string_view file_name) {
  if (!file_name.ends_with(log_suffix) || file_name.size() == log_suffix.size()) return std::nullopt;
  return file_name.substr(0, file_name.size() - log_suffix.size());
}

Result<LogDirectory> LogDirectory::open(const std::string& path) {
  if (Result<void> made = make_directories(path, 0755); !made) return std::unexpected(made.error());
  Result<UniqueFd> fd = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return std::unexpected(fd.error());
  return LogDirectory(std::move(*fd), path);
}

Result<LogDirectory> LogDirectory::duplicate() const {
  UniqueFd fd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return fail_with_errno("cannot duplicate the descriptor of '" + path_ + "'");
  return LogDirectory(std::move(fd), path_);
}

Result<UniqueFd> LogDirectory::open_for_service(std::string_view service) const {
  Result<UniqueFd> file = open_regular(*this, log_file_name(service), O_WRONLY | O_APPEND | O_CREAT);
  if (!file) return file;
  // The service inherits this: it expects writes that block, as those to any log do.
  int flags = ::fcntl(file->get(), F_GETFL);
  if (flags < 0 || ::fcntl(file->get(), F_SETFL, flags & ~O_NONBLOCK) != 0) {
    return fail_with_errno("cannot set the flags of '" + log_file_name(service) + "'");
  }
  return file;
}

Result<UniqueFd> LogDirectory::open_existing(const std::string& file_name, int access) const {
  return open_regular(*this, file_name, access);
}

Result<UniqueFd> LogDirectory::open_emptied(const std::string& file_name) const {
  return open_regular(*this, file_name, O_RDWR | O_CREAT | O_TRUNC);
}

Result<std::uint64_t> data_start(int fd, std::uint64_t from) {
  off_t start = ::lseek(fd, static_cast<off_t>(from), SEEK_DATA);
  if (start >= 0) return static_cast<std::uint64_t>(start);
  if (errno != ENXIO) return fail_with_errno("cannot look for a hole in a log");
  off_t end = ::lseek(fd, 0, SEEK_END);
  if (end < 0) return fail_with_errno("cannot seek in a log");
  return static_cast<std::uint64_t>(end);
}

}  // namespace gitproc
