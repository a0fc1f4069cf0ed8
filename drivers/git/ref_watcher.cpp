#include "drivers/git/ref_watcher.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "drivers/base/system_call.h"
#include "drivers/git/folder_listing.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::size_t event_buffer_bytes = 16u << 10;
// One drain() reads at most this much; the descriptor stays readable where more is pending.
constexpr unsigned max_reads_per_drain = 64;
constexpr unsigned max_folder_depth = 64;
constexpr unsigned max_listed_refs = 1'000'000;  // in one folder; they are listed only to find folders

constexpr std::uint32_t self_events = IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t entry_events = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE;

// The folder itself and all above it, the root first.
std::vector<std::string> way_to(const std::string& path) {
  std::vector<std::string> folders = {"/"};
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    folders.push_back(path.substr(0, slash));
  }
  folders.push_back(path);
  return folders;
}

bool is_gone(int error_number) { return error_number == ENOENT || error_number == ENOTDIR; }

}  // namespace

RefWatcher::RefWatcher(UniqueFd fd, std::string git_dir, std::string common_dir)
    : fd_(std::move(fd)), git_dir_(std::move(git_dir)), common_dir_(std::move(common_dir)) {}

Result<RefWatcher> RefWatcher::open(std::string git_dir, std::string common_dir) {
  UniqueFd fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd) {
    return fail("cannot watch '" + printable(git_dir) + "': " + error_text(errno) + " (inotify instances)",
                ErrorCode::unavailable);
  }
  RefWatcher watcher(std::move(fd), std::move(git_dir), std::move(common_dir));
  if (auto armed = watcher.rearm(); !armed) return std::unexpected(armed.error());
  return watcher;
}

Result<bool> RefWatcher::drain() {
  bool is_moved = false, is_reshaped = false;
  alignas(inotify_event) std::array<char, event_buffer_bytes> buffer;
  for (unsigned reads = 0; reads < max_reads_per_drain; ++reads) {
    ssize_t size = retry_on_interrupt([&] { return ::read(fd_.get(), buffer.data(), buffer.size()); });
    if (size <= 0) break;  // EAGAIN: all taken
    for (const char* at = buffer.data(); at < buffer.data() + size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      std::string_view name = event->len != 0 ? std::string_view(event->name) : std::string_view();
      Meaning meaning = judge(event->wd, event->mask, name);
      is_moved |= meaning != Meaning::nothing;
      is_reshaped |= meaning == Meaning::folders_changed;
    }
  }
  if (is_reshaped) {
    if (auto armed = rearm(); !armed) return std::unexpected(armed.error());
  }
  return is_moved;
}

RefWatcher::Meaning RefWatcher::judge(int wd, std::uint32_t mask, std::string_view name) {
  if ((mask & IN_Q_OVERFLOW) != 0) return Meaning::folders_changed;
  auto watch = watches_.find(wd);
  if (watch == watches_.end()) return Meaning::nothing;  // of a watch that was dropped
  if ((mask & IN_IGNORED) != 0) {
    watches_.erase(watch);
    return Meaning::folders_changed;
  }
  if ((mask & (self_events | IN_UNMOUNT)) != 0) return Meaning::folders_changed;
  bool is_folder = (mask & IN_ISDIR) != 0;
  switch (watch->second.role) {
    case Role::refs:
      if (is_folder) return Meaning::folders_changed;
      return name.ends_with(".lock") ? Meaning::nothing : Meaning::refs_moved;
    case Role::git:
      if (is_folder) return Meaning::folders_changed;  // refs, or worktrees on the way to a linked one
      return name == "HEAD" || name == "packed-refs" ? Meaning::refs_moved : Meaning::nothing;
    case Role::leading: return Meaning::nothing;
    case Role::awaited: return name == watch->second.awaited ? Meaning::folders_changed : Meaning::nothing;
  }
  return Meaning::nothing;
}

