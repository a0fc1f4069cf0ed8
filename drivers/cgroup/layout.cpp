#include "drivers/cgroup/layout.h"

#include <algorithm>
#include <array>
#include <vector>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

// Every controller that a kernel has had, in either version.
constexpr std::array<std::string_view, 18> controllers = {
    "blkio", "cpu",    "cpuacct", "cpuset",  "devices",  "dmem",       "freezer", "hugetlb", "io",
    "irq",   "memory", "misc",    "net_cls", "net_prio", "perf_event", "pids",    "rdma",    "name"};

// "\040" is a blank, "\134" a backslash: proc(5).
std::string resolve_octal(std::string_view text) {
  std::string resolved;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto is_octal = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && is_octal(i + 1) && is_octal(i + 2) && is_octal(i + 3)) {
      resolved += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      resolved += text[i];
    }
  }
  return resolved;
}

}  // namespace

namespace {

struct Mount {
  std::string_view root, point, type, super_options;
};

std::optional<Mount> parse_mount(std::string_view line) {
  // ID PARENT MAJOR:MINOR ROOT MOUNT-POINT OPTIONS [OPTIONAL...] - TYPE SOURCE SUPER-OPTIONS
  std::vector<std::string_view> fields = split(line, ' ');
  auto separator = std::ranges::find(fields, "-");
  if (fields.size() < 10 || separator - fields.begin() < 6 || fields.end() - separator < 4)
    return std::nullopt;
  return Mount{fields[3], fields[4], *(separator + 1), *(separator + 3)};
}

}  // namespace

std::optional<std::string> find_cgroup2_mount(std::string_view mountinfo) {
  std::optional<std::string> best;
  std::size_t best_root_length = 0;
  for (std::string_view line : split(mountinfo, '\n')) {
    std::optional<Mount> mount = parse_mount(line);
    if (!mount || mount->type != "cgroup2") continue;
    // A bind mount of a part of the tree has a longer root than the tree itself.
    std::size_t root_length = mount->root.size();
    if (best && root_length >= best_root_length) continue;
    best = resolve_octal(mount->point);
    best_root_length = root_length;
  }
  return best;
}

V1Mounts find_v1_mounts(std::string_view mountinfo) {
  V1Mounts mounts;
  for (std::string_view line : split(mountinfo, '\n')) {
    std::optional<Mount> mount = parse_mount(line);
    if (!mount || mount->type != "cgroup") continue;
    for (std::string_view option : split(mount->super_options, ',')) {
      if (std::ranges::find(controllers, option) != controllers.end() && option != "name")
        mounts.try_emplace(std::string(option), resolve_octal(mount->point));
    }
  }
  return mounts;
}

std::vector<std::string> own_cgroups(std::string_view proc_self_cgroup) {
  std::vector<std::string> groups;
  for (std::string_view line : split(proc_self_cgroup, '\n')) {
    if (!line.starts_with("0::/")) continue;
    std::string_view path = line.substr(3);
    // From within a namespace, a group outside of it is shown so.
    if (path.starts_with("/..")) return {};
    groups.emplace_back();
    for (std::size_t end = 1; path.size() > 1 && end != std::string_view::npos;) {
      end = path.find('/', end + 1);
      groups.emplace_back(path.substr(0, end));
    }
  }
  return groups;
}

std::string escape_cgroup_name(std::string_view service) {
  bool needs_escape = service.starts_with('_') || service.starts_with('.') || service == "tasks" ||
                      service == "notify_on_release" || service == "release_agent" ||
                      service.starts_with("cgroup.");
  for (std::string_view controller : controllers) {
    needs_escape |= service.starts_with(controller) && service.substr(controller.size()).starts_with('.');
  }
  return (needs_escape ? "_" : "") + std::string(service);
}

std::string_view unescape_cgroup_name(std::string_view directory) {
  return directory.starts_with('_') ? directory.substr(1) : directory;
}

}  // namespace gitproc
