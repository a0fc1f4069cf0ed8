#include "drivers/cgroup/limit_keeper.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "drivers/base/system_call.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr mode_t group_mode = 0755;
constexpr std::size_t max_file_bytes = 1u << 20;
// Processes that fork while they are taken along to a v1 group: each round takes those that the one before missed.
constexpr int max_move_rounds = 16;

std::string_view v2_name(std::string_view v1_controller) {
  return v1_controller == "blkio" ? "io" : v1_controller;
}
std::string_view v1_name(std::string_view controller) { return controller == "io" ? "blkio" : controller; }

bool has_any(const ResourceControl& resources) {
  static const ResourceControl none;
  return resources != none;
}

std::optional<std::uint64_t> read_number(const std::string& path) {
  Result<std::string> text = read_file(path, max_file_bytes);
  return text ? parse_number<std::uint64_t>(trim(*text)) : std::nullopt;
}

int write_file(const std::string& path, std::string_view text) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file ? write_all(file.get(), text) : errno;
}

std::string content_of(const std::string& path) {
  Result<std::string> text = read_file(path, max_file_bytes);
  return text ? std::string(trim(*text)) : "";
}

// The whole disk behind a device node or a file: limits are of disks, not of partitions. nullopt where there is none,
// as on a tmpfs or an overlay.
std::optional<std::string> device_behind(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  dev_t device = S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev;
  if (major(device) == 0) return std::nullopt;
  std::string number = std::to_string(major(device)) + ":" + std::to_string(minor(device));
  std::string entry = "/sys/dev/block/" + number;
  if (::access((entry + "/partition").c_str(), F_OK) != 0) return number;
  std::string disk = content_of(entry + "/../dev");
  return disk.empty() ? number : disk;
}

// The physical memory, or less where the group that the agent sees as the root is limited itself, as in a container.
std::uint64_t memory_bytes(const V1Mounts& v1_mounts) {
  auto total = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
               static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  auto memory = v1_mounts.find("memory");
  std::optional<std::uint64_t> limit;
  if (memory != v1_mounts.end()) limit = read_number(memory->second + "/memory.limit_in_bytes");
  return std::min(total, limit.value_or(total));
}

std::uint64_t task_count() {
  std::uint64_t pid_max = read_number("/proc/sys/kernel/pid_max").value_or(32768);
  return std::min(pid_max, read_number("/proc/sys/kernel/threads-max").value_or(pid_max));
}

}  // namespace

LimitKeeper::LimitKeeper(CgroupTree& tree, const V1Mounts& v1_mounts, std::string parent)
    : tree_(tree), v1_mounts_(v1_mounts), parent_(std::move(parent)) {
  for (const std::string& controller : tree_.controllers())
    controllers_.emplace(controller, CgroupVersion::v2);
  for (const auto& [controller, mount] : v1_mounts_) {
    if (::access(mount.c_str(), W_OK) == 0)
      controllers_.try_emplace(std::string(v2_name(controller)), CgroupVersion::v1);
  }
  auto memory = controllers_.find("memory");
  if (memory != controllers_.end() && memory->second == CgroupVersion::v1) oom_notice_.emplace();
}

LimitKeeper::~LimitKeeper() = default;

bool LimitKeeper::is_idle(const Unit& unit) const {
  return !has_any(*unit.resources) && !kept_.contains(unit.name);
}