Result<void> RefWatcher::rearm() {
  for (auto& [wd, watch] : watches_)
    watch.is_found = false;
  auto arm = [this]() -> Result<void> {
    for (const std::string& folder : {git_dir_, common_dir_}) {
      if (auto done = watch_way_to(folder); !done) return done;
    }
    for (const char* folder : {"/refs/heads", "/refs/remotes"}) {
      if (auto done = watch_refs_below(common_dir_ + folder, 0); !done) return done;
    }
    return {};
  };
  auto armed = arm();
  if (armed) drop_unfound();
  return armed;
}

// Watches every folder on the way; where the way ends early, its last folder is watched for the next part.
Result<void> RefWatcher::watch_way_to(const std::string& folder) {
  std::vector<std::string> folders = way_to(folder);
  for (std::size_t i = 0; i < folders.size(); ++i) {
    bool is_last = i + 1 == folders.size();
    auto there = watch(folders[i], is_last ? Role::git : Role::leading);
    if (!there) return std::unexpected(there.error());
    if (*there || i == 0) continue;
    std::string next = folders[i].substr(folders[i].rfind('/') + 1);
    auto parent = watch(folders[i - 1], Role::awaited, next);
    if (!parent) return std::unexpected(parent.error());
    // Made in between: the event would have been missed.
    auto again = watch(folders[i], is_last ? Role::git : Role::leading);
    if (!again) return std::unexpected(again.error());
    if (!*again) return {};
  }
  auto refs = watch(folder + "/refs", Role::refs);
  return refs ? Result<void>{} : std::unexpected(refs.error());
}

// The watch comes before the listing, so that a folder made meanwhile is either listed or an event.
Result<void> RefWatcher::watch_refs_below(const std::string& folder, unsigned depth) {
  auto there = watch(folder, Role::refs);
  if (!there) return std::unexpected(there.error());
  if (!*there || depth == max_folder_depth) return {};
  auto entries = list_folder(folder, max_listed_refs);
  if (!entries) {
    if (entries.error().code == ErrorCode::not_found) return {};  // gone meanwhile: an event of its parent
    return fail("cannot watch: " + entries.error().message, ErrorCode::unavailable);
  }
  for (const ListedEntry& entry : *entries) {
    if (entry.kind != ListedKind::folder) continue;
    if (auto done = watch_refs_below(folder + "/" + entry.name, depth + 1); !done) return done;
  }
  return {};
}

Result<bool> RefWatcher::watch(const std::string& path, Role role, std::string awaited) {
  std::uint32_t mask = IN_ONLYDIR | self_events;
  switch (role) {
    case Role::refs:
    case Role::git: mask |= entry_events; break;
    case Role::awaited: mask |= IN_CREATE | IN_MOVED_TO; break;
    case Role::leading: break;
  }
  int wd = inotify_add_watch(fd_.get(), path.c_str(), mask);
  if (wd < 0) {
    int error_number = errno;
    if (is_gone(error_number)) return false;
    // A folder on the way that cannot be listed cannot be watched: the rescan sees what happens to it.
    if (error_number == EACCES && role == Role::leading) return true;
    std::string hint = error_number == ENOSPC ? " (fs.inotify.max_user_watches)" : "";
    return fail("cannot watch '" + printable(path) + "': " + error_text(error_number) + hint,
                ErrorCode::unavailable);
  }
  watches_[wd] = Watch{role, std::move(awaited), /*is_found=*/true};
  if (watches_.size() > max_watched_folders) {
    return fail("cannot watch '" + printable(path) + "': more than " + std::to_string(max_watched_folders) +
                    " folders of refs",
                ErrorCode::unavailable);
  }
  return true;
}

void RefWatcher::drop_unfound() {
  std::erase_if(watches_, [this](const auto& entry) {
    if (!entry.second.is_found) inotify_rm_watch(fd_.get(), entry.first);
    return !entry.second.is_found;
  });
}

}  // namespace gitproc
