// Tells when somebody may have changed the exported tree by hand, through inotify(7): each of its folders is watched,
// and so is a change of owner, mode or content of what is in them. It does not say what: TreeExport::restore looks.
//
// What it cannot see is looked for at a low rate by the caller: <state-dir>/tree leading elsewhere, folders beyond
// the limit, a file that was opened for writing through another path.
#pragma once

#include <string>

#include "drivers/base/unique_fd.h"

namespace gitproc {

// Folders of one tree that are watched at most.
inline constexpr unsigned max_watched_tree_folders = 4096;

class TreeWatcher {
 public:
  // Watches the folders of the tree at `top`, a real folder, from now on instead of any other: what happened before is
  // forgotten. Nothing is watched where the kernel has no watches left, or `top` is "".
  void watch(const std::string& top);

  // Readable when something changed; -1 while nothing is watched. Not the same after watch().
  int fd() const { return inotify_.get(); }

 private:
  UniqueFd inotify_;
};

}  // namespace gitproc
