#include "drivers/logs/background_disk.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "drivers/base/system_call.h"

namespace gitproc {
namespace {

// Block sizes are no larger than a page, which is what a mapping is aligned to.
constexpr std::uint32_t largest_alignment = 4096;

bool is_direct(int file) { return (::fcntl(file, F_GETFL) & O_DIRECT) != 0; }

bool set_direct(int file, bool is_wanted) {
  int flags = ::fcntl(file, F_GETFL);
  return flags >= 0 && ::fcntl(file, F_SETFL, is_wanted ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

// A file system that only accepts O_DIRECT, and goes through the page cache all the same, tells no alignment.
bool takes_direct_writes(int file) {
  struct statx status{};
  return ::statx(file, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
         (status.stx_mask & STATX_DIOALIGN) != 0 && status.stx_dio_offset_align != 0 &&
         status.stx_dio_offset_align <= largest_alignment && status.stx_dio_mem_align <= largest_alignment;
}

// What copy_file_range(2) does, also where it does nothing.
std::int64_t copy_at_once(int from, std::uint64_t from_offset, int to, std::uint64_t to_offset,
                          std::uint64_t size_bytes) {
  std::uint64_t done = 0;
  while (done < size_bytes) {
    off_t in = static_cast<off_t>(from_offset + done);
    off_t out = static_cast<off_t>(to_offset + done);
    ssize_t copied =
        retry_on_interrupt([&] { return ::copy_file_range(from, &in, to, &out, size_bytes - done, 0); });
    if (copied < 0 && (errno == EINVAL || errno == EXDEV || errno == ENOSYS || errno == EOPNOTSUPP)) {
      std::array<char, 64 * 1024> piece;
      copied = ::pread(from, piece.data(), std::min<std::uint64_t>(piece.size(), size_bytes - done), in);
      if (copied > 0) copied = ::pwrite(to, piece.data(), static_cast<std::size_t>(copied), out);
    }
    if (copied < 0) return -errno;
    if (copied == 0) break;
    done += static_cast<std::uint64_t>(copied);
  }
  // The disk begins now, so that the sync waits less. Only a hint.
  ::sync_file_range(to, 0, 0, SYNC_FILE_RANGE_WRITE);
  return static_cast<std::int64_t>(done);
}

}  // namespace

BackgroundDisk::BackgroundDisk() : ended_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!ended_ || ::syscall(SYS_io_setup, 1, &context_) != 0) context_ = 0;
}

BackgroundDisk::~BackgroundDisk() {
  if (context_ != 0) ::syscall(SYS_io_destroy, context_);
  if (mapping_ != nullptr) ::munmap(mapping_, mapping_bytes_);
}

int BackgroundDisk::prepare(int file, std::uint64_t size_bytes) {
  if (context_ == 0 || !takes_direct_writes(file)) return 0;
  // A write that made the file longer would be waited for.
  if (::fallocate(file, 0, 0, static_cast<off_t>(size_bytes)) != 0) return errno == EOPNOTSUPP ? 0 : errno;
  set_direct(file, true);
  return 0;
}

bool BackgroundDisk::submit(iocb& operation) {
  operation.aio_flags = IOCB_FLAG_RESFD;
  operation.aio_resfd = static_cast<std::uint32_t>(ended_.get());
  iocb* operations = &operation;
  is_under_way_ = context_ != 0 && ::syscall(SYS_io_submit, context_, 1, &operations) == 1;
  return is_under_way_;
}

void BackgroundDisk::copy(int from, std::uint64_t from_offset, int to, std::uint64_t to_offset,
                          std::uint64_t size_bytes) {
  if (is_direct(to)) {
    // Nobody reads the mapping but the kernel: a file that is truncated meanwhile is EFAULT, and no SIGBUS.
    void* mapping = ::mmap(nullptr, size_bytes, PROT_READ, MAP_SHARED, from, static_cast<off_t>(from_offset));
    iocb operation{};
    operation.aio_lio_opcode = IOCB_CMD_PWRITE;
    operation.aio_fildes = static_cast<std::uint32_t>(to);
    operation.aio_buf = reinterpret_cast<std::uint64_t>(mapping);
    operation.aio_nbytes = size_bytes;
    operation.aio_offset = static_cast<std::int64_t>(to_offset);
    if (mapping != MAP_FAILED && submit(operation)) {
      mapping_ = mapping;
      mapping_bytes_ = size_bytes;
      return;
    }
    if (mapping != MAP_FAILED) ::munmap(mapping, size_bytes);
    set_direct(to, false);
  }
  result_ = copy_at_once(from, from_offset, to, to_offset, size_bytes);
}

void BackgroundDisk::sync(int file) {
  iocb operation{};
  operation.aio_lio_opcode = IOCB_CMD_FDSYNC;
  operation.aio_fildes = static_cast<std::uint32_t>(file);
  if (submit(operation)) return;
  result_ = retry_on_interrupt([&] { return ::fdatasync(file); }) == 0 ? 0 : -errno;
}

std::optional<std::int64_t> BackgroundDisk::take() {
  if (is_under_way_) {
    io_event event{};
    timespec no_wait{};
    if (::syscall(SYS_io_getevents, context_, 0, 1, &event, &no_wait) != 1) return std::nullopt;
    eventfd_t count;
    ::eventfd_read(ended_.get(), &count);
    is_under_way_ = false;
    if (mapping_ != nullptr) ::munmap(std::exchange(mapping_, nullptr), mapping_bytes_);
    result_ = event.res;
  }
  return std::exchange(result_, std::nullopt);
}

}  // namespace gitproc
