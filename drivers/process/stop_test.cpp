// Who gets the signal of a stop: every process of the service, once, wherever it has gone.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "drivers/process/machine_for_tests.h"
#include "drivers/process/proc_files.h"
#include "drivers/process/reminders.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

void stop(Machine& machine, const UnitPtr& unit, Pid pid) { machine.signal_all(unit, pid, SIGTERM); }

// A shell that says `word` and how often it was told to end, and goes on.
std::string stubborn(const std::string& word) {
  return "trap 'echo " + word + "' TERM; echo up; while :; do sleep 0.01; done";
}

std::ptrdiff_t count_lines(const std::string& text, const std::string& line) {
  std::ptrdiff_t count = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(text.find('\n', at), text.size());
    if (text.substr(at, end - at) == line) ++count;
    at = end + 1;
  }
  return count;
}

void check_each_once(bool with_cgroups) {
  Machine machine(with_cgroups);
  auto unit = shared(shell("sh -c \"" + stubborn("child") + "\" & setsid sh -c \"" + stubborn("far") +
                           "\" & " + stubborn("main")));
  Pid pid = machine.spawn_pid(unit);
  auto lines = [&](const std::string& line) { return count_lines(machine.text_of("web.log"), line); };
  machine.wait_until([&] { return lines("up") == 3; });
  stop(machine, unit, pid);
  machine.wait_until([&] { return lines("main") > 0 && lines("child") > 0 && lines("far") > 0; });
  // By now a second signal to any of them would have been sent.
  machine.wait_for_any();
  machine.kill_all(unit, pid);
  CHECK(lines("main") == 1);
  CHECK(lines("child") == 1);
  CHECK(lines("far") == 1);
  machine.wait_until([] { return children_of(::getpid()).empty(); });
  machine.driver->clean_up({.service = web, .unit = unit, .is_removed = true});
}

TEST_CASE(
    "while the main process lives, every process is told to end once, also one in a session of its own") {
  check_each_once(false);
}

TEST_CASE("with a cgroup, too, every process is told to end once") {
  if (!usable_mount()) GITPROC_SKIP("no cgroup v2 tree that may be written to");
  check_each_once(true);
}

TEST_CASE("what a main process that ends at once leaves behind is told to end as well") {
  Machine machine(false);
  auto unit = shared(shell("setsid sh -c 'echo up; exec sleep 1000' & echo up; exec sleep 1000"));
  Pid pid = machine.spawn_pid(unit);
  machine.wait_until([&] { return count_lines(machine.text_of("web.log"), "up") == 2; });
  stop(machine, unit, pid);
  CHECK(machine.wait_for<ProcessExited>().status ==
        ExitStatus{.kind = ExitStatus::Kind::killed, .value = SIGTERM});
  machine.wait_for<Emptied>();
  machine.wait_until([] { return children_of(::getpid()).empty(); });
}

TEST_CASE("an orphan of a process that the living main process has let go of is told to end as well") {
  Machine machine(false);
  std::string go = machine.directory / "go";
  auto unit = shared(shell("trap 'echo main' TERM; echo up; while [ ! -e " + go +
                           " ]; do sleep 0.01; done; (setsid sh -c \"" + stubborn("far") +
                           "\" &); while :; do sleep 0.01; done"));
  Pid pid = machine.spawn_until(unit, "up\n");
  // As `gitproc status` does: nothing that the agent hears of happens between this look and the next.
  CHECK(machine.driver->figure_places(web).processes.front() == pid);
  std::ofstream{go};
  auto lines = [&](const std::string& line) { return count_lines(machine.text_of("web.log"), line); };
  machine.wait_until([&] { return lines("up") == 2; });
  stop(machine, unit, pid);
  machine.wait_until([&] { return lines("main") == 1 && lines("far") == 1; });
  machine.kill_all(unit, pid);
}

