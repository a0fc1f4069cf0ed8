// Where the v2 control group tree is on this machine, and how a service's group is named in it. Pure: what
// /proc/self/mountinfo says comes in as text.
//
// Membership is always in the v2 tree: the only one of a unified host, and the one without controllers of a
// hybrid host (cgroups(7)). Limits are where their controller is.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gitproc {

// The mount point of the cgroup2 file system whose root is nearest to the tree's; nullopt where there is none. The
// text is that of /proc/self/mountinfo (proc(5)); octal escapes in paths are resolved.
std::optional<std::string> find_cgroup2_mount(std::string_view mountinfo);

// The mount point of each v1 controller, by its v1 name ("cpu", "blkio"); controllers that are mounted together have the
// same one.
using V1Mounts = std::map<std::string, std::string, std::less<>>;
V1Mounts find_v1_mounts(std::string_view mountinfo);

// The agent's own group in the v2 tree, and all those above it, the topmost first: "", "/user.slice", ... The text is
// that of /proc/self/cgroup. Empty where it names no group that can be seen from here.
std::vector<std::string> own_cgroups(std::string_view proc_self_cgroup);

// A service's directory name: '_' is put before names that the kernel's own files could have, as systemd does
// (systemd.slice naming, cg_escape): those that begin with '_' or '.', "tasks", "notify_on_release",
// "release_agent", "cgroup.*" and "<controller>.*".
std::string escape_cgroup_name(std::string_view service);
std::string_view unescape_cgroup_name(std::string_view directory);

}  // namespace gitproc
