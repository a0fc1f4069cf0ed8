// Where a service's captured output lies: NAME.log is written by the service itself (its stdout and stderr are
// the file), NAME.log.1, .2, ... are its archives, the newest first. Two more names exist only while a rotation
// is under way: NAME.log.0, the archive being made, and NAME.log.cut, the note that tells how far it got
// (rotation.h).
//
// Everything is opened relative to the directory and without following symbolic links, and has to be a regular
// file: services that run as the agent's user can write here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "drivers/base/unique_fd.h"
#include "reconcile/base/error.h"

namespace gitproc {

// Archives beyond this number are not kept, whatever LogMaxFiles= says.
inline constexpr unsigned archive_limit = 512;

// "web" -> "web.log"; the name of a unit without ".service".
std::string log_file_name(std::string_view service);
// ("web", 1) -> "web.log.1"; number 0 is the archive being made.
std::string archive_file_name(std::string_view service, unsigned number);
// The inverse of log_file_name: nullopt for every other name.
std::optional<std::string_view> service_of_log_file(std::string_view file_name);

// The open log directory.
class LogDirectory {
 public:
  // Makes the directory (0755) where it does not exist.
  static Result<LogDirectory> open(const std::string& path);
  // Another handle of the same directory, for somebody who outlives this one.
  Result<LogDirectory> duplicate() const;

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

  // What a service is to write to: appending, made (0640) where it does not exist.
  Result<UniqueFd> open_for_service(std::string_view service) const;
  // A file of this directory that exists, with the given access mode of open(2). `not_found` where there is none,
  // `invalid` for a name with '/' in it and for what is no regular file.
  Result<UniqueFd> open_existing(const std::string& file_name, int access) const;
  // The same, made or emptied.
  Result<UniqueFd> open_emptied(const std::string& file_name) const;

 private:
  LogDirectory(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::string path_;
};

// The first byte at or after `from` that is not in a hole; the size of the file where only a hole follows.
Result<std::uint64_t> data_start(int fd, std::uint64_t from);

}  // namespace gitproc
