// The agent's part of the control group tree: <mount>/<parent>/NAME holds the processes of service NAME, born in it
// (CLONE_INTO_CGROUP), so that none of them can get away. A group is kept across restarts of its service and of the
// agent.
//
// On a machine that has cgroup v1 alone the tree is that of the freezer: processes join it after their birth and before
// they execute anything, are killed while they are frozen, and nothing tells when a group becomes empty.
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
  // Opens <mount><top>/<parent>, made where it is missing, and locks it until the object goes. `top` is "" for the
  // root of the tree, or the path of a group below it that was delegated to the agent's user. Errors: busy when another
  // agent holds the lock; denied for an unprivileged user without delegation.
  static Result<CgroupTree> open(const std::string& mount, const std::string& parent,
                                 const std::string& top = "");
  // The same below the first of `tops` that may be written to: so root gets the root of the tree, and an ordinary user
  // the topmost group of a delegated subtree, where groups outlive the agent's own. The error is that of the first.
  static Result<CgroupTree> open_below(const std::string& mount, const std::vector<std::string>& tops,
                                       const std::string& parent);

  // In the v1 hierarchy of the freezer.
  static Result<CgroupTree> open_v1(const std::string& freezer_mount, const std::string& parent);
  // "freezer", or "" for the v2 tree.
  std::string_view v1_controller() const { return is_v1_ ? "freezer" : ""; }

  // The controllers that may be enabled here, sorted; hybrid hosts have none.
  std::vector<std::string> controllers() const;

  // Makes a controller's files appear in the services' groups: enables it from the top down to the parent. Where the
  // top is no root group and holds processes (a container's, or a delegated one), the kernel refuses that or gives groups
  // that no process may enter: they are moved to the leaf <top>/<parent>-rest first, the agent among them. Kept when the agent ends.
  Result<void> enable(const std::string& controller);

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

  // A group below the service's own, made where it is missing.
  Result<Entrance> enter_below(const std::string& service, const std::string& name);

  // The group of the inits of PID namespaces, <mount>/<parent>/.inits, made where it is missing: they are none of their
  // services' processes, so that limits, counts and the OOM killer see the service alone. Not killed, so always to be
  // born in, in v2.
  Result<Entrance> enter_inits();
  // Removes it, where no init is left.
  void remove_inits();

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

  // The directory of the service's group, and that of all of them.
  std::string directory_of(const std::string& service) const { return mount_ + path_of(service); }
  std::string parent_directory() const { return mount_ + parent_; }

  // "/gitproc/web": as in /proc/PID/cgroup, where the tree's root is also the namespace's.
  std::string path_of(const std::string& service) const;
  // The service whose group, or a group below it, a line of /proc/PID/cgroup names; "" for any other.
  std::string service_of(const std::string& cgroup_path) const;

 private:
  CgroupTree() = default;
  Result<void> clear_top();
  Result<Entrance> enter_group(const std::string& name);
  void kill_frozen(int group_fd);

  bool is_v1_ = false;
  std::string mount_;
  std::string top_;     // "", or a delegated group
  std::string parent_;  // "/gitproc", with the top before it
  UniqueFd directory_;
  std::unordered_set<std::string> enabled_;   // controllers
  std::unordered_set<std::string> unharmed_;  // groups that were made here and never killed
};

// The processes of a group's directory and of those below it, as CgroupTree::processes().
std::vector<Pid> processes_of_group(const std::string& directory);

}  // namespace gitproc
