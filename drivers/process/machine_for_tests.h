// For tests of the driver: the real one on the real kernel, with everything of it in a temporary directory, and events
// that are waited for. What does not come in time is an exception, which fails the test.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "drivers/base/system_call.h"
#include "drivers/base/temporary_directory.h"
#include "drivers/cgroup/layout.h"
#include "drivers/process/linux_process_driver.h"
#include "drivers/process/proc_files.h"

namespace gitproc {

inline constexpr ServiceId web{1};
inline constexpr auto deadline = std::chrono::seconds(20);

inline std::optional<std::string> usable_mount() {
  Result<std::string> mounts = read_file("/proc/self/mountinfo", 1 << 20);
  std::optional<std::string> mount = mounts ? find_cgroup2_mount(*mounts) : std::nullopt;
  return mount && ::access(mount->c_str(), W_OK) == 0 ? mount : std::nullopt;
}

// Kills and reaps all that this program has started, orphans too: the driver has made it their subreaper.
inline void end_children() {
  for (std::vector<Pid> children; !(children = children_of(::getpid())).empty();) {
    for (Pid child : children) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, __WALL);
    }
  }
}

inline void remove_group(const std::filesystem::path& group) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(group, ignored)) {
    if (entry.is_directory(ignored)) remove_group(entry);
  }
  ::rmdir(group.c_str());
}

class Machine {
 public:
  explicit Machine(bool with_cgroups, bool with_namespaces = false)
      : refuses_unenforceable(with_namespaces),
        with_cgroups_(with_cgroups),
        with_namespaces_(with_namespaces) {
    ::chmod(directory.path().c_str(), 0755);
    start_agent();
  }
  // Leaves nothing behind, not even of a test that failed half-way.
  ~Machine() {
    driver.reset();
    end_children();
    if (with_cgroups_) remove_group(*usable_mount() + "/" + parent());
  }

  // As if the agent had been killed and started again.
  void start_agent() {
    driver.reset();
    LinuxProcessDriver::Options options;
    options.run_directory = directory.path();
    options.boot_id = "boot";
    options.facts.log_directory = directory.path();
    options.facts.runtime_directory = directory / "run";
    options.facts.tree = "/tree";
    options.facts.journal_socket = journal_socket;
    options.facts.has_pid_namespaces = with_namespaces_;
    options.refuses_unenforceable = refuses_unenforceable;
    if (with_cgroups_) {
      Result<CgroupTree> tree = CgroupTree::open(*usable_mount(), parent());
      if (!tree) throw std::runtime_error(tree.error().message);
      options.cgroups = std::move(*tree);
    }
    Result<std::unique_ptr<LinuxProcessDriver>> opened = LinuxProcessDriver::open(std::move(options));
    if (!opened) throw std::runtime_error(opened.error().message);
    driver = std::move(*opened);
  }

  Spawn command_for(UnitPtr unit, ExecPhase phase = ExecPhase::start, ServiceId service = web) {
    Spawn command{.service = service, .spawn = SpawnId{++spawns_}, .unit = std::move(unit), .phase = phase};
    // Of this test program alone: an adopted service's processes are found by it among all of the machine's, those
    // of tests that run at the same time too.
    Pid self = ::getpid();
    std::memcpy(command.invocation.bytes.data(), &self, sizeof self);
    command.invocation.bytes[15] = static_cast<std::uint8_t>(with_cgroups_);
    return command;
  }
  SpawnOutcome spawn(UnitPtr unit, ExecPhase phase = ExecPhase::start) {
    driver->spawn(command_for(std::move(unit), phase));
    return driver->take_spawned().at(0);
  }
  Pid spawn_pid(UnitPtr unit) {
    SpawnOutcome outcome = spawn(std::move(unit));
    if (const auto* failed = std::get_if<SpawnFailed>(&outcome))
      throw std::runtime_error("not spawned: " + failed->message);
    return std::get<Spawned>(outcome).pid;
  }
  // Waits until that is all that it has printed.
  Pid spawn_until(UnitPtr unit, const std::string& printed) {
    Pid pid = spawn_pid(std::move(unit));
    wait_until([&] { return text_of("web.log") == printed; });
    return pid;
  }

