#include "drivers/base/atomic_file.h"

#include <fcntl.h>

#include <cstdio>

#include "drivers/base/system_call.h"

namespace gitproc {

int FileSteps::create(const std::string& path, mode_t mode, UniqueFd& file) {
  file.reset(retry_on_interrupt(
      [&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode); }));
  return file ? 0 : errno;
}

int FileSteps::write(int fd, std::string_view bytes) { return write_all(fd, bytes); }

int FileSteps::sync(int fd) {
  return retry_on_interrupt([&] { return ::fsync(fd); }) == 0 ? 0 : errno;
}

int FileSteps::rename(const std::string& from, const std::string& to) {
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

int FileSteps::sync_directory(const std::string& path) {
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno;
  return sync(directory.get());
}

Result<void> replace_file(const std::string& path, std::string_view contents, mode_t mode) {
  FileSteps steps;
  return replace_file(path, contents, mode, steps);
}

Result<void> replace_file(const std::string& path, std::string_view contents, mode_t mode, FileSteps& steps) {
  const std::string beside = path + ".new";
  UniqueFd file;
  int error_number = steps.create(beside, mode, file);
  if (error_number == 0) error_number = steps.write(file.get(), contents);
  if (error_number == 0) error_number = steps.sync(file.get());
  if (error_number == 0) error_number = steps.rename(beside, path);
  if (error_number != 0) {
    ::unlink(beside.c_str());
    return fail_with_errno("cannot write '" + path + "'", error_number);
  }
  std::size_t slash = path.rfind('/');
  std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  error_number = steps.sync_directory(directory);
  if (error_number != 0) return fail_with_errno("cannot sync directory '" + directory + "'", error_number);
  return {};
}

}  // namespace gitproc
