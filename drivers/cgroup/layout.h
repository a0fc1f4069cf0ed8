// Where the v2 control group tree is on this machine, and how a service's group is named in it. Pure: what
// /proc/self/mountinfo says comes in as text.
//
// Membership is always in the v2 tree: the only one of a unified host, and the one without controllers of a
// hybrid host (cgroups(7)).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gitproc {

// The mount point of the cgroup2 file system whose root is nearest to the tree's; nullopt where there is none. The
// text is that of /proc/self/mountinfo (proc(5)); octal escapes in paths are resolved.
std::optional<std::string> find_cgroup2_mount(std::string_view mountinfo);

// A service's directory name: '_' is put before names that the kernel's own files could have, as systemd does
// (systemd.slice naming, cg_escape): those that begin with '_' or '.', "tasks", "notify_on_release",
// "release_agent", "cgroup.*" and "<controller>.*".
std::string escape_cgroup_name(std::string_view service);
std::string_view unescape_cgroup_name(std::string_view directory);

}  // namespace gitproc