// Among many that lose their parents one after the other while they are looked for. GITPROC_STOPS sets how often.
TEST_CASE("nobody is missed because its parent ended while it was looked for") {
  const char* wanted = std::getenv("GITPROC_STOPS");
  const int stops = wanted != nullptr ? std::atoi(wanted) : 3;
  static constexpr int parents = 40;
  for (int i = 0; i < stops; ++i) {
    Machine machine(false);
    // They and their children are in sessions of their own, and end about when the driver looks for them.
    std::string far = machine.directory / "far";
    std::ofstream(far) << "trap 'echo far; exit' TERM; echo up; while :; do sleep 1; done";
    std::string microseconds = std::to_string(1'070'000 + i * 7919 % 30'000).substr(1);
    auto unit =
        shared(shell("n=0; while [ $n -lt " + std::to_string(parents) + " ]; do setsid sh -c 'setsid sh " +
                     far + " & wait' & all=\"$all $!\"; n=$((n+1)); done; trap 'sleep 0." + microseconds +
                     "; kill -KILL $all; echo killed' TERM; echo up; while :; do sleep 0.01; done"));
    Pid pid = machine.spawn_pid(unit);
    auto lines = [&](const std::string& line) { return count_lines(machine.text_of("web.log"), line); };
    machine.wait_until([&] { return lines("up") == parents + 1; });
    stop(machine, unit, pid);
    machine.wait_until([&] { return lines("killed") == 1 && lines("far") == parents; });
    machine.kill_all(unit, pid);
  }
}

// An orphan in a session of its own, as one that the service has left. Nobody can read its environment, as of a process
// in the middle of execve(2), until `reveal` is written to; then it has that of the service.
struct HiddenOrphan {
  Pid pid = 0;
  UniqueFd reveal;
};

[[noreturn]] void hide_and_wait(int reveal, int told, char* const* environment) {
  ::setsid();
  std::string stat = *read_file("/proc/self/stat", 4096);
  std::vector<std::string_view> fields = split(std::string_view(stat).substr(stat.rfind(')') + 2), ' ');
  const std::uintptr_t page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  std::uintptr_t begin = *parse_number<std::uintptr_t>(fields[47]) / page * page;
  std::uintptr_t end = (*parse_number<std::uintptr_t>(fields[48]) + page - 1) / page * page;
  const char* arguments[] = {"sleep", "1000", nullptr};
  ::munmap(reinterpret_cast<void*>(begin), end - begin);
  Pid self = ::getpid();
  char byte = 0;
  if (::write(told, &self, sizeof self) == sizeof self && ::read(reveal, &byte, 1) == 1)
    ::execve("/bin/sleep", const_cast<char* const*>(arguments), environment);
  ::_exit(1);
}

HiddenOrphan make_hidden_orphan(const InvocationId& invocation) {
  int reveal[2], told[2];
  REQUIRE(::pipe2(reveal, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(told, O_CLOEXEC) == 0);
  std::string variable = "INVOCATION_ID=" + invocation.hex();
  char* environment[] = {variable.data(), nullptr};
  pid_t parent = ::fork();
  if (parent == 0) {
    if (::fork() == 0) hide_and_wait(reveal[0], told[1], environment);
    ::_exit(0);
  }
  ::waitpid(parent, nullptr, 0);
  HiddenOrphan orphan;
  REQUIRE(::read(told[0], &orphan.pid, sizeof orphan.pid) == sizeof orphan.pid);
  orphan.reveal.reset(reveal[1]);
  for (int end : {reveal[0], told[0], told[1]})
    ::close(end);
  return orphan;
}

TEST_CASE(
    "an orphan that cannot be told yet keeps its service from being empty, and is told to end when it can") {
  Machine machine(false);
  auto unit = shared(shell("echo up; exec sleep 1000"));
  Pid pid = machine.spawn_until(unit, "up\n");
  HiddenOrphan orphan = make_hidden_orphan(machine.command_for(unit).invocation);
  CHECK(invocation_of_process(orphan.pid) == std::nullopt);
  stop(machine, unit, pid);
  CHECK(machine.wait_for<ProcessExited>().pid == pid);
  CHECK(children_of(::getpid()) == std::vector{orphan.pid});
  CHECK(::write(orphan.reveal.get(), "", 1) == 1);
  machine.wait_for<Emptied>();
  CHECK(children_of(::getpid()).empty());
}

TEST_CASE("an orphan that hides its environment for good is waited for for a while only") {
  Machine machine(false);
  auto unit = shared(shell("echo up; exec sleep 1000"));
  Pid pid = machine.spawn_until(unit, "up\n");
  HiddenOrphan orphan = make_hidden_orphan(machine.command_for(unit).invocation);
  stop(machine, unit, pid);
  machine.wait_for<Emptied>();
  CHECK(children_of(::getpid()) == std::vector{orphan.pid});
}

TEST_CASE("processes that were stopped by a signal end all the same") {
  Machine machine(false);
  auto unit = shared(shell("echo up; sh -c 'kill -STOP $$; exit 3' & wait $!; exec sleep 1000"));
  Pid pid = machine.spawn_pid(unit);
  auto is_stopped = [](Pid process) {
    std::optional<ProcStat> stat = read_proc_stat(process);
    return stat && stat->state == 'T';
  };
  machine.wait_until([&] {
    std::vector<Pid> children = children_of(pid);
    return children.size() == 1 && is_stopped(children[0]);
  });
  ::kill(pid, SIGSTOP);
  machine.wait_until([&] { return is_stopped(pid); });
  stop(machine, unit, pid);
  CHECK(machine.wait_for<ProcessExited>().status ==
        ExitStatus{.kind = ExitStatus::Kind::killed, .value = SIGTERM});
  machine.wait_for<Emptied>();
}

TEST_CASE("SIGKILL finds a process that has nothing in common with its service but its living parent") {
  Machine machine(false);
  auto unit = shared(shell("env -i setsid sh -c 'echo up; exec sleep 1000' & wait"));
  Pid pid = machine.spawn_pid(unit);
  machine.wait_until([&] { return machine.text_of("web.log") == "up\n"; });
  machine.kill_all(unit, pid);
  machine.wait_until([&] { return children_of(::getpid()).empty(); });
}

TEST_CASE("reminders come in order, none before its time, and the timer is silent without any") {
  Reminders reminders(std::chrono::seconds(2));
  Instant start{std::chrono::seconds(100)};  // long ago: the timer's own clock is past it
  ServiceId other{2};
  CHECK(reminders.take_due(start).empty());
  reminders.add(web, start);
  reminders.add(other, start + std::chrono::seconds(1));
  CHECK(reminders.take_due(start + std::chrono::milliseconds(1999)).empty());
  CHECK(reminders.take_due(start + std::chrono::seconds(2)) == std::vector{web});
  CHECK(reminders.take_due(start + std::chrono::seconds(2)).empty());
  CHECK(reminders.take_due(start + std::chrono::seconds(9)) == std::vector{other});
  pollfd timer{.fd = reminders.fd(), .events = POLLIN, .revents = 0};
  CHECK(::poll(&timer, 1, 0) == 0);
}

}  // namespace
}  // namespace gitproc
