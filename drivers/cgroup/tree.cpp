#include "drivers/cgroup/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "drivers/base/system_call.h"
#include "drivers/cgroup/layout.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr mode_t group_mode = 0755;
constexpr std::size_t max_file_bytes = 4u << 20;
// A service may make groups of its own; deeper ones than this are left to it.
constexpr int max_depth = 16;
// A service's group never begins with a dot: see escape_cgroup_name.
constexpr const char* inits_name = ".inits";

Result<UniqueFd> open_group(int directory_fd, const std::string& name) {
  return open_file_at(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Result<std::string> read_group_file(int group_fd, const char* name) {
  Result<UniqueFd> file = open_file_at(group_fd, name, O_RDONLY | O_NOFOLLOW);
  if (!file) return std::unexpected(file.error());
  return read_descriptor(file->get(), max_file_bytes, name);
}

// The value behind "KEY " in a flat keyed file.
std::optional<std::uint64_t> keyed_value(std::string_view text, std::string_view key) {
  for (std::string_view line : split(text, '\n')) {
    if (!line.starts_with(key) || !line.substr(key.size()).starts_with(' ')) continue;
    if (auto value = parse_number<std::uint64_t>(line.substr(key.size() + 1))) return value;
  }
  return std::nullopt;
}

std::vector<std::string> subgroups(int group_fd) {
  std::vector<std::string> names;
  // A group has a link for each group in it, besides its own two: most need not be listed.
  struct stat status{};
  if (::fstat(group_fd, &status) == 0 && status.st_nlink == 2) return names;
  UniqueFd copy(::openat(group_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* directory = copy ? ::fdopendir(copy.get()) : nullptr;
  if (directory == nullptr) return names;
  copy.release();
  while (const dirent* entry = ::readdir(directory)) {
    std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(directory);
  return names;
}

// Sorted.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (std::string_view word : split(trim(text), ' ')) {
    if (!word.empty()) words.emplace_back(word);
  }
  std::ranges::sort(words);
  return words;
}

void list_processes(int group_fd, std::vector<Pid>& pids) {
  if (Result<std::string> text = read_group_file(group_fd, "cgroup.procs")) {
    for (std::string_view line : split(*text, '\n')) {
      // 0 stands for a process of another PID namespace.
      Pid pid = parse_number<Pid>(line).value_or(0);
      if (pid > 0 && pids.size() < CgroupTree::max_processes) pids.push_back(pid);
    }
  }
}

void collect_processes(int group_fd, int depth, std::vector<Pid>& pids) {
  list_processes(group_fd, pids);
  if (depth == max_depth) return;
  for (const std::string& name : subgroups(group_fd)) {
    if (Result<UniqueFd> below = open_group(group_fd, name)) collect_processes(below->get(), depth + 1, pids);
  }
}

void remove_subgroups(int group_fd, int depth) {
  if (depth == max_depth) return;
  for (const std::string& name : subgroups(group_fd)) {
    if (Result<UniqueFd> below = open_group(group_fd, name)) remove_subgroups(below->get(), depth + 1);
    ::unlinkat(group_fd, name.c_str(), AT_REMOVEDIR);  // a group in use makes removing its parent fail, too
  }
}

}  // namespace

Result<CgroupTree> CgroupTree::open(const std::string& mount, const std::string& parent,
                                    const std::string& top) {
  CgroupTree tree;
  tree.mount_ = mount;
  tree.top_ = top;
  tree.parent_ = top + "/" + parent;
  std::string path = mount + tree.parent_;
  if (Result<void> made = make_directories(path, group_mode); !made) return std::unexpected(made.error());
  Result<UniqueFd> directory = open_group(AT_FDCWD, path);
  if (!directory) return std::unexpected(directory.error());
  if (retry_on_interrupt([&] { return ::flock(directory->get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno == EWOULDBLOCK) return fail("another agent uses the cgroup '" + path + "'", ErrorCode::busy);
    return fail_with_errno("cannot lock '" + path + "'");
  }
  // That it is ours to fill is better known now than at the first start.
  if (::faccessat(directory->get(), ".", W_OK, AT_EACCESS) != 0)
    return fail_with_errno("cannot write to '" + path + "'");
  tree.directory_ = std::move(*directory);
  return tree;
}

Result<CgroupTree> CgroupTree::open_below(const std::string& mount, const std::vector<std::string>& tops,
                                          const std::string& parent) {
  std::optional<Error> first;
  for (const std::string& top : tops) {
    // Whoever moves a process needs this right at the group that both places have in common (cgroups(7)).
    bool may_move = ::access((mount + top + "/cgroup.procs").c_str(), W_OK) == 0;
    Result<CgroupTree> tree = may_move ? open(mount, parent, top)
                                       : fail_with_errno("cannot use cgroup '" + mount + top + "'", EACCES);
    if (tree || tree.error().code == ErrorCode::busy) return tree;
    if (!first) first = tree.error();
  }
  return std::unexpected(first.value_or(Error{"the agent's own cgroup is not in the tree that is mounted"}));
}

Result<CgroupTree> CgroupTree::open_v1(const std::string& freezer_mount, const std::string& parent) {
  Result<CgroupTree> tree = open(freezer_mount, parent);
  if (tree) tree->is_v1_ = true;
  return tree;
}

std::vector<std::string> CgroupTree::controllers() const {
  Result<std::string> text = read_file(mount_ + top_ + "/cgroup.controllers", max_file_bytes);
  return text ? words_of(*text) : std::vector<std::string>();
}

Result<void> CgroupTree::enable(const std::string& controller) {
  if (enabled_.contains(controller)) return {};
  for (const std::string& group : {top_, parent_}) {
    std::string path = mount_ + group + "/cgroup.subtree_control";
    Result<std::string> text = read_file(path, max_file_bytes);
    if (!text) return std::unexpected(text.error());
    if (std::ranges::binary_search(words_of(*text), controller)) continue;
    Result<UniqueFd> file = open_file(path, O_WRONLY);
    if (!file) return std::unexpected(file.error());
    // Controllers of threads could be enabled all the same, but would make the groups below unfit for processes.
    bool is_root = ::access((mount_ + group + "/cgroup.type").c_str(), F_OK) != 0;
    if (group == top_ && !is_root) {
      if (Result<void> moved = clear_top(); !moved) return moved;
    }
    if (int error_number = write_all(file->get(), "+" + controller); error_number != 0) {
      return fail_with_errno("cannot enable controller " + controller + " in '" + path + "'", error_number);
    }
  }
  enabled_.insert(controller);
  return {};
}

// Moves the processes of the top, which may make more of them meanwhile, to a group of their own. One that is about to
// be gone is not moved by the kernel, which says nothing of it, and needs some time of the processor to go: half a
// second in all, once in the agent's life.
Result<void> CgroupTree::clear_top() {
  static constexpr int max_rounds = 32;
  std::string leaf = mount_ + parent_ + "-rest";
  Result<UniqueFd> from = open_group(AT_FDCWD, mount_ + top_);
  if (!from) return std::unexpected(from.error());
  std::vector<Pid> present;
  list_processes(from->get(), present);
  if (present.empty()) return {};
  if (Result<void> made = make_directories(leaf, group_mode); !made) return made;
  for (int round = 0; round < max_rounds; ++round) {
    std::vector<Pid> pids;
    list_processes(from->get(), pids);
    if (pids.empty()) return {};
    if (round > 1) ::poll(nullptr, 0, round);  // milliseconds
    for (Pid pid : pids) {
      Result<UniqueFd> procs = open_file(leaf + "/cgroup.procs", O_WRONLY);
      if (!procs) return std::unexpected(procs.error());
      // It may be gone by now.
      (void)write_all(procs->get(), std::to_string(pid));
    }
  }
  return fail("cannot move the processes of cgroup '" + mount_ + top_ + "' to '" + leaf + "'");
}

// The group of that name, made where it is missing.
Result<CgroupTree::Entrance> CgroupTree::enter_group(const std::string& name) {
  Entrance entrance{.group = {}, .is_new = false, .joins_after_birth = is_v1_};
  entrance.is_new = ::mkdirat(directory_.get(), name.c_str(), group_mode) == 0;
  if (!entrance.is_new && errno != EEXIST)
    return fail_with_errno("cannot make cgroup '" + parent_ + "/" + name + "'");
  Result<UniqueFd> group = open_group(directory_.get(), name);
  if (!group) return std::unexpected(group.error());
  entrance.group = std::move(*group);
  return entrance;
}

Result<CgroupTree::Entrance> CgroupTree::enter_inits() { return enter_group(inits_name); }

void CgroupTree::remove_inits() { ::unlinkat(directory_.get(), inits_name, AT_REMOVEDIR); }

// Who is frozen cannot fork, so that none is missed. One that does not freeze, in a system call that does not end, is
// signalled like the others and not waited for.
void CgroupTree::kill_frozen(int group_fd) {
  static constexpr int max_rounds = 32;
  auto set_state = [group_fd](std::string_view state) {
    Result<UniqueFd> file = open_file_at(group_fd, "freezer.state", O_WRONLY);
    if (file) (void)write_all(file->get(), state);
  };
  set_state("FROZEN");
  std::set<Pid> done;
  for (int round = 0; round < max_rounds; ++round) {
    std::vector<Pid> pids;
    collect_processes(group_fd, 0, pids);
    bool is_any_new = false;
    for (Pid pid : pids) {
      if (!done.insert(pid).second) continue;
      is_any_new = true;
      ::kill(pid, SIGKILL);
    }
    if (!is_any_new) break;
  }
  set_state("THAWED");
}

Result<CgroupTree::Entrance> CgroupTree::enter(const std::string& service) {
  if (is_v1_) return enter_group(escape_cgroup_name(service));
  std::string name = escape_cgroup_name(service);
  Entrance entrance;
  auto make = [&] {
    entrance.is_new = ::mkdirat(directory_.get(), name.c_str(), group_mode) == 0;
    if (entrance.is_new) unharmed_.insert(service);
    return entrance.is_new;
  };
  // Most services start in a group that is not there yet: so making it comes first. One that is there may have been
  // killed by an agent before this one.
  if (!unharmed_.contains(service) && !make()) {
    if (errno != EEXIST) return fail_with_errno("cannot make cgroup '" + path_of(service) + "'");
    entrance.joins_after_birth = !remove(service);
  }
  Result<UniqueFd> group = open_group(directory_.get(), name);
  if (!group && group.error().code == ErrorCode::not_found) {
    if (!make()) return fail_with_errno("cannot make cgroup '" + path_of(service) + "'");
    entrance.joins_after_birth = false;
    group = open_group(directory_.get(), name);
  }
  if (!group) return std::unexpected(group.error());
  entrance.group = std::move(*group);
  return entrance;
}

Result<CgroupTree::Entrance> CgroupTree::enter_below(const std::string& service, const std::string& name) {
  Result<Entrance> entrance = enter(service);
  if (!entrance) return entrance;
  if (::mkdirat(entrance->group.get(), name.c_str(), group_mode) != 0 && errno != EEXIST)
    return fail_with_errno("cannot make cgroup '" + path_of(service) + "/" + name + "'");
  Result<UniqueFd> group = open_group(entrance->group.get(), name);
  if (!group) return std::unexpected(group.error());
  entrance->group = std::move(*group);
  return entrance;
}

bool CgroupTree::is_populated(const std::string& service) const {
  Result<UniqueFd> group = open_group(directory_.get(), escape_cgroup_name(service));
  if (!group) return false;
  if (is_v1_) return !processes(service).empty();
  Result<std::string> text = read_group_file(group->get(), "cgroup.events");
  return text && keyed_value(*text, "populated").value_or(0) != 0;
}

std::string CgroupTree::events_path(const std::string& service) const {
  return mount_ + path_of(service) + "/cgroup.events";
}

std::vector<Pid> CgroupTree::processes(const std::string& service) const {
  std::vector<Pid> pids;
  if (Result<UniqueFd> group = open_group(directory_.get(), escape_cgroup_name(service))) {
    collect_processes(group->get(), 0, pids);
  }
  return pids;
}

std::vector<Pid> processes_of_group(const std::string& directory) {
  std::vector<Pid> pids;
  if (Result<UniqueFd> group = open_group(AT_FDCWD, directory)) collect_processes(group->get(), 0, pids);
  return pids;
}

bool CgroupTree::kill_all(const std::string& service) {
  Result<UniqueFd> group = open_group(directory_.get(), escape_cgroup_name(service));
  if (!group) return true;
  if (is_v1_) return kill_frozen(group->get()), true;
  Result<UniqueFd> file = open_file_at(group->get(), "cgroup.kill", O_WRONLY);
  unharmed_.erase(service);
  return file && write_all(file->get(), "1") == 0;
}

std::optional<std::uint64_t> CgroupTree::oom_kills(const std::string& service) const {
  Result<UniqueFd> group = open_group(directory_.get(), escape_cgroup_name(service));
  if (!group) return std::nullopt;
  Result<std::string> text = read_group_file(group->get(), "memory.events");
  return text ? keyed_value(*text, "oom_kill") : std::nullopt;
}

Result<void> CgroupTree::remove(const std::string& service) {
  std::string name = escape_cgroup_name(service);
  auto is_gone = [&] {
    return ::unlinkat(directory_.get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT;
  };
  if (!is_gone()) {
    if (Result<UniqueFd> group = open_group(directory_.get(), name)) remove_subgroups(group->get(), 0);
    if (!is_gone()) return fail_with_errno("cannot remove cgroup '" + path_of(service) + "'");
  }
  unharmed_.erase(service);
  return {};
}

std::string CgroupTree::path_of(const std::string& service) const {
  return parent_ + "/" + escape_cgroup_name(service);
}

std::string CgroupTree::service_of(const std::string& cgroup_path) const {
  // Where the agent sees only a part of the tree (a cgroup namespace), paths begin at that part's root.
  if (!cgroup_path.starts_with(parent_ + "/")) return "";
  std::string_view rest = std::string_view(cgroup_path).substr(parent_.size() + 1);
  return std::string(unescape_cgroup_name(rest.substr(0, rest.find('/'))));
}

}  // namespace gitproc
