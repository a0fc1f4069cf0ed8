#include "bench/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "bench/stamps.h"

namespace gitproc::bench {
namespace {

constexpr uid_t nobody = 65534;

std::string read_whole(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<pid_t> all_pids() {
  std::vector<pid_t> pids;
  DIR* proc = ::opendir("/proc");
  while (const dirent* entry = ::readdir(proc)) {
    if (const pid_t pid = std::atoi(entry->d_name); pid > 0) pids.push_back(pid);
  }
  ::closedir(proc);
  return pids;
}

std::vector<std::string> arguments_of(pid_t pid) {
  std::istringstream text(read_whole("/proc/" + std::to_string(pid) + "/cmdline"));
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(text, argument, '\0');)
    arguments.push_back(argument);
  return arguments;
}

pid_t parent_of(pid_t pid) {
  const std::string stat = read_whole("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t end_of_name = stat.rfind(')');
  if (end_of_name == std::string::npos) return -1;
  return std::atoi(stat.c_str() + std::min(stat.size(), end_of_name + 4));
}

// The number after "key:" in a file such as status or smaps_rollup; 0 where there is none.
std::uint64_t field(const std::string& text, const std::string& key) {
  const std::size_t at = text.find("\n" + key + ":");
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + key.size() + 2, nullptr, 10);
}

struct CpuTimes {
  double own_seconds = 0;
  double children_seconds = 0;  // of those that have ended and were waited for
};

CpuTimes cpu_times_of(pid_t pid) {
  const std::string stat = read_whole("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
  std::string skipped;
  for (int number = 3; number < 14; ++number)
    fields >> skipped;
  double user = 0, system = 0, children_user = 0, children_system = 0;
  fields >> user >> system >> children_user >> children_system;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return {.own_seconds = (user + system) / ticks,
          .children_seconds = (children_user + children_system) / ticks};
}

[[noreturn]] void become(const Program& program, int input) {
  const char* output = program.output.empty() ? "/dev/null" : program.output.c_str();
  const int out = ::open(output, O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(input, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::close_range(3, ~0u, 0);
  ::setsid();
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (program.as_nobody && (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0)) {
    ::_exit(126);
  }
  if (!program.folder.empty() && ::chdir(program.folder.c_str()) != 0) ::_exit(126);
  ::setenv("HOME", program.folder.c_str(), 1);
  ::setenv("XDG_RUNTIME_DIR", program.folder.c_str(), 1);
  ::unsetenv("XDG_CONFIG_HOME");
  ::unsetenv("XDG_STATE_HOME");
  ::unsetenv("NOTIFY_SOCKET");
  std::vector<char*> argv;
  argv.reserve(program.argv.size() + 1);
  for (const std::string& argument : program.argv)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

pid_t fork_program(const Program& program, int input) {
  const pid_t pid = ::fork();
  if (pid == 0) become(program, input);
  if (pid == -1) throw std::runtime_error("cannot fork: " + std::string(std::strerror(errno)));
  return pid;
}

int exit_status_of(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) == -1 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

pid_t start_program(const Program& program) {
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t pid = fork_program(program, null);
  ::close(null);
  return pid;
}

int run_program(const Program& program) { return exit_status_of(start_program(program)); }

void feed_program(const Program& program, const std::string& input) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  const pid_t pid = fork_program(program, pipe[0]);
  ::close(pipe[0]);
  std::size_t written = 0;
  while (written < input.size()) {
    const ssize_t size = ::write(pipe[1], input.data() + written, input.size() - written);
    if (size <= 0) break;
    written += static_cast<std::size_t>(size);
  }
  ::close(pipe[1]);
  if (const int status = exit_status_of(pid); status != 0) {
    throw std::runtime_error(program.argv[0] + " ended with " + std::to_string(status) + "; see " +
                             program.output);
  }
}

void await_program(pid_t pid, std::int64_t deadline) {
  while (::waitpid(pid, nullptr, WNOHANG) == 0) {
    if (monotonic_now() > deadline) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
      return;
    }
    ::usleep(1000);
  }
}

double cpu_seconds_with_children(pid_t pid) {
  const CpuTimes times = cpu_times_of(pid);
  return times.own_seconds + times.children_seconds;
}

bool is_on_path(const std::string& name) {
  std::istringstream folders(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + "/" + name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

std::map<std::uint64_t, pid_t> find_services(const std::string& pause, const std::string& fifo) {
  std::map<std::uint64_t, pid_t> services;
  for (pid_t pid : all_pids()) {
    const std::vector<std::string> arguments = arguments_of(pid);
    if (arguments.size() < 2 || arguments[0] != pause || !arguments[1].ends_with("," + fifo)) continue;
    services[std::strtoull(arguments[1].c_str(), nullptr, 10)] = pid;
  }
  return services;
}

Footprint footprint(pid_t supervisor, const std::string& pause) {
  std::multimap<pid_t, pid_t> children;
  for (pid_t pid : all_pids())
    children.emplace(parent_of(pid), pid);
  Footprint sum;
  std::vector<pid_t> pending = {supervisor};
  while (!pending.empty()) {
    const pid_t pid = pending.back();
    pending.pop_back();
    const auto [begin, end] = children.equal_range(pid);
    for (auto child = begin; child != end; ++child)
      pending.push_back(child->second);
    const std::vector<std::string> arguments = arguments_of(pid);
    if (!arguments.empty() && arguments[0] == pause) continue;
    const std::string proc = "/proc/" + std::to_string(pid);
    sum.cpu_seconds += cpu_times_of(pid).own_seconds;
    sum.pss_bytes += field(read_whole(proc + "/smaps_rollup"), "Pss") * 1024;
    std::error_code ignored;
    for (const auto& thread : std::filesystem::directory_iterator(proc + "/task", ignored)) {
      const std::string status = read_whole(thread.path().string() + "/status");
      sum.context_switches +=
          field(status, "voluntary_ctxt_switches") + field(status, "nonvoluntary_ctxt_switches");
    }
  }
  return sum;
}

std::optional<std::string> cgroup_root() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, folder, type;
    words >> device >> folder >> type;
    if (type == "cgroup2" && ::geteuid() == 0 && ::access(folder.c_str(), W_OK) == 0) return folder;
  }
  return std::nullopt;
}

}  // namespace gitproc::bench