void LimitKeeper::read_facts(const ResourceControl& resources) {
  if (facts_.memory_bytes == 0) {
    facts_.memory_bytes = memory_bytes(v1_mounts_);
    facts_.tasks = task_count();
    facts_.page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  facts_.devices.clear();
  for (const std::string& path : device_paths(resources)) {
    if (std::optional<std::string> device = device_behind(path)) facts_.devices.emplace(path, *device);
  }
}

void LimitKeeper::lack(std::string_view controller, std::string_view directive, std::string_view why) {
  std::string text = "cgroup " + std::string(controller) + ": " + std::string(directive) +
                     " is not enforced: " + std::string(why);
  if (std::ranges::find(lacks_, text) == lacks_.end()) lacks_.push_back(std::move(text));
}

std::vector<UniqueFd> LimitKeeper::prepare(const Unit& unit, bool is_new, std::optional<Owner> owner) {
  lacks_.clear();
  has_written_ = false;
  if (is_idle(unit)) return {};
  // A v1 group of an earlier agent may hold what nobody knows of.
  if (is_new) remove(unit.name);
  auto [found, is_first] = kept_.try_emplace(unit.name);
  Kept& kept = found->second;
  bool is_as_wanted = !is_first && kept.resources == *unit.resources;
  if (is_as_wanted) {
    lacks_ = kept.lacks;
  } else {
    bring(unit, kept, !is_first);
  }
  if (unit.resources->delegate.is_on && owner && (is_new || !is_as_wanted)) {
    std::string group = tree_.directory_of(unit.name);
    for (const char* file : {"", "/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"}) {
      if (::chown((group + file).c_str(), owner->uid, owner->gid) != 0)
        lack("group", "Delegate=", error_text(errno));
    }
  }
  if (!has_any(*unit.resources)) {
    kept_.erase(found);
    return {};
  }
  std::vector<UniqueFd> entrances;
  for (const std::string& controller : kept.v1_controllers) {
    Result<UniqueFd> procs = open_file(v1_path(unit.name, controller) + "/cgroup.procs", O_WRONLY);
    if (procs) entrances.push_back(std::move(*procs));
  }
  return entrances;
}

void LimitKeeper::adjust(const Unit& unit) {
  lacks_.clear();
  has_written_ = false;
  if (is_idle(unit)) return;
  auto [found, is_first] = kept_.try_emplace(unit.name);
  bring(unit, found->second, !is_first);
  for (const std::string& controller : found->second.v1_controllers) {
    std::string procs = v1_path(unit.name, controller) + "/cgroup.procs";
    for (int round = 0; round < max_move_rounds; ++round) {
      std::vector<std::string_view> inside;
      std::string text = content_of(procs);
      inside = split(text, '\n');
      bool is_any_outside = false;
      for (Pid pid : tree_.processes(unit.name)) {
        std::string number = std::to_string(pid);
        if (std::ranges::find(inside, number) != inside.end()) continue;
        is_any_outside = true;
        (void)write_file(procs, number);  // it may be gone by now
      }
      if (!is_any_outside) break;
    }
  }
  if (!has_any(*unit.resources)) {
    // Its v1 groups stay, without limits, as long as the service does.
    found->second.held.clear();
    if (found->second.v1_controllers.empty()) kept_.erase(found);
  }
}

// `is_known`: what was written to the group before is in `kept`.
void LimitKeeper::bring(const Unit& unit, Kept& kept, bool is_known) {
  const ResourceControl& resources = *unit.resources;
  read_facts(resources);
  std::map<std::string, std::string, std::less<>> not_enabled;  // why, by controller
  for (const std::string& controller : needed_controllers(resources, controllers_)) {
    if (Result<void> enabled = tree_.enable(controller); !enabled)
      not_enabled.emplace(controller, enabled.error().message);
  }
  LimitPlan plan = plan_limits(resources, controllers_, facts_);
  for (const LimitPlan::Lack& missing : plan.lacks)
    lack(missing.controller, missing.directive, missing.why);

  struct Failure {
    const LimitWrite* write;
    std::string why;
  };
  std::vector<LimitWrite> changes = limit_changes(is_known ? kept.plan : LimitPlan{}, plan);
  std::vector<Failure> failures, once_more;
  std::vector<std::string> paths;
  auto make = [&](const LimitWrite& change, std::vector<Failure>& failed) {
    Result<std::string> directory = directory_for(unit.name, kept, change.controller);
    std::string why = directory ? "" : directory.error().message;
    if (!directory || !write(*directory, change, why)) return failed.push_back({&change, why});
    std::string path = *directory + "/" + change.file;
    if (std::ranges::find(paths, path) == paths.end()) paths.push_back(std::move(path));
  };
  for (const LimitWrite& change : changes)
    make(change, once_more);
  // Some may be raised only after others were, or lowered only before.
  for (const Failure& failure : once_more)
    make(*failure.write, failures);
  for (const Failure& failure : failures) {
    const LimitWrite& failed = *failure.write;
    auto is_instead = [&](const LimitWrite& other) {
      bool is_same = other.directive == failed.directive && other.key == failed.key && &other != &failed;
      return is_same && std::ranges::none_of(failures, [&](const Failure& f) { return f.write == &other; });
    };
    if (failed.is_one_of_several && std::ranges::any_of(changes, is_instead)) continue;
    auto cause = not_enabled.find(failed.controller);
    lack(failed.controller, failed.directive, cause != not_enabled.end() ? cause->second : failure.why);
  }

  for (const auto& [controller, why] : not_enabled) {
    if (resources.delegate.is_on) lack(controller, "Delegate=", why);
  }
  has_written_ = true;
  kept.resources = resources;
  kept.plan = std::move(plan);
  kept.lacks = lacks_;
  kept.held.clear();
  for (std::string& path : paths) {
    std::string content = content_of(path);
    kept.held.push_back({std::move(path), std::move(content)});
  }
}

bool LimitKeeper::write(const std::string& directory, const LimitWrite& change, std::string& why) const {
  std::string path = directory + "/" + change.file;
  std::string text = change.text();
  if (change.value == value_of_parent) text = content_of(directory + "/../" + change.file);
  if (text.empty()) text = "\n";  // an empty write changes nothing
  int error_number = write_file(path, text);
  if (error_number == 0) return true;
  why = error_number == ENOENT
            ? "the kernel has no " + change.file
            : "cannot write '" + printable(text) + "' to '" + path + "': " + error_text(error_number);
  return false;
}

Result<std::string> LimitKeeper::directory_for(const std::string& service, Kept& kept,
                                               const std::string& controller) {
  auto version = controllers_.find(v2_name(controller));
  bool is_v1 = version != controllers_.end() && version->second == CgroupVersion::v1;
  if (!is_v1) return tree_.directory_of(service);
  std::string path = v1_path(service, controller);
  if (std::ranges::find(kept.v1_controllers, controller) != kept.v1_controllers.end()) return path;
  if (Result<void> made = make_v1_parent(controller); !made) return std::unexpected(made.error());
  // What an earlier agent left may hold other limits; one that holds processes stays as it is.
  ::rmdir(path.c_str());
  if (::mkdir(path.c_str(), group_mode) != 0 && errno != EEXIST)
    return fail_with_errno("cannot make cgroup '" + path + "'");
  kept.v1_controllers.push_back(controller);
  if (controller == "memory") (void)oom_notice_->watch(path);
  if (controller == "cpuset") {
    // Both sets must hold something before anybody may be in the group.
    for (const char* file : {"cpuset.cpus", "cpuset.mems"})
      (void)write_file(path + "/" + file, content_of(path + "/../" + file));
  }
  return path;
}

Result<void> LimitKeeper::make_v1_parent(const std::string& controller) {
  if (std::ranges::find(v1_parents_, controller) != v1_parents_.end()) return {};
  std::string path = v1_mounts_.find(controller)->second + "/" + parent_;
  if (::mkdir(path.c_str(), group_mode) != 0 && errno != EEXIST)
    return fail_with_errno("cannot make cgroup '" + path + "'");
  if (controller == "cpuset") {
    for (const char* file : {"cpuset.cpus", "cpuset.mems"})
      (void)write_file(path + "/" + file, content_of(path + "/../" + file));
  }
  v1_parents_.push_back(controller);
  return {};
}

std::string LimitKeeper::v1_path(const std::string& service, std::string_view controller) const {
  auto mount = v1_mounts_.find(controller);
  return mount == v1_mounts_.end() ? "" : mount->second + "/" + parent_ + "/" + escape_cgroup_name(service);
}

std::string LimitKeeper::v1_directory(const std::string& service, std::string_view controller) const {
  auto kept = kept_.find(service);
  if (kept == kept_.end()) return "";
  std::string_view name = v1_name(controller);
  bool has_group = std::ranges::find(kept->second.v1_controllers, name) != kept->second.v1_controllers.end();
  return has_group ? v1_path(service, name) : "";
}

std::optional<LimitKeeper::Drift> LimitKeeper::find_drift(const std::string& service) const {
  auto kept = kept_.find(service);
  if (kept == kept_.end()) return std::nullopt;
  for (const Held& held : kept->second.held) {
    std::string content = content_of(held.path);
    if (content == held.content) continue;
    return Drift{
        .file = held.path.substr(held.path.rfind('/') + 1), .wanted = held.content, .found = content};
  }
  return std::nullopt;
}

std::vector<std::string> LimitKeeper::watched_directories(const std::string& service) const {
  std::vector<std::string> directories;
  auto kept = kept_.find(service);
  if (kept == kept_.end()) return directories;
  for (const Held& held : kept->second.held) {
    std::string directory = held.path.substr(0, held.path.rfind('/'));
    if (std::ranges::find(directories, directory) == directories.end())
      directories.push_back(std::move(directory));
  }
  return directories;
}

std::string LimitKeeper::oom_events_path(const std::string& service) const {
  std::string path = tree_.directory_of(service) + "/memory.events";
  bool is_accounted = kept_.contains(service) && ::access(path.c_str(), F_OK) == 0;
  return is_accounted ? path : "";
}

std::optional<std::uint64_t> LimitKeeper::v1_oom_kills(const std::string& service) const {
  std::string directory = v1_directory(service, "memory");
  if (directory.empty()) return std::nullopt;
  std::string text = content_of(directory + "/memory.oom_control");
  for (std::string_view line : split(text, '\n')) {
    static constexpr std::string_view key = "oom_kill ";
    if (!line.starts_with(key)) continue;
    if (auto count = parse_number<std::uint64_t>(line.substr(key.size()))) return count;
  }
  return std::nullopt;
}

void LimitKeeper::remove(const std::string& service) {
  kept_.erase(service);
  for (const std::string& controller : v1_parents_)
    ::rmdir(v1_path(service, controller).c_str());
}

}  // namespace gitproc
