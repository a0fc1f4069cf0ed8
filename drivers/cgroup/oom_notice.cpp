#include "drivers/cgroup/oom_notice.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include "drivers/base/system_call.h"

namespace gitproc {

OomNotice::OomNotice() : told_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

bool OomNotice::watch(const std::string& directory) {
  if (!told_) return false;
  // The kernel keeps the group by itself: neither is needed afterwards.
  Result<UniqueFd> group = open_file(directory + "/memory.oom_control", O_RDONLY);
  Result<UniqueFd> control = open_file(directory + "/cgroup.event_control", O_WRONLY);
  if (!group || !control) return false;
  return write_all(control->get(), std::to_string(told_.get()) + " " + std::to_string(group->get())) == 0;
}

bool OomNotice::take() {
  eventfd_t count = 0;
  return ::eventfd_read(told_.get(), &count) == 0;
}

}  // namespace gitproc
