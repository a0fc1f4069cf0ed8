// PID namespaces as a user sees them: as root they are the default of Type=simple, exec and notify.
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "e2e/harness.h"

using namespace e2e;

namespace {

// The numbers of a process from this program's PID namespace to its innermost one.
std::vector<pid_t> numbers_of(pid_t pid) {
  std::vector<pid_t> numbers;
  std::string status = read_text("/proc/" + std::to_string(pid) + "/status");
  std::size_t at = status.find("NSpid:");
  if (at == std::string::npos) return numbers;
  std::string line = status.substr(at + 6, status.find('\n', at) - at - 6);
  for (std::size_t i = 0; i < line.size();) {
    std::size_t end = line.find_first_not_of("0123456789", i);
    if (end != i) numbers.push_back(std::stoi(line.substr(i, end - i)));
    i = end == std::string::npos ? line.size() : end + (end == i ? 1 : 0);
  }
  return numbers;
}

std::string namespace_of(pid_t pid) {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/ns/pid", ignored);
}

// All processes of that PID namespace.
std::vector<pid_t> processes_in(const std::string& name) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::string number = entry.path().filename();
    if (number.find_first_not_of("0123456789") != std::string::npos) continue;
    if (namespace_of(std::stoi(number)) == name) found.push_back(std::stoi(number));
  }
  return found;
}

// Without those that only wait to be reaped by somebody's parent.
std::size_t living_in(const std::string& name) {
  std::size_t count = 0;
  for (pid_t pid : processes_in(name))
    count += is_alive(pid) ? 1 : 0;
  return count;
}

bool has_namespaces(Sandbox& box) {
  for (const Json& lack : box.status()["unavailable"])
    if (lack.get<std::string>().find("PID namespace") != std::string::npos) return false;
  return ::geteuid() == 0;
}

#define NEED_NAMESPACES(box) \
  if (!has_namespaces(box)) GITPROC_SKIP("needs root, and a kernel that allows PID namespaces")

}  // namespace

TEST_CASE("a service runs behind an init in a PID namespace, and everything outside speaks of the service",
          "[namespaces]") {
  Sandbox box;
  box.write("web.service",
            "[Service]\nExecStart=/bin/sh -c 'trap \"echo reloaded\" HUP; (setsid true &); (setsid true &); "
            "echo I am $$$$ under $(cat /proc/1/comm); while :; do sleep 0.05; done'\n"
            "ExecReload=/bin/kill -HUP $MAINPID\n");
  box.write("plain.service", "[Service]\nExecStart=/bin/sleep 1000\nPrivatePIDs=no\n");
  box.write("forker.service", "[Service]\nType=forking\nExecStart=/bin/sh -c 'sleep 1000 &'\n");
  box.commit();
  box.start_agent();
  box.expect_state("web", "running");
  box.expect_state("plain", "running");
  box.expect_state("forker", "running");
  NEED_NAMESPACES(box);
  pid_t pid = box.pid("web");
  CHECK(numbers_of(pid) == std::vector<pid_t>{pid, 2});
  CHECK(namespace_of(box.pid("plain")) == namespace_of(::getpid()));
  CHECK(namespace_of(box.pid("forker")) == namespace_of(::getpid()));
  box.expect("the service to see its own number", [&] {
    return box.cli({"logs", "web"}).out.find("I am 2 under gitproc-init\n") != std::string::npos;
  });
  CHECK(box.cli({"reload", "web"}).exit_code == 0);
  box.expect("the signal to arrive",
             [&] { return box.cli({"logs", "web"}).out.find("reloaded\n") != std::string::npos; });
  // Init, shell and its sleep: what was orphaned has been reaped.
  box.expect("no zombies", [&] {
    for (pid_t each : processes_in(namespace_of(pid)))
      if (!is_alive(each)) return false;
    return processes_in(namespace_of(pid)).size() <= 3;
  });
}

