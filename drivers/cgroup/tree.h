// The agent's part of the v2 control group tree: <mount>/<parent>/NAME holds the processes of service NAME, born in
// it (CLONE_INTO_CGROUP), so that none of them can get away. A group is kept across restarts of its service and
// of the agent.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "reconcile/base/error.h"
#include "reconcile/base/ids.h"

namespace gitproc {

class CgroupTree {
 public:
  // Opens <mount>/<parent>, made where it is missing, and locks it until the object goes. `parent` is relative
  // and may have several levels. Errors: busy when another agent holds the lock; denied for an
  // unprivileged user without delegation.
  static Result<CgroupTree> open(const std::string& mount, const std::string& parent);

  // The group for a new process, made where it is missing.
  //
  // Once cgroup.kill was used on a group, Linux 6.18 was seen to kill at birth whatever is cloned into it from
  // outside. So a group that was killed, or is an
  // earlier agent's, is made anew when it is empty, without any limits that were written to it; when it is
  // not, a process has to join it after its birth.
  struct Entrance {
    UniqueFd group;  // the directory
    bool is_new = false;
    bool joins_after_birth = false;
  };
  Result<Entrance> enter(const std::string& service);

  // Whether any process lives in the group or below it. A group that does not exist is empty.
  bool is_populated(const std::string& service) const;

  // The path of the file whose modification tells that is_populated may have changed, for inotify(7).
  std::string events_path(const std::string& service) const;

  // The processes of the group and of all groups below it (a service may make its own), at most max_processes.
  // Zombies are not listed by the kernel once their group lets go of them.
  static constexpr std::size_t max_processes = 100'000;
  std::vector<Pid> processes(const std::string& service) const;

  // SIGKILL to all at once, forks under way included (cgroup.kill). False where the kernel (before 5.14) has no
  // such file; the caller then kills one by one.
  bool kill_all(const std::string& service);

  // How often the kernel's OOM killer struck in the group; nullopt where memory is not accounted for in it.
  std::optional<std::uint64_t> oom_kills(const std::string& service) const;

  // Removes the group and those below it. Error: busy while a process is in it.
  Result<void> remove(const std::string& service);

  // "/gitproc/web": as in /proc/PID/cgroup, where the tree's root is also the namespace's.
  std::string path_of(const std::string& service) const;
  // The service whose group, or a group below it, a line of /proc/PID/cgroup names; "" for any other.
  std::string service_of(const std::string& cgroup_path) const;

 private:
  CgroupTree() = default;

  std::string mount_;
  std::string parent_;  // "/gitproc"
  UniqueFd directory_;
  std::unordered_set<std::string> unharmed_;  // groups that were made here and never killed
};

}  // namespace gitproc