  // Of an agent that spawned the service, did `more` with its PID and was gone: so the service's parent is nobody who
  // could tell of it, and a new agent has to find it.
  AdoptedService adopt_from_dead_agent(const UnitPtr& unit, const std::function<void(Pid)>& more = {}) {
    pid_t agent = ::fork();
    if (agent == 0) {
      SpawnOutcome outcome = spawn(unit);
      const auto* spawned = std::get_if<Spawned>(&outcome);
      if (spawned != nullptr && more) more(spawned->pid);
      ::_exit(spawned != nullptr ? 0 : 1);
    }
    int status = 0;
    ::waitpid(agent, &status, 0);
    if (status != 0) throw std::runtime_error("the agent that was to die did not spawn");
    start_agent();
    std::vector<AdoptedService> adopted = driver->take_adopted();
    if (adopted.size() != 1)
      throw std::runtime_error(std::to_string(adopted.size()) + " services to adopt, not one");
    driver->adopt(web, adopted[0]);
    return adopted[0];
  }

  // The next event of that type; events of other types that come before it are kept.
  template <typename Wanted>
  Wanted wait_for() {
    auto end = std::chrono::steady_clock::now() + deadline;
    for (;;) {
      for (auto i = events.begin(); i != events.end(); ++i) {
        if (auto* wanted = std::get_if<Wanted>(&*i)) {
          Wanted found = std::move(*wanted);
          events.erase(i);
          return found;
        }
      }
      if (std::chrono::steady_clock::now() > end)
        throw std::runtime_error("no such event in time; " + std::to_string(events.size()) + " others");
      wait_for_any();
    }
  }
  void wait_until(const std::function<bool()>& condition) {
    auto end = std::chrono::steady_clock::now() + deadline;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end)
        throw std::runtime_error("the condition did not come true in time");
      pollfd descriptor{.fd = driver->fd(), .events = POLLIN, .revents = 0};
      ::poll(&descriptor, 1, 5);
      if (descriptor.revents != 0) wait_for_any();
    }
  }
  void wait_for_any() {
    pollfd descriptor{.fd = driver->fd(), .events = POLLIN, .revents = 0};
    ::poll(&descriptor, 1, 100);
    for (Event& event : driver->drain())
      events.push_back(std::move(event));
  }
  std::string text_of(const std::string& name) { return read_file(directory / name, 1 << 20).value_or(""); }

  void signal_all(const UnitPtr& unit, Pid main_pid, int signal) {
    driver->kill({.service = web,
                  .unit = unit,
                  .main_pid = main_pid,
                  .whole_group = true,
                  .signal = signal,
                  .awaits_empty = true});
    (void)driver->take_spawned();  // as the agent does in the same turn: signals are sent by then
  }
  void kill_all(const UnitPtr& unit, Pid main_pid) {
    signal_all(unit, main_pid, SIGKILL);
    wait_for<Emptied>();
  }

  TemporaryDirectory directory;
  std::string journal_socket;
  bool refuses_unenforceable;  // with namespaces a test is about them, and wants no less
  std::unique_ptr<LinuxProcessDriver> driver;
  std::vector<Event> events;

 private:
  std::string parent() const { return "gitproc-test-" + std::to_string(::getpid()); }
  bool with_cgroups_;
  bool with_namespaces_;
  std::uint64_t spawns_ = 0;
};

inline Unit shell(const std::string& script) {
  Unit unit;
  unit.name = "web";
  unit.start.push_back({.path = "/bin/sh", .arguments = {"sh", "-c", script}, .expands_environment = false});
  return unit;
}
inline UnitPtr shared(Unit unit) { return std::make_shared<const Unit>(std::move(unit)); }

}  // namespace gitproc
