#include "drivers/logs/log_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "drivers/base/system_call.h"
#include "drivers/logs/rotation.h"

namespace gitproc {
namespace {

// Looks at the files again after a rotation came between; each rotation lasts for milliseconds and needs a
// log's worth of new output.
constexpr unsigned attempt_limit = 16;
constexpr std::size_t tail_step_bytes = 64u << 10;

// What stays the same of an archive when it is renamed, and is never that of another one.
struct FileIdentity {
  ino_t inode = 0;  // 0: no such file
  std::int64_t size = 0;
  std::int64_t modified_seconds = 0;
  std::int64_t modified_nanoseconds = 0;

  bool operator==(const FileIdentity&) const = default;
};

FileIdentity identity_of(const struct stat& status) {
  return {status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

struct Archive {
  UniqueFd file;
  FileIdentity identity;

  std::uint64_t size() const { return static_cast<std::uint64_t>(identity.size); }
};

// What a rotation changes. Two equal stamps: none went by between them.
struct Stamp {
  std::optional<RotationNote> note;
  FileIdentity newest;           // NAME.log.1
  ino_t live_inode = 0;          // 0: no such file
  std::uint64_t live_start = 0;  // where the live file's own bytes begin

  bool operator==(const Stamp&) const = default;
};

// All files of a log as they were at one moment.
struct View {
  Stamp stamp;
  std::vector<Archive> archives;  // oldest first
  UniqueFd live;
};

Result<std::string> read_at(int fd, std::uint64_t offset, std::uint64_t size) {
  std::string bytes(size, '\0');
  ssize_t got =
      retry_on_interrupt([&] { return ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
  if (got < 0) return fail_with_errno("cannot read a log");
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

}  // namespace

class LogReader::State {
 public:
  State(LogDirectory directory, std::string service)
      : directory_(std::move(directory)), service_(std::move(service)) {}

  Result<void> seek_to_last_lines(std::size_t lines);
  Result<LogChunk> read(std::size_t limit_bytes);
  const std::string& service() const { return service_; }
  int live_fd() const { return view_.live.get(); }

 private:
  Result<Stamp> take_stamp(const UniqueFd& live) const;
  Result<bool> look();
  void follow_skip(const View& now);
  Result<void> list_archives(const Stamp& stamp, std::vector<Archive>& archives) const;
  std::optional<std::size_t> first_unread_archive();

  LogDirectory directory_;
  std::string service_;
  View view_;
  // The position: `offset_` bytes after the end of the archive `anchor_`, or after the beginning of everything.
  std::optional<FileIdentity> anchor_;
  std::uint64_t offset_ = 0;
  ino_t read_inode_ = 0;  // the live file that offset_ reaches into
  bool has_gap_ = false;
};

// `live` is the open live file, or none.
Result<Stamp> LogReader::State::take_stamp(const UniqueFd& live) const {
  Stamp stamp;
  struct stat status;
  stamp.note = read_rotation_note(directory_, service_);
  if (::fstatat(directory_.fd(), archive_file_name(service_, 1).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    stamp.newest = identity_of(status);
  }
  if (::fstatat(directory_.fd(), log_file_name(service_).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    stamp.live_inode = status.st_ino;
  }
  if (!live) return stamp;
  // From the note on the archive being made counts, and the head of the live file does not, punched or not.
  if (stamp.note && stamp.note->phase == RotationNote::Phase::copied &&
      stamp.note->inode == stamp.live_inode) {
    stamp.live_start = stamp.note->end;
    return stamp;
  }
  Result<std::uint64_t> start = data_start(live.get(), 0);
  if (!start) return std::unexpected(start.error());
  stamp.live_start = *start;
  return stamp;
}

// A rotation only ever moves an archive to the next higher number: opened in ascending order none is missed, and
// one that is met twice is recognised. One number may be missing while they move.
Result<void> LogReader::State::list_archives(const Stamp& stamp, std::vector<Archive>& archives) const {
  unsigned missing = 0;
  for (unsigned number = stamp.note ? 0 : 1; number <= archive_limit && missing < 2; ++number) {
    Result<UniqueFd> file = directory_.open_existing(archive_file_name(service_, number), O_RDONLY);
    if (!file && file.error().code != ErrorCode::not_found) return std::unexpected(file.error());
    struct stat status;
    if (!file || ::fstat(file->get(), &status) != 0) {
      if (number > 0) ++missing;
      continue;
    }
    FileIdentity identity = identity_of(status);
    if (archives.empty() || archives.back().identity != identity)
      archives.push_back({std::move(*file), identity});
  }
  std::reverse(archives.begin(), archives.end());
  return {};
}

// Brings view_ up to date; false where it still was.
Result<bool> LogReader::State::look() {
  Result<Stamp> now = take_stamp(view_.live);
  if (!now) return std::unexpected(now.error());
  bool has_live = static_cast<bool>(view_.live);
  if (*now == view_.stamp && has_live == (now->live_inode != 0)) return false;
  for (unsigned attempt = 0; attempt < attempt_limit; ++attempt) {
    View view;
    Result<UniqueFd> live = directory_.open_existing(log_file_name(service_), O_RDONLY);
    if (live) view.live = std::move(*live);
    if (!live && live.error().code != ErrorCode::not_found) return std::unexpected(live.error());
    Result<Stamp> before = take_stamp(view.live);
    if (!before) return std::unexpected(before.error());
    if (Result<void> listed = list_archives(*before, view.archives); !listed)
      return std::unexpected(listed.error());
    Result<Stamp> behind = take_stamp(view.live);
    if (!behind) return std::unexpected(behind.error());
    struct stat status{};
    if (view.live && ::fstat(view.live.get(), &status) != 0) return fail_with_errno("cannot stat a log");
    if (*before != *behind || status.st_ino != behind->live_inode) continue;
    view.stamp = *before;
    follow_skip(view);
    view_ = std::move(view);
    return true;
  }
  return fail("cannot read the log of '" + service_ + "': it is rotated all the time", ErrorCode::busy);
}

// The head of a log that outruns its rotation goes with all archives and without one of its own, and leaves a hole:
// so the live file's own offsets are what a position in it is kept by, as they are where somebody deletes the archives.
void LogReader::State::follow_skip(const View& now) {
  const std::optional<FileIdentity> newest =
      view_.archives.empty() ? std::nullopt : std::optional(view_.archives.back().identity);
  const bool was_in_live = anchor_ == newest && read_inode_ == now.stamp.live_inode;
  const std::uint64_t old_start = view_.stamp.live_start;
  if (!was_in_live || !now.archives.empty() || now.stamp.note || now.stamp.live_start < old_start) return;
  const std::uint64_t position = old_start + offset_;
  if (position < now.stamp.live_start) has_gap_ = true;
  offset_ = std::max(position, now.stamp.live_start) - now.stamp.live_start;
  anchor_.reset();
}

// Moves the position on to the first archive with unread bytes and returns its index; nullopt where the position is
// in the live file.
std::optional<std::size_t> LogReader::State::first_unread_archive() {
  std::size_t index = 0;
  if (anchor_) {
    auto found = std::find_if(view_.archives.begin(), view_.archives.end(),
                              [this](const Archive& archive) { return archive.identity == *anchor_; });
    if (found == view_.archives.end()) {
      // Rotated away, or deleted by hand: what is left begins anew.
      has_gap_ = true;
      anchor_.reset();
      offset_ = 0;
    } else {
      index = static_cast<std::size_t>(found - view_.archives.begin()) + 1;
    }
  }
  for (; index < view_.archives.size(); ++index) {
    const Archive& archive = view_.archives[index];
    if (offset_ < archive.size()) return index;
    offset_ -= archive.size();
    anchor_ = archive.identity;
  }
  return std::nullopt;
}

Result<LogChunk> LogReader::State::read(std::size_t limit_bytes) {
  for (unsigned attempt = 0; attempt < attempt_limit; ++attempt) {
    if (Result<bool> looked = look(); !looked) return std::unexpected(looked.error());
    std::optional<std::size_t> index = first_unread_archive();
    if (index) {
      const Archive& archive = view_.archives[*index];
      Result<std::string> bytes = read_at(archive.file.get(), offset_,
                                          std::min<std::uint64_t>(limit_bytes, archive.size() - offset_));
      if (!bytes) return std::unexpected(bytes.error());
      if (bytes->empty()) return fail("cannot read an archive of '" + service_ + "': it was truncated");
      offset_ += bytes->size();
      return LogChunk{std::move(*bytes), std::exchange(has_gap_, false)};
    }
    if (!view_.live) return LogChunk{};

    struct stat status;
    if (::fstat(view_.live.get(), &status) != 0) return fail_with_errno("cannot stat a log");
    std::uint64_t start = view_.stamp.live_start;
    bool is_replaced = read_inode_ != 0 && read_inode_ != view_.stamp.live_inode;
    bool is_truncated = static_cast<std::uint64_t>(status.st_size) < start + offset_;
    std::uint64_t offset = is_replaced || is_truncated ? 0 : offset_;
    Result<std::string> bytes = read_at(view_.live.get(), start + offset, limit_bytes);
    if (!bytes) return std::unexpected(bytes.error());
    // Were these the bytes that they seemed to be when the view was taken?
    Result<Stamp> behind = take_stamp(view_.live);
    if (!behind) return std::unexpected(behind.error());
    if (*behind != view_.stamp) continue;
    if (is_truncated && !is_replaced) has_gap_ = true;
    offset_ = offset + bytes->size();
    read_inode_ = view_.stamp.live_inode;
    // What is lost is told with the bytes that come after it.
    bool has_gap = !bytes->empty() && std::exchange(has_gap_, false);
    return LogChunk{std::move(*bytes), has_gap};
  }
  return fail("cannot read the log of '" + service_ + "': it is rotated all the time", ErrorCode::busy);
}

Result<void> LogReader::State::seek_to_last_lines(std::size_t lines) {
  for (unsigned attempt = 0; attempt < attempt_limit; ++attempt) {
    if (Result<bool> looked = look(); !looked) return std::unexpected(looked.error());
    struct stat status{};
    if (view_.live && ::fstat(view_.live.get(), &status) != 0) return fail_with_errno("cannot stat a log");
    const std::uint64_t start = view_.stamp.live_start;
    const std::uint64_t live_size =
        std::max<std::uint64_t>(static_cast<std::uint64_t>(status.st_size), start) - start;
    std::uint64_t total = live_size;
    for (const Archive& archive : view_.archives)
      total += archive.size();

    // Backwards, file by file and step by step; `position` counts from the beginning of everything.
    std::uint64_t position = total;
    std::size_t breaks = 0;
    bool is_found = lines == 0;
    for (std::size_t file = view_.archives.size() + 1; file > 0 && !is_found; --file) {
      bool is_live = file == view_.archives.size() + 1;
      int fd = is_live ? view_.live.get() : view_.archives[file - 1].file.get();
      std::uint64_t base = is_live ? start : 0;
      std::uint64_t left = is_live ? live_size : view_.archives[file - 1].size();
      while (left > 0 && !is_found) {
        std::uint64_t step = std::min<std::uint64_t>(left, tail_step_bytes);
        if (total - position + step > tail_limit_bytes) {
          is_found = true;
          break;
        }
        Result<std::string> bytes = read_at(fd, base + left - step, step);
        if (!bytes) return std::unexpected(bytes.error());
        if (bytes->size() != step) break;  // truncated this moment: the stamp or the next read() will tell
        std::size_t end = bytes->size();
        while (end > 0) {
          // The break that ends the last line is no beginning of another.
          bool is_break = (*bytes)[end - 1] == '\n' && position != total;
          is_found = is_break && ++breaks == lines;
          if (is_found) break;
          --end;
          --position;
        }
        left -= step;
      }
    }
    Result<Stamp> behind = take_stamp(view_.live);
    if (!behind) return std::unexpected(behind.error());
    if (*behind != view_.stamp) continue;
    anchor_.reset();
    offset_ = position;
    has_gap_ = false;
    read_inode_ = view_.stamp.live_inode;
    first_unread_archive();
    return {};
  }
  return fail("cannot read the log of '" + service_ + "': it is rotated all the time", ErrorCode::busy);
}

Result<LogReader> LogReader::open(const LogDirectory& directory, std::string service) {
  Result<LogDirectory> own = directory.duplicate();
  if (!own) return std::unexpected(own.error());
  return LogReader(std::make_unique<State>(std::move(*own), std::move(service)));
}

LogReader::LogReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
LogReader::LogReader(LogReader&&) noexcept = default;
LogReader& LogReader::operator=(LogReader&&) noexcept = default;
LogReader::~LogReader() = default;

Result<void> LogReader::seek_to_last_lines(std::size_t lines) { return state_->seek_to_last_lines(lines); }
Result<LogChunk> LogReader::read(std::size_t limit_bytes) { return state_->read(limit_bytes); }
const std::string& LogReader::service() const { return state_->service(); }
int LogReader::live_fd() const { return state_->live_fd(); }

}  // namespace gitproc
