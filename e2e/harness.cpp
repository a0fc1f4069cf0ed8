#include "e2e/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace e2e {
namespace {

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) == 0) {
      read = ends[0];
      write = ends[1];
    }
  }
  ~Pipe() {
    close_read();
    close_write();
  }
  void close_read() {
    if (read >= 0) ::close(std::exchange(read, -1));
  }
  void close_write() {
    if (write >= 0) ::close(std::exchange(write, -1));
  }
};

// fork is fine here: the tests are single-threaded and small.
pid_t spawn(const std::vector<std::string>& command, int in, int out, int err, uid_t user,
            const std::string& home) {
  std::vector<char*> argv;
  for (const std::string& word : command)
    argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  if (user != 0 && (::setgid(user) != 0 || ::setuid(user) != 0)) ::_exit(126);
  if (!home.empty()) ::setenv("HOME", home.c_str(), 1);
  ::setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
  ::unsetenv("XDG_STATE_HOME");
  ::unsetenv("XDG_CONFIG_HOME");
  ::unsetenv("GITPROC_SOCKET");
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

Outcome run_in(const std::vector<std::string>& command, const std::string& input, uid_t user,
               const std::string& home) {
  Pipe in, out, err;
  pid_t pid = spawn(command, in.read, out.write, err.write, user, home);
  in.close_read();
  out.close_write();
  err.close_write();
  Outcome outcome;
  // Inputs are far smaller than a pipe.
  if (!input.empty()) (void)!::write(in.write, input.data(), input.size());
  in.close_write();
  pollfd waited[2] = {{out.read, POLLIN, 0}, {err.read, POLLIN, 0}};
  std::string* texts[2] = {&outcome.out, &outcome.err};
  int open = 2;
  while (open > 0 && ::poll(waited, 2, -1) > 0) {
    for (int i = 0; i < 2; ++i) {
      if (waited[i].revents == 0) continue;
      char buffer[65536];
      ssize_t count = ::read(waited[i].fd, buffer, sizeof buffer);
      if (count > 0) {
        texts[i]->append(buffer, static_cast<std::size_t>(count));
      } else {
        waited[i].fd = -1;
        --open;
      }
    }
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  outcome.exit_code = exit_code_of(status);
  return outcome;
}

}  // namespace

Outcome run(const std::vector<std::string>& command, const std::string& input, uid_t user) {
  return run_in(command, input, user, "");
}

bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  auto end = std::chrono::steady_clock::now() + limit;
  // Looking costs a process each time, so it is done with growing pauses.
  std::chrono::milliseconds pause{2};
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(50));
  }
  return true;
}

bool is_alive(pid_t pid) {
  std::string stat = read_text("/proc/" + std::to_string(pid) + "/stat");
  std::size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.size() > name_end + 2 && stat[name_end + 2] != 'Z' &&
         stat[name_end + 2] != 'X';
}

double cpu_seconds(pid_t pid) {
  std::string stat = read_text("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string field;
  unsigned long user = 0, system = 0;
  for (int i = 3; i < 14; ++i)
    fields >> field;
  fields >> user >> system;
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

Sandbox::Sandbox(uid_t user) : user_(user) {
  std::string pattern = (std::filesystem::temp_directory_path() / "gitproc-e2e-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a folder for the test");
  folder_ = pattern;
  ::chmod(folder_.c_str(), 0755);
  std::filesystem::create_directories(repo());
  if (user_ != 0) (void)(::chown(folder_.c_str(), user_, user_) + ::chown(repo().c_str(), user_, user_));
  git({"init", "-q", "-b", "main"});
  git({"config", "user.name", "Test"});
  git({"config", "user.email", "test@example.org"});
}

Sandbox::~Sandbox() {
  // An agent that was killed has left its services: another one takes them down.
  bool has_left_services = agent_ <= 0 && std::filesystem::exists(path("run/runs.journal"));
  if (has_left_services) {
    int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    agent_ = spawn(agent_command({}), null, null, null, user_, folder_);
    ::close(null);
    (void)wait_until([this] { return !is_agent_alive() || cli({"status"}).exit_code == 0; });
  }
  if (agent_ > 0) stop_agent();
  std::error_code ignored;
  if (std::getenv("GITPROC_KEEP") == nullptr) std::filesystem::remove_all(folder_, ignored);
  // The cgroups of this sandbox's agents, in each hierarchy that has one; its services are gone by now.
  std::vector<std::string> mounts = {"/sys/fs/cgroup"};
  for (const auto& entry : std::filesystem::directory_iterator("/sys/fs/cgroup", ignored))
    mounts.push_back(entry.path());
  for (const std::string& mount : mounts) {
    std::string parent = mount + "/" + std::filesystem::path(folder_).filename().string();
    if (!std::filesystem::exists(parent + "/cgroup.procs")) continue;
    for (const auto& entry : std::filesystem::directory_iterator(parent, ignored)) {
      if (entry.is_directory()) ::rmdir(entry.path().c_str());
    }
    ::rmdir(parent.c_str());
  }
}

Outcome Sandbox::git(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"git", "-C", repo()});
  Outcome outcome = run_in(arguments, "", user_, folder_);
  INFO("git " << arguments[3] << ": " << outcome.err);
  CHECK(outcome.exit_code == 0);
  return outcome;
}

