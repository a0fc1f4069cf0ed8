#include "drivers/process/proc_files.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "drivers/base/system_call.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::size_t max_stat_bytes = 4096;
constexpr std::size_t max_status_bytes = 16 * 1024;
constexpr std::size_t max_cgroup_bytes = 64 * 1024;
constexpr std::size_t max_environ_bytes = 4u << 20;  // beyond what execve(2) takes by default
constexpr std::size_t max_children_bytes = 2u << 20;

std::string proc_path(Pid pid, std::string_view file) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(file);
}

// The names in a directory of /proc that are numbers.
std::vector<Pid> numeric_entries(const std::string& path) {
  std::vector<Pid> numbers;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return numbers;
  while (const dirent* entry = ::readdir(directory)) {
    if (auto number = parse_number<Pid>(entry->d_name)) numbers.push_back(*number);
  }
  ::closedir(directory);
  return numbers;
}

// A directory of /proc has a link for each directory in it, besides its own two: so most processes, with one thread,
// need not be listed.
std::vector<Pid> threads_of(Pid pid) {
  std::string path = proc_path(pid, "task");
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  static constexpr nlink_t links_with_one_thread = 3;
  if (status.st_nlink == links_with_one_thread) return {pid};
  return numeric_entries(path);
}

void append_children(Pid pid, Pid thread, std::vector<Pid>& children) {
  Result<std::string> text =
      read_file(proc_path(pid, "task/" + std::to_string(thread) + "/children"), max_children_bytes);
  if (!text) return;
  for (std::string_view word : split(*text, ' ')) {
    auto child = parse_number<Pid>(word);
    if (child && children.size() < max_listed_children) children.push_back(*child);
  }
}

}  // namespace

std::optional<ProcStat> parse_proc_stat(std::string_view text) {
  std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 > text.size()) return std::nullopt;
  // fields[0] is field 3 of proc(5), the state.
  std::vector<std::string_view> fields = split(trim(text.substr(name_end + 2)), ' ');
  ProcStat stat;
  if (fields.size() < 20 || fields[0].size() != 1) return std::nullopt;
  stat.state = fields[0][0];
  auto parent = parse_number<Pid>(fields[1]), process_group = parse_number<Pid>(fields[2]),
       session = parse_number<Pid>(fields[3]);
  auto start_ticks = parse_number<std::uint64_t>(fields[19]);
  if (!parent || !process_group || !session || !start_ticks) return std::nullopt;
  stat.parent = *parent;
  stat.process_group = *process_group;
  stat.session = *session;
  stat.start_ticks = *start_ticks;
  if (stat.state == 'Z' && fields.size() >= 50) stat.wait_status = parse_number<int>(fields[49]);
  // Where it begins and where it ends. The end is set last by execve(2), and both are 0 where they may not be seen.
  if (fields.size() >= 49) stat.has_empty_environment = fields[47] == fields[48] && fields[48] != "0";
  return stat;
}

std::optional<ProcStat> read_proc_stat(Pid pid) {
  Result<std::string> text = read_file(proc_path(pid, "stat"), max_stat_bytes);
  if (!text) return std::nullopt;
  return parse_proc_stat(*text);
}

std::uint64_t ticks_of(Instant instant) {
  static const std::uint64_t ticks_per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  std::uint64_t usec = static_cast<std::uint64_t>(instant.time_since_epoch().count());
  return usec / 1'000'000 * ticks_per_second + usec % 1'000'000 * ticks_per_second / 1'000'000;
}

std::vector<Pid> children_of(Pid pid) {
  std::vector<Pid> children;
  for (Pid thread : threads_of(pid))
    append_children(pid, thread, children);
  return children;
}

std::vector<Pid> children_of_first_thread(Pid pid) {
  std::vector<Pid> children;
  append_children(pid, pid, children);
  return children;
}

std::string cgroup_of_process(Pid pid, std::string_view v1_controller) {
  Result<std::string> text = read_file(proc_path(pid, "cgroup"), max_cgroup_bytes);
  if (!text) return "";
  for (std::string_view line : split(*text, '\n')) {
    // HIERARCHY:CONTROLLER,...:PATH
    std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    std::vector<std::string_view> controllers = split(line.substr(first + 1, second - first - 1), ',');
    bool is_v2 = line.substr(0, first) == "0";
    bool is_meant =
        v1_controller.empty() ? is_v2 : std::ranges::find(controllers, v1_controller) != controllers.end();
    if (is_meant) return std::string(line.substr(second + 1));
  }
  return "";
}

std::vector<Pid> namespace_pids(Pid pid) {
  std::vector<Pid> numbers;
  Result<std::string> text = read_file(proc_path(pid, "status"), max_status_bytes);
  if (!text) return numbers;
  for (std::string_view line : split(*text, '\n')) {
    static constexpr std::string_view name = "NSpid:";
    if (!line.starts_with(name)) continue;
    for (std::string_view word : split(line.substr(name.size()), '\t')) {
      if (auto number = parse_number<Pid>(word)) numbers.push_back(*number);
    }
    break;
  }
  return numbers;
}

std::uint64_t pid_namespace_of(Pid pid) {
  struct stat status{};
  return ::stat(proc_path(pid, "ns/pid").c_str(), &status) == 0 ? status.st_ino : 0;
}

std::optional<std::string> invocation_of_process(Pid pid) {
  static constexpr std::string_view variable = "INVOCATION_ID=";
  Result<std::string> text = read_file(proc_path(pid, "environ"), max_environ_bytes);
  if (!text) return "";
  for (std::string_view entry : split(*text, '\0')) {
    if (entry.starts_with(variable)) return std::string(entry.substr(variable.size()));
  }
  if (!text->empty()) return "";
  std::optional<ProcStat> stat = read_proc_stat(pid);
  return stat && stat->has_empty_environment ? std::optional(std::string()) : std::nullopt;
}

std::vector<Pid> all_processes() { return numeric_entries("/proc"); }

}  // namespace gitproc
