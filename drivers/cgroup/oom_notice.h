// The kernel's word that memory has run out in a v1 memory group (cgroup.event_control, memory.oom_control): one
// eventfd(2) for all groups, which says no more than "look at the counters". It comes before anything is killed, so that
// who looks at once may be early, and has to look again.
#pragma once

#include <string>

#include "drivers/base/unique_fd.h"

namespace gitproc {

class OomNotice {
 public:
  // Without a descriptor where the process has none left: fd() is -1 and watch() false.
  OomNotice();

  // Until the group is removed. False where the kernel tells nothing, and a kill is seen when a process of ours ends.
  bool watch(const std::string& directory);
  // Readable when memory has run out somewhere, or a group that is watched was removed.
  int fd() const { return told_.get(); }
  // Whether anything was told since the last call.
  bool take();

 private:
  UniqueFd told_;
};

}  // namespace gitproc