TEST_CASE("exit codes and signals of services in PID namespaces are theirs", "[namespaces]") {
  Sandbox box;
  box.write("code.service", "[Service]\nExecStart=/bin/sh -c 'exit 42'\n");
  box.write("signal.service", "[Service]\nExecStart=/bin/sh -c 'kill -KILL $$$$'\n");
  box.write("clean.service", "[Service]\nExecStart=/bin/true\n");
  box.commit();
  box.start_agent();
  box.expect_state("code", "failed");
  box.expect_state("signal", "failed");
  box.expect_state("clean", "stopped");
  CHECK(box.service("code")["exit_code"] == 42);
  CHECK(box.service("code")["result"] == "exit-code");
  CHECK(box.service("signal")["exit_signal"] == "SIGKILL");
  CHECK(box.service("signal")["result"] == "signal");
  CHECK(box.service("clean")["result"] == "success");
}

TEST_CASE("notify messages from a PID namespace name the right main process", "[namespaces]") {
  if (run({"python3", "-c", "pass"}).exit_code != 0) GITPROC_SKIP("python3 is not installed");
  Sandbox box;
  write_text(box.path("daemon.py"),
             "import os, signal, socket\n"
             "child = os.fork()\n"
             "if child == 0:\n"
             "    signal.pause()\n"
             "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
             "s.sendto(b'READY=1\\nMAINPID=%d' % child, os.environ['NOTIFY_SOCKET'])\n"
             "signal.pause()\n");
  box.write("web.service", "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/usr/bin/python3 " +
                               box.path("daemon.py") + "\n");
  box.commit();
  box.start_agent();
  box.expect_state("web", "running");
  NEED_NAMESPACES(box);
  std::vector<pid_t> numbers = numbers_of(box.pid("web"));
  REQUIRE(numbers.size() == 2);
  CHECK(numbers[1] == 3);
}

TEST_CASE("services in PID namespaces outlive the agent and are adopted", "[namespaces]") {
  Sandbox box;
  box.write("web.service", counting_unit(box.path("starts"), "1", "PrivatePIDs=yes\n"));
  box.commit();
  box.start_agent();
  box.expect_state("web", "running");
  pid_t pid = box.pid("web");
  std::string name = namespace_of(pid);
  box.kill_agent();
  box.start_agent();
  box.expect_state("web", "running");
  CHECK(box.pid("web") == pid);
  CHECK(box.cli({"stop", "web"}).exit_code == 0);
  if (name != namespace_of(::getpid())) CHECK(living_in(name) == 0);
  CHECK(box.cli({"start", "web"}).exit_code == 0);
  CHECK(box.pid("web") != pid);
}

TEST_CASE("stop leaves nothing of a daemon that forked twice and ignores SIGTERM", "[namespaces]") {
  Sandbox box;
  box.write("web.service",
            "[Service]\nTimeoutStopSec=1s\nExecStart=/bin/sh -c 'trap \"\" TERM; for i in 1 2 3; do "
            "(env -i setsid sh -c \"trap \\\\\"\\\\\" TERM; sleep 1000 & sleep 1000\" &) ; done; echo up; "
            "sleep 1000; "
            "sleep 1000'\n");
  box.commit();
  box.start_agent();
  box.expect_state("web", "running");
  NEED_NAMESPACES(box);
  std::string name = namespace_of(box.pid("web"));
  box.expect("its children", [&] { return processes_in(name).size() >= 8; });
  CHECK(box.cli({"stop", "web"}).exit_code == 0);
  CHECK(living_in(name) == 0);
}

TEST_CASE("isolation.pid_namespace sets the default, PrivatePIDs= has the last word", "[namespaces]") {
  Sandbox box;
  box.write("web.service", "[Service]\nExecStart=/bin/sleep 1000\n");
  box.write("own.service", "[Service]\nExecStart=/bin/sleep 1000\nPrivatePIDs=yes\n");
  box.commit();
  box.start_agent({"--set", "isolation.pid_namespace=false"});
  box.expect_state("web", "running");
  box.expect_state("own", "running");
  CHECK(namespace_of(box.pid("web")) == namespace_of(::getpid()));
  NEED_NAMESPACES(box);
  CHECK(numbers_of(box.pid("own")).size() == 2);
}
