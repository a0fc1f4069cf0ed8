// Tells when refs of a repository may have moved, through inotify(7). It does not say which: a new nested
// branch shows only as a directory, pack-refs deletes files without changing a value, an overflow loses
// events. So every event means "read the tracked refs again".
//
// Watched are the git directory and the common one (HEAD, packed-refs), refs/ with all folders below
// refs/heads and refs/remotes, and the folders that lead there, so that a repository that is moved away,
// deleted and made again is noticed too. While it is missing, its nearest existing parent is watched.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "reconcile/base/error.h"

namespace gitproc {

// Folders below refs/ that are watched at most; more is an error, and the caller polls.
inline constexpr unsigned max_watched_folders = 4096;
// inotify does not see everything (network file systems, a symlink exchanged on the way): the caller reads
// the refs and calls rearm() at this interval, too.
inline constexpr std::chrono::seconds ref_rescan_interval{60};
// Where inotify cannot be had, the caller reads the refs at this interval.
inline constexpr std::chrono::seconds ref_poll_interval{2};

class RefWatcher {
 public:
  // Both as of Repository. Errors: no inotify instance or watch to be had (unavailable), too many folders.
  static Result<RefWatcher> open(std::string git_dir, std::string common_dir);

  // Readable when drain() has something to do. Never changes.
  int fd() const { return fd_.get(); }

  // Takes all pending events without blocking and renews the watches; true when the refs are to be read
  // again. The watches are in place before it returns, so what moves after that read is an event again.
  // Errors as of open: events may be missed from then on, until rearm() succeeds.
  Result<bool> drain();

  // Brings the watches in line with the folders that exist now.
  Result<void> rearm();

 private:
  // What of a watched folder matters.
  enum class Role {
    refs,     // any entry but lock files
    git,      // HEAD, packed-refs, refs
    leading,  // only that the folder itself goes or moves
    awaited,  // an entry appears that leads to the repository
  };
  struct Watch {
    Role role = Role::refs;
    std::string awaited;    // the entry that Role::awaited waits for
    bool is_found = false;  // by the rearm() under way
  };
  enum class Meaning { nothing, refs_moved, folders_changed };

  RefWatcher(UniqueFd fd, std::string git_dir, std::string common_dir);
  Meaning judge(int wd, std::uint32_t mask, std::string_view name);
  // False where there is no such folder.
  Result<bool> watch(const std::string& path, Role role, std::string awaited = {});
  Result<void> watch_refs_below(const std::string& folder, unsigned depth);
  Result<void> watch_way_to(const std::string& folder);
  void drop_unfound();

  UniqueFd fd_;
  std::string git_dir_;
  std::string common_dir_;
  std::map<int, Watch> watches_;  // by watch descriptor
};

}  // namespace gitproc
