#include "drivers/git/tree_watcher.h"

#include <sys/inotify.h>

#include <filesystem>

namespace gitproc {
namespace {

constexpr std::uint32_t changes = IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                  IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW;

}  // namespace

void TreeWatcher::watch(const std::string& top) {
  inotify_.reset();
  if (top.empty()) return;
  UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify || ::inotify_add_watch(inotify.get(), top.c_str(), changes) < 0) return;
  std::error_code failed;  // a folder that goes meanwhile is itself an event
  auto options = std::filesystem::directory_options::skip_permission_denied;
  unsigned watched = 1;
  for (std::filesystem::recursive_directory_iterator entry(top, options, failed), end;
       !failed && entry != end && watched < max_watched_tree_folders; entry.increment(failed)) {
    bool is_folder = entry->is_directory(failed) && !entry->is_symlink(failed);
    if (!is_folder) continue;
    if (::inotify_add_watch(inotify.get(), entry->path().c_str(), changes) < 0) break;  // no more to be had
    ++watched;
  }
  inotify_ = std::move(inotify);
}

}  // namespace gitproc
