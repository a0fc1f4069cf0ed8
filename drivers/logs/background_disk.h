// Copies and syncs that the agent's loop does not wait for: one operation at a time, by Linux AIO (io_submit(2)). The
// bytes go from the page cache of one file straight to the disk of another (O_DIRECT from a mapping), so a copy costs
// neither the CPU that moves memory nor page cache, and fdatasync(2) runs in the kernel's own thread.
//
// Where the kernel or the file system can't, the same is done at once by copy_file_range(2) and fdatasync(2): the
// result is then there before the call returns.
#pragma once

#include <linux/aio_abi.h>

#include <cstdint>
#include <optional>

#include "drivers/base/unique_fd.h"

namespace gitproc {

class BackgroundDisk {
 public:
  // Where AIO cannot be had, everything is done at once.
  BackgroundDisk();
  // Waits for an operation under way: the kernel does, before it forgets its memory.
  ~BackgroundDisk();
  BackgroundDisk(const BackgroundDisk&) = delete;
  BackgroundDisk& operator=(const BackgroundDisk&) = delete;

  // Readable when an operation has ended and nobody has taken its result.
  int fd() const { return ended_.get(); }

  // Makes room in `file`, which is empty, for `size_bytes` of copies past the page cache, where that can be done.
  // Returns 0 or errno: a disk without room tells now.
  int prepare(int file, std::uint64_t size_bytes);
  // Begins to copy; the offsets are multiples of the block size of both. Nothing else may be under way.
  void copy(int from, std::uint64_t from_offset, int to, std::uint64_t to_offset, std::uint64_t size_bytes);
  // Begins an fdatasync(2).
  void sync(int file);

  // Whether an operation is under way that fd() will tell the end of.
  bool is_waiting() const { return is_under_way_; }
  // Whether one was begun whose result nobody has taken.
  bool is_busy() const { return is_under_way_ || result_.has_value(); }
  // The result of what was begun: how many bytes were copied (0 for a sync, and at the end of the file), or -errno.
  // nullopt as long as it is under way.
  std::optional<std::int64_t> take();

 private:
  bool submit(iocb& operation);

  aio_context_t context_ = 0;  // 0: there is none
  UniqueFd ended_;
  bool is_under_way_ = false;
  std::optional<std::int64_t> result_;
  void* mapping_ = nullptr;
  std::uint64_t mapping_bytes_ = 0;
};

}  // namespace gitproc
