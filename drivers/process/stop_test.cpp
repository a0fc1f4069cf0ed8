// Who gets the signal of a stop: every process of the service, once, wherever it has gone.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "drivers/process/machine_for_tests.h"
#include "drivers/process/proc_files.h"
#include "drivers/process/reminders.h"
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
