#include "drivers/logs/rotation.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>
#include <vector>

#include "drivers/base/system_call.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

// Of the beginning of a log, to see that it is still the same one.
constexpr std::uint64_t compared_bytes = 4096;

std::string note_name(std::string_view service) { return log_file_name(service) + ".cut"; }
// Shorter than the note's: a service's name may be as long as leaves room for ".log.cut" alone.
std::string next_note_name(std::string_view service) { return log_file_name(service) + ".new"; }

std::string quoted(std::string_view service) { return "'" + log_file_name(service) + "'"; }

Result<void> write_note(const LogDirectory& directory, std::string_view service, RotationNote note) {
  std::string target = (note.phase == RotationNote::Phase::copied ? "copied " : "punched ") +
                       std::to_string(note.end) + " " + std::to_string(note.inode);
  std::string next = next_note_name(service);
  ::unlinkat(directory.fd(), next.c_str(), 0);  // of a crash between the two calls below
  if (::symlinkat(target.c_str(), directory.fd(), next.c_str()) != 0 ||
      ::renameat(directory.fd(), next.c_str(), directory.fd(), note_name(service).c_str()) != 0) {
    return fail_with_errno("cannot note the rotation of " + quoted(service));
  }
  return {};
}

bool exists(const LogDirectory& directory, const std::string& name) {
  struct stat status;
  return ::fstatat(directory.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

unsigned kept_archives(LogPolicy policy) { return std::min(policy.max_files, archive_limit); }

// What is kept of a log that outruns its rotation: its archives' worth, and half of what the live file may hold. So the
// rotations that follow push none out of which a reader may still have to learn.
std::uint64_t kept_bytes(LogPolicy policy) {
  const std::uint64_t archives = std::max(kept_archives(policy), 1u);
  if (policy.max_size_bytes > infinite_limit / (archives + 1)) return infinite_limit;
  // The newest archive stays in any case.
  return std::min(archives * policy.max_size_bytes + policy.max_size_bytes / 2,
                  std::max(policy.max_total_bytes, 2 * policy.max_size_bytes));
}

// Those beyond the policy, which may have been larger before; the oldest first, so that what is left after a crash has
// no gap.
void remove_archives_from(const LogDirectory& directory, std::string_view service, unsigned number) {
  unsigned end = number;
  while (end <= archive_limit && exists(directory, archive_file_name(service, end)))
    ++end;
  for (; end > number; --end) {
    if (::unlinkat(directory.fd(), archive_file_name(service, end - 1).c_str(), 0) != 0) return;
  }
}

// LogMaxTotalSize=: the newest archive, of `size`, and the live file behind it come first; the others as far as
// there is room.
void keep_to_total(const LogDirectory& directory, std::string_view service, LogPolicy policy,
                   std::uint64_t size) {
  if (policy.max_total_bytes == infinite_limit) return;
  for (unsigned number = 1; number <= archive_limit; ++number) {
    struct stat status;
    std::string name = archive_file_name(service, number);
    if (::fstatat(directory.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
    size += static_cast<std::uint64_t>(status.st_size);
    if (size > policy.max_total_bytes) return remove_archives_from(directory, service, number);
  }
}

// Makes .0 the newest archive. Only those below the first gap move up, so that it can be taken up after a crash.
Result<void> shift_archives(const LogDirectory& directory, std::string_view service, LogPolicy policy) {
  if (!exists(directory, archive_file_name(service, 0))) return {};  // a crash came after the last rename
  unsigned kept = kept_archives(policy);
  remove_archives_from(directory, service, kept + 1);
  if (kept == 0) {
    ::unlinkat(directory.fd(), archive_file_name(service, 0).c_str(), 0);
    return {};
  }
  unsigned free = 1;
  while (free < kept && exists(directory, archive_file_name(service, free)))
    ++free;
  for (unsigned number = free; number > 0; --number) {
    std::string from = archive_file_name(service, number - 1);
    std::string to = archive_file_name(service, number);
    if (::renameat(directory.fd(), from.c_str(), directory.fd(), to.c_str()) != 0) {
      return fail_with_errno("cannot rename '" + from + "' to '" + to + "'");
    }
  }
  return {};
}

// Takes a hole at the beginning away. Where that cannot be done it stays: it takes no space, and is skipped by readers.
void collapse_hole(int live, std::uint64_t end) {
  struct stat status;
  if (::fstat(live, &status) != 0) return;
  const std::uint64_t behind = static_cast<std::uint64_t>(status.st_size) - end;
  if (behind <= waited_for_bytes || end >= largest_hole_bytes)
    ::fallocate(live, FALLOC_FL_COLLAPSE_RANGE, 0, static_cast<off_t>(end));
}

// Everything from the punch on. `live` is NAME.log, or nothing where somebody has deleted it meanwhile.
Result<void> finish(const LogDirectory& directory, std::string_view service, LogPolicy policy,
                    const UniqueFd& live, RotationNote note) {
  const off_t end = static_cast<off_t>(note.end);
  if (live && note.phase == RotationNote::Phase::copied) {
    if (::fallocate(live.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, end) != 0) {
      int error_number = errno;
      if (error_number == EOPNOTSUPP || error_number == ENOSYS || error_number == EPERM ||
          error_number == ETXTBSY) {
        // Nothing was punched, so the live file still holds it all, and the archive would hold it twice.
        ::unlinkat(directory.fd(), note_name(service).c_str(), 0);
        ::unlinkat(directory.fd(), archive_file_name(service, 0).c_str(), 0);
      }
      return fail_with_errno("cannot punch a hole into " + quoted(service), error_number);
    }
    note.phase = RotationNote::Phase::punched;
    if (Result<void> written = write_note(directory, service, note); !written) return written;
  }
  if (live) {
    Result<std::uint64_t> start = data_start(live.get(), 0);
    if (!start) return std::unexpected(start.error());
    if (*start >= note.end) collapse_hole(live.get(), note.end);  // else it was already
  }
  if (Result<void> shifted = shift_archives(directory, service, policy); !shifted) return shifted;
  if (::unlinkat(directory.fd(), note_name(service).c_str(), 0) != 0) {
    return fail_with_errno("cannot remove '" + note_name(service) + "'");
  }
  return {};
}

std::unexpected<Error> was_truncated(std::string_view service) {
  return fail("cannot archive " + quoted(service) + ": it was truncated meanwhile");
}

std::string read_beginning(int fd, std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  ssize_t got = ::pread(fd, bytes.data(), size, static_cast<off_t>(offset));
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

}  // namespace

std::optional<RotationNote> read_rotation_note(const LogDirectory& directory, std::string_view service) {
  std::array<char, 64> target;
  ssize_t size = ::readlinkat(directory.fd(), note_name(service).c_str(), target.data(), target.size());
  if (size < 0) return std::nullopt;
  std::string_view text(target.data(), static_cast<std::size_t>(size));
  std::vector<std::string_view> words = split(text, ' ');
  if (words.size() != 3 || (words[0] != "copied" && words[0] != "punched")) return std::nullopt;
  auto end = parse_number<std::uint64_t>(words[1]), inode = parse_number<std::uint64_t>(words[2]);
  if (!end || !inode || *end > INT64_MAX) return std::nullopt;
  RotationNote note;
  note.phase = words[0] == "copied" ? RotationNote::Phase::copied : RotationNote::Phase::punched;
  note.end = *end;
  note.inode = *inode;
  return note;
}

Result<std::optional<Rotation>> Rotation::begin(const LogDirectory& directory, std::string service,
                                                LogPolicy policy, BackgroundDisk& disk) {
  Rotation rotation(directory, std::move(service), policy);
  Result<UniqueFd> live = directory.open_existing(log_file_name(rotation.service_), O_RDWR);
  if (!live && live.error().code == ErrorCode::not_found) return std::nullopt;
  if (!live) return std::unexpected(live.error());
  struct stat status;
  if (::fstat(live->get(), &status) != 0) return fail_with_errno("cannot stat " + quoted(rotation.service_));
  Result<std::uint64_t> start = data_start(live->get(), 0);
  if (!start) return std::unexpected(start.error());

  const std::uint64_t size = static_cast<std::uint64_t>(status.st_size);
  const std::uint64_t block = std::max<std::uint64_t>(static_cast<std::uint64_t>(status.st_blksize), 1);
  if (size - std::min(*start, size) <= policy.max_size_bytes) return std::nullopt;
  // Whole blocks, no more than one archive may hold (but one block at least), and not all of the file:
  // FALLOC_FL_COLLAPSE_RANGE must end before the end.
  std::uint64_t head =
      std::max(std::min(size - *start - 1, policy.max_size_bytes) / block, std::uint64_t{1}) * block;
  rotation.begin_ = rotation.copied_ = *start / block * block;
  rotation.end_ = rotation.begin_ + head;
  if (rotation.end_ >= size) return std::nullopt;

  remove_archives_from(directory, rotation.service_, std::max(kept_archives(policy), 1u));
  keep_to_total(directory, rotation.service_, policy, size - *start);
  Result<UniqueFd> archive = directory.open_emptied(archive_file_name(rotation.service_, 0));
  if (!archive) return std::unexpected(archive.error());
  // Whoever may read the log may read its archive. Where this fails it is as it was made: for the agent alone.
  if (::fchown(archive->get(), status.st_uid, status.st_gid) == 0)
    ::fchmod(archive->get(), status.st_mode & 0777);
  if (int error_number = disk.prepare(archive->get(), head); error_number != 0)
    return fail_with_errno("cannot archive " + quoted(rotation.service_), error_number);
  rotation.beginning_ =
      read_beginning(live->get(), rotation.begin_, std::min<std::uint64_t>(head, compared_bytes));
  rotation.live_ = std::move(*live);
  rotation.archive_ = std::move(*archive);
  return rotation;
}

Result<bool> Rotation::copy_some(BackgroundDisk& disk) {
  if (disk.is_busy()) {
    std::optional<std::int64_t> result = disk.take();
    if (!result) return false;
    // EFAULT: of what is no longer there.
    if (*result == -EFAULT || (*result == 0 && !is_syncing_)) return was_truncated(service_);
    if (*result < 0) return fail_with_errno("cannot archive " + quoted(service_), static_cast<int>(-*result));
    if (is_syncing_) return true;
    copied_ += static_cast<std::uint64_t>(*result);
  }
  if (copied_ < end_) {
    disk.copy(live_.get(), copied_, archive_.get(), copied_ - begin_,
              std::min(end_ - copied_, copy_step_bytes));
  } else {
    is_syncing_ = true;
    disk.sync(archive_.get());
  }
  return false;
}

// A file that was truncated and has grown again since shows it by its first bytes.
bool Rotation::is_as_it_was() const {
  struct stat status;
  return ::fstat(live_.get(), &status) == 0 && status.st_size > static_cast<off_t>(end_) &&
         read_beginning(live_.get(), begin_, beginning_.size()) == beginning_;
}

Result<void> Rotation::commit() {
  struct stat status;
  if (::fstat(live_.get(), &status) != 0) return fail_with_errno("cannot stat " + quoted(service_));
  if (!is_as_it_was()) return was_truncated(service_);
  RotationNote note{RotationNote::Phase::copied, end_, status.st_ino};
  if (Result<void> written = write_note(*directory_, service_, note); !written) return written;
  return finish(*directory_, service_, policy_, live_, note);
}

void remove_unfinished_archive(const LogDirectory& directory, std::string_view service) {
  ::unlinkat(directory.fd(), archive_file_name(service, 0).c_str(), 0);
}

namespace {

// The head of a log that is more than `kept`: whole blocks.
struct Excess {
  UniqueFd live;
  std::uint64_t start = 0;
  std::uint64_t end = 0;  // no larger than start: there is none
};

Result<Excess> find_excess(const LogDirectory& directory, std::string_view service, std::uint64_t kept) {
  Result<UniqueFd> live = directory.open_existing(log_file_name(service), O_RDWR);
  if (!live) return std::unexpected(live.error());
  struct stat status;
  if (::fstat(live->get(), &status) != 0) return fail_with_errno("cannot stat " + quoted(service));
  Result<std::uint64_t> start = data_start(live->get(), 0);
  if (!start) return std::unexpected(start.error());
  const std::uint64_t size = static_cast<std::uint64_t>(status.st_size);
  const std::uint64_t block = std::max<std::uint64_t>(static_cast<std::uint64_t>(status.st_blksize), 1);
  return Excess{std::move(*live), *start, (size - std::min(size, kept)) / block * block};
}

Result<void> punch(const UniqueFd& live, std::string_view service, std::uint64_t end) {
  if (::fallocate(live.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(end)) != 0)
    return fail_with_errno("cannot punch a hole into " + quoted(service));
  return {};
}

}  // namespace

Result<Skipped> skip_oldest_output(const LogDirectory& directory, std::string_view service,
                                   LogPolicy policy) {
  Result<Excess> excess = find_excess(directory, service, kept_bytes(policy));
  if (!excess) return std::unexpected(excess.error());
  if (excess->end <= excess->start) return Skipped{};
  remove_archives_from(directory, service, 1);
  const std::uint64_t end = std::min(excess->end, excess->start + skip_step_bytes);
  if (Result<void> punched = punch(excess->live, service, end); !punched)
    return std::unexpected(punched.error());
  return Skipped{.bytes = end - excess->start, .is_all = end == excess->end};
}

Result<std::uint64_t> drop_oldest_output(const LogDirectory& directory, std::string_view service,
                                         LogPolicy policy) {
  Result<Excess> excess = find_excess(directory, service, policy.max_size_bytes);
  if (!excess) return std::unexpected(excess.error());
  if (excess->end <= excess->start) return 0;
  if (Result<void> punched = punch(excess->live, service, excess->end); !punched)
    return std::unexpected(punched.error());
  collapse_hole(excess->live.get(), excess->end);
  return excess->end - excess->start;
}

Result<void> recover_rotation(const LogDirectory& directory, std::string_view service, LogPolicy policy) {
  ::unlinkat(directory.fd(), next_note_name(service).c_str(), 0);
  std::optional<RotationNote> note = read_rotation_note(directory, service);
  if (!note) {
    // Either nothing was under way, or it had not got to the point of no return.
    ::unlinkat(directory.fd(), note_name(service).c_str(), 0);
    ::unlinkat(directory.fd(), archive_file_name(service, 0).c_str(), 0);
    return {};
  }
  Result<UniqueFd> live = directory.open_existing(log_file_name(service), O_RDWR);
  if (!live && live.error().code != ErrorCode::not_found) return std::unexpected(live.error());
  struct stat status;
  // A log that was replaced or truncated while no agent ran holds nothing of what was archived.
  bool is_same =
      live && ::fstat(live->get(), &status) == 0 && status.st_ino == note->inode &&
      (note->phase == RotationNote::Phase::punched || status.st_size > static_cast<off_t>(note->end));
  UniqueFd none;
  return finish(directory, service, policy, is_same ? *live : none, *note);
}

}  // namespace gitproc