void Sandbox::remove(const std::string& file) { std::filesystem::remove_all(repo() + "/" + file); }

std::string Sandbox::commit(const std::string& message) {
  if (user_ != 0) run({"chown", "-R", std::to_string(user_) + ":" + std::to_string(user_), repo()});
  git({"add", "-A"});
  git({"commit", "-q", "--allow-empty", "-m", message});
  return head();
}

std::string Sandbox::head() {
  std::string hash = git({"rev-parse", "HEAD"}).out;
  return hash.substr(0, hash.find('\n'));
}

std::vector<std::string> Sandbox::agent_command(std::vector<std::string> more) const {
  std::vector<std::string> command = {
      GITPROC_BINARY, "agent",
      "--repo",       repo(),
      "--state-dir",  path("state"),
      "--log-dir",    path("log"),
      "--run-dir",    path("run"),
      "--socket",     path("sock"),
      "--set",        "cgroup.parent=" + std::filesystem::path(folder_).filename().string(),
      "--set",        "on_exit=stop"};
  command.insert(command.begin(), launcher_.begin(), launcher_.end());
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

void Sandbox::start_agent(std::vector<std::string> more) {
  std::filesystem::create_directories(folder_);
  int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  int out = ::open(path("agent.out").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  agent_ = spawn(agent_command(std::move(more)), null, out, out, user_, folder_);
  ::close(null);
  ::close(out);
  expect("the agent to answer", [this] { return !is_agent_alive() || cli({"status"}).exit_code == 0; });
  INFO(read_text(path("agent.out")));
  REQUIRE(is_agent_alive());
}

Outcome Sandbox::run_agent_to_its_end(std::vector<std::string> more) {
  return run_in(agent_command(std::move(more)), "", user_, folder_);
}

void Sandbox::kill_agent(int signal) {
  ::kill(agent_, signal);
  ::waitpid(std::exchange(agent_, -1), nullptr, 0);
}

int Sandbox::stop_agent(int signal) {
  ::kill(agent_, signal);
  int status = 0;
  ::waitpid(std::exchange(agent_, -1), &status, 0);
  return exit_code_of(status);
}

Outcome Sandbox::cli(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), GITPROC_BINARY);
  arguments.push_back("--socket");
  arguments.push_back(path("sock"));
  return run_in(arguments, "", user_, folder_);
}

Json Sandbox::cli_json(std::vector<std::string> arguments) {
  arguments.push_back("--json");
  Outcome outcome = cli(std::move(arguments));
  Json parsed = Json::parse(outcome.out, nullptr, false);
  INFO(outcome.out << outcome.err);
  REQUIRE_FALSE(parsed.is_discarded());
  return parsed;
}

Json Sandbox::service(const std::string& name) {
  Json list = cli_json({"list"});
  for (const Json& service : list["services"]) {
    if (service["name"] == name) return service;
  }
  return nullptr;
}

std::string Sandbox::state(const std::string& name) {
  Json found = service(name);
  return found.is_null() ? "(none)" : found["state"].get<std::string>();
}

pid_t Sandbox::pid(const std::string& name) {
  Json found = service(name);
  return found.is_null() || !found["pid"].is_number() ? 0 : found["pid"].get<pid_t>();
}

int Sandbox::connect() {
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string socket_path = path("sock");
  std::copy(socket_path.begin(), socket_path.end(), address.sun_path);
  REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

std::string Sandbox::ask(const std::string& line) {
  int fd = connect();
  std::string text = line + "\n", answer;
  // A peer that refuses what is too long closes before all of it is written.
  for (std::size_t sent = 0; sent < text.size();) {
    ssize_t count = ::send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) break;
    sent += static_cast<std::size_t>(count);
  }
  char byte = 0;
  while (::read(fd, &byte, 1) == 1 && byte != '\n')
    answer += byte;
  ::close(fd);
  return answer;
}

void Sandbox::expect(const std::string& what, const std::function<bool()>& condition) {
  bool has_come = wait_until(condition);
  INFO("waited for " << what);
  if (!has_come) {
    UNSCOPED_INFO("agent's log:\n" << agent_log());
    if (agent_ > 0) UNSCOPED_INFO("status: " << cli({"status"}).out << cli({"list"}).out);
  }
  REQUIRE(has_come);
}

void Sandbox::expect_state(const std::string& name, const std::string& state_name) {
  expect(name + " to be " + state_name, [&] { return state(name) == state_name; });
}

void Sandbox::expect_sync(const std::string& sync) {
  expect("the node to be " + sync, [&] { return status()["sync"] == sync; });
}

void Sandbox::expect_applied(const std::string& commit) {
  expect("commit " + commit + " to be applied", [&] {
    Json now = status();
    return now["applied_commit"] == commit && now["sync"] != "progressing";
  });
}

std::string counting_unit(const std::string& file, const std::string& argument, const std::string& more) {
  return "[Service]\nExecStart=/bin/sh -c 'echo " + argument + " $$$$ >> " + file + "; exec sleep 1000'\n" +
         "PrivatePIDs=no\n" + more;
}

}  // namespace e2e
