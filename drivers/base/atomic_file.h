// Replacing a file so that a reader, a crash or a power loss finds either the old content or the new one,
// whole: write beside it, fsync, rename over it, fsync the directory.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "drivers/base/unique_fd.h"
#include "reconcile/base/error.h"

namespace gitproc {

// The steps, one virtual call each, so that a test can let any of them fail. Each returns 0 or errno.
class FileSteps {
 public:
  virtual ~FileSteps() = default;
  // Opens `path` for writing, empty, made with `mode` where it did not exist.
  virtual int create(const std::string& path, mode_t mode, UniqueFd& file);
  virtual int write(int fd, std::string_view bytes);
  virtual int sync(int fd);
  virtual int rename(const std::string& from, const std::string& to);
  virtual int sync_directory(const std::string& path);
};

// Uses "PATH.new" as the file beside it: only one writer at a time. On an error the old file is as it was and
// "PATH.new" is gone; only when the last step (fsync of the directory) fails the new file is in place already,
// and may be lost with the power.
Result<void> replace_file(const std::string& path, std::string_view contents, mode_t mode);
Result<void> replace_file(const std::string& path, std::string_view contents, mode_t mode, FileSteps& steps);

}  // namespace gitproc
