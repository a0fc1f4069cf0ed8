// packaging/gitproc.service under a real systemd. The story runs as root of a small virtual machine whose PID 1 is
// systemd, where the tool for it is beside the project: it installs files and a unit.
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "e2e/harness.h"

using namespace e2e;

namespace {

const std::string repository = "/etc/gitproc/services";

Outcome systemctl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "systemctl");
  Outcome outcome = run(arguments);
  INFO(outcome.out << outcome.err);
  CHECK(outcome.exit_code == 0);
  return outcome;
}

pid_t agent_pid() {
  return std::atoi(systemctl({"show", "--property=MainPID", "--value", "gitproc"}).out.c_str());
}

// 0 as long as it has none.
pid_t service_pid(const std::string& name) {
  Outcome outcome = run({"/usr/bin/gitproc", "status", name, "--json"});
  Json service = Json::parse(outcome.out, nullptr, false);
  return service.is_object() && service["pid"].is_number() ? service["pid"].get<pid_t>() : 0;
}

std::string systemd_says() {
  return run({"systemctl", "status", "--no-pager", "--full", "gitproc"}).out +
         read_text("/var/log/gitproc/daemon.log");
}

void expect(const std::string& what, const std::function<bool()>& condition) {
  bool has_come = wait_until(condition, std::chrono::minutes(2));
  INFO("waited for " << what << "\n" << systemd_says());
  REQUIRE(has_come);
}

void install() {
  std::filesystem::copy_file(GITPROC_BINARY, "/usr/bin/gitproc",
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(std::string(GITPROC_SOURCE_DIR) + "/packaging/gitproc.service",
                             "/etc/systemd/system/gitproc.service",
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::create_directories(repository);
  write_text(repository + "/web.service",
             "[Service]\nExecStart=/bin/sleep 100000\nMemoryMax=50M\nTasksMax=20\nCPUQuota=50%\n");
  const std::vector<std::string> git = {
      "git", "-C", repository, "-c", "user.name=e2e", "-c", "user.email=e2e@localhost"};
  for (std::vector<std::string> command :
       {std::vector<std::string>{"init", "--quiet", "--initial-branch=main"},
        {"add", "--all"},
        {"commit", "--quiet", "-m", "web"}}) {
    command.insert(command.begin(), git.begin(), git.end());
    Outcome outcome = run(command);
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
  }
  systemctl({"daemon-reload"});
}

}  // namespace

// Not by itself: it would change the machine it runs on.
TEST_CASE("the packaged unit: a story for a machine that is thrown away", "[.systemd]") {
  install();
  systemctl({"start", "gitproc"});
  expect("the service", [] { return service_pid("web") > 0; });
  const pid_t web = service_pid("web");
  const pid_t first_agent = agent_pid();
  REQUIRE(first_agent > 0);

  // In the agent's own subtree beside systemd's slices, with its limits.
  const std::string group = "/sys/fs/cgroup/gitproc/web";
  CHECK(read_text("/proc/" + std::to_string(web) + "/cgroup") == "0::/gitproc/web\n");
  CHECK(read_text(group + "/memory.max") == "52428800\n");
  CHECK(read_text(group + "/pids.max") == "20\n");
  CHECK(read_text(group + "/cpu.max") == "50000 100000\n");
  CHECK(read_text("/proc/" + std::to_string(first_agent) + "/cgroup").find("/system.slice/gitproc.service") !=
        std::string::npos);

  systemctl({"reload", "gitproc"});
  CHECK(agent_pid() == first_agent);

  systemctl({"restart", "gitproc"});
  expect("the service's adoption", [&] { return service_pid("web") == web; });
  const pid_t second_agent = agent_pid();
  CHECK(second_agent != first_agent);

  ::kill(second_agent, SIGKILL);
  expect("another agent", [&] { return agent_pid() > 0 && agent_pid() != second_agent; });
  expect("the service's adoption", [&] { return service_pid("web") == web; });

  systemctl({"stop", "gitproc"});
  CHECK(run({"systemctl", "is-active", "gitproc"}).out == "inactive\n");
  CHECK(is_alive(web));
  CHECK(read_text(group + "/cgroup.procs").find(std::to_string(web) + "\n") != std::string::npos);

  systemctl({"start", "gitproc"});
  expect("the service's adoption", [&] { return service_pid("web") == web; });
  CHECK(run({"/usr/bin/gitproc", "stop", "web"}).exit_code == 0);
  CHECK_FALSE(is_alive(web));
  CHECK(systemctl({"list-units", "--failed", "--no-legend", "gitproc.service"}).out.empty());
}

TEST_CASE("the packaged unit under systemd", "[vm]") {
  const std::string tool = std::string(GITPROC_SOURCE_DIR) + "/../shared/vm/run-in-vm";
  if (::access(tool.c_str(), X_OK) != 0)
    GITPROC_SKIP("no tool for virtual machines at ../shared/vm beside the project");
  std::string self = std::filesystem::read_symlink("/proc/self/exe");
  Outcome outcome = run({tool, "--systemd", "--mem", "2000", "--timeout", "400", "--", self, "[.systemd]"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find("All tests passed") != std::string::npos);
}
