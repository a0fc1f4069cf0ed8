// PID namespaces against the real kernel, with cgroups and without.
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/base/atomic_file.h"
#include "drivers/process/journald_for_tests.h"
#include "drivers/process/machine_for_tests.h"
#include "drivers/process/proc_files.h"
#include "reconcile/base/strings.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

bool can_make_namespaces() {
  if (::geteuid() != 0) return false;
  Machine machine(false, true);
  SpawnOutcome outcome = machine.spawn(shared(shell("true")));
  if (!std::holds_alternative<Spawned>(outcome)) return false;
  machine.wait_for<ProcessExited>();
  machine.wait_until([] { return children_of(::getpid()).empty(); });
  return true;
}

#define IN_NAMESPACES(machine)                                                                    \
  bool with_cgroups = GENERATE(false, true);                                                      \
  if (!can_make_namespaces()) GITPROC_SKIP("needs root and a kernel that allows PID namespaces"); \
  if (with_cgroups && !usable_mount()) GITPROC_SKIP("no cgroup v2 tree that may be written to");  \
  CAPTURE(with_cgroups);                                                                          \
  Machine machine(with_cgroups, true)

// The init of the namespace that a process is in: a child of this program, as the process itself.
Pid init_of(Pid pid) {
  for (Pid child : children_of(::getpid())) {
    std::vector<Pid> numbers = namespace_pids(child);
    bool is_init = numbers.size() > 1 && numbers.back() == 1;
    if (is_init && pid_namespace_of(child) == pid_namespace_of(pid)) return child;
  }
  return 0;
}

void expect_nothing_left(Machine& machine) {
  machine.wait_until([] { return children_of(::getpid()).empty(); });
}

TEST_CASE("a service in a PID namespace sees itself alone, and its PID outside is the one that is told") {
  IN_NAMESPACES(machine);
  auto unit =
      shared(shell("echo $$; cat /proc/1/comm; ls /proc | grep -c '^[0-9]'; readlink /proc/self/ns/pid; "
                   "cat; sleep 1000"));
  Pid pid = machine.spawn_pid(unit);
  machine.wait_until([&] { return split(machine.text_of("web.log"), '\n').size() == 5; });
  auto lines = split(machine.text_of("web.log"), '\n');
  std::vector<std::string> told;
  std::string log = machine.text_of("web.log");
  for (std::string_view line : split(log, '\n'))
    told.emplace_back(line);
  CHECK(told[0] == "2");
  CHECK(told[1] == "gitproc-init");
  CHECK(std::stoi(told[2]) <= 4);  // init, shell, ls, grep
  CHECK(told[3] == "pid:[" + std::to_string(pid_namespace_of(pid)) + "]");
  CHECK(pid_namespace_of(pid) != pid_namespace_of(::getpid()));
  CHECK(namespace_pids(pid) == std::vector<Pid>{pid, 2});
  Pid init = init_of(pid);
  REQUIRE(init != 0);
  CHECK(children_of(init).empty());
  if (with_cgroups) CHECK(cgroup_of_process(init) != cgroup_of_process(pid));
  machine.kill_all(unit, pid);
  CHECK(machine.wait_for<ProcessExited>().status ==
        ExitStatus{.kind = ExitStatus::Kind::killed, .value = SIGKILL});
  expect_nothing_left(machine);
  machine.driver->clean_up({.service = web, .unit = unit, .is_removed = true});
}

TEST_CASE("exit codes, signals and core dumps are told as they are, and the init goes with the service") {
  IN_NAMESPACES(machine);
  auto end_of = [&](const std::string& script) {
    Unit unit = shell(script);
    unit.exec.edit().limits = {{ResourceKind::core, infinite_limit, infinite_limit}};
    unit.exec.edit().working_directory.path = machine.directory.path();
    UnitPtr made = shared(unit);
    Pid pid = machine.spawn_pid(made);
    ProcessExited exited = machine.wait_for<ProcessExited>();
    CHECK(exited.pid == pid);
    machine.signal_all(made, 0, SIGTERM);
    machine.wait_for<Emptied>();
    expect_nothing_left(machine);
    return exited.status;
  };
  using Kind = ExitStatus::Kind;
  CHECK(end_of("exit 0") == ExitStatus{.kind = Kind::exited, .value = 0});
  CHECK(end_of("exit 77") == ExitStatus{.kind = Kind::exited, .value = 77});
  CHECK(end_of("kill -TERM $$") == ExitStatus{.kind = Kind::killed, .value = SIGTERM});
  CHECK(end_of("kill -KILL $$") == ExitStatus{.kind = Kind::killed, .value = SIGKILL});
  ExitStatus aborted = end_of("kill -ABRT $$");
  CHECK(aborted.value == SIGABRT);
  CHECK(aborted.kind != Kind::exited);  // dumped, where the machine dumps cores
}

TEST_CASE("orphans are the init's children, are reaped by it, and get the group's signals once") {
  IN_NAMESPACES(machine);
  auto unit =
      shared(shell("for i in 1 2 3; do (setsid true &); done; "
                   "(setsid sh -c 'trap \"echo term; exit\" TERM; echo up; while :; do sleep 0.01; done' &); "
                   "trap 'exit 4' TERM; while :; do sleep 0.01; done"));
  Pid pid = machine.spawn_pid(unit);
  Pid init = init_of(pid);
  machine.wait_until([&] { return machine.text_of("web.log") == "up\n" && children_of(init).size() == 1; });
  CHECK_FALSE(read_proc_stat(children_of(init)[0])->is_dead());
  machine.signal_all(unit, pid, SIGTERM);
  CHECK(machine.wait_for<ProcessExited>().status == ExitStatus{.kind = ExitStatus::Kind::exited, .value = 4});
  machine.wait_for<Emptied>();
  // The shells tell of their own children's ends, too.
  std::string log = machine.text_of("web.log");
  CHECK(log.find("\nterm\n") != std::string::npos);
  CHECK(log.find("\nterm\n") == log.rfind("\nterm\n"));
  expect_nothing_left(machine);
  machine.driver->clean_up({.service = web, .unit = unit, .is_removed = true});
}

TEST_CASE("what the main process leaves behind goes on, and the init with it") {
  IN_NAMESPACES(machine);
  std::string go = machine.directory / "go";
  auto unit = shared(shell("(while ! [ -e " + go + " ]; do sleep 0.01; done; echo late) & echo up"));
  Pid pid = machine.spawn_pid(unit);
  Pid init = init_of(pid);
  machine.wait_for<ProcessExited>();
  machine.driver->kill({.service = web, .unit = unit, .awaits_empty = true});
  CHECK(machine.events.empty());
  CHECK_FALSE(read_proc_stat(init)->is_dead());
  REQUIRE(replace_file(go, "", 0644));
  machine.wait_for<Emptied>();
  CHECK(machine.text_of("web.log") == "up\nlate\n");
  expect_nothing_left(machine);
}

TEST_CASE("the init passes signals on, also from inside, and cannot be ended from inside") {
  IN_NAMESPACES(machine);
  auto unit =
      shared(shell("trap 'echo hup' HUP; trap 'exit 9' USR1; echo up; kill -KILL 1; "
                   "sh -c 'kill -HUP 1'; while :; do sleep 0.01; done"));
  Pid pid = machine.spawn_until(unit, "up\nhup\n");
  ::kill(init_of(pid), SIGUSR1);
  CHECK(machine.wait_for<ProcessExited>().status == ExitStatus{.kind = ExitStatus::Kind::exited, .value = 9});
  expect_nothing_left(machine);
}

TEST_CASE("with the init, all of the namespace ends") {
  IN_NAMESPACES(machine);
  auto unit = shared(shell("(setsid sleep 1000 &); echo up; sleep 1000"));
  Pid pid = machine.spawn_until(unit, "up\n");
  ::kill(init_of(pid), SIGKILL);
  CHECK(machine.wait_for<ProcessExited>().status ==
        ExitStatus{.kind = ExitStatus::Kind::killed, .value = SIGKILL});
  expect_nothing_left(machine);
}

TEST_CASE("a kill leaves nothing, whatever the processes have left behind") {
  IN_NAMESPACES(machine);
  // Without their session, environment and parent nothing but the namespace can find them.
  auto unit = shared(
      shell("trap '' TERM; for i in 1 2 3; do (env -i setsid /bin/sh -c "
            "'trap \"\" TERM; /usr/bin/env -i /usr/bin/setsid /bin/sleep 1000 & exec sleep 1000' &); done; "
            "echo up; sleep 1000; sleep 1000"));
  Pid pid = machine.spawn_pid(unit);
  Pid init = init_of(pid);
  machine.wait_until([&] { return machine.text_of("web.log") == "up\n" && children_of(init).size() >= 3; });
  machine.kill_all(unit, pid);
  machine.wait_for<ProcessExited>();
  expect_nothing_left(machine);
}

TEST_CASE("numbers in messages and PID files are those of the service's namespace") {
  if (::access("/usr/bin/python3", X_OK) != 0) GITPROC_SKIP("python3 is not installed");
  IN_NAMESPACES(machine);
  std::string pid_file = machine.directory / "web.pid";
  Unit unit = shell("sleep 1000 & echo $! > " + pid_file +
                    "; python3 -c \"import socket,os,sys; "
                    "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); "
                    "s.sendto(b'READY=1\\nMAINPID=' + sys.argv[1].encode(), os.environ['NOTIFY_SOCKET']); "
                    "import signal; signal.pause()\" $! & wait");
  unit.notify_access = NotifyAccess::all;
  unit.pid_file = pid_file;
  unit.exec.edit().private_pids = true;
  UnitPtr made = shared(unit);
  Pid pid = machine.spawn_pid(made);
  Notified message = machine.wait_for<Notified>();
  REQUIRE(message.main_pid);
  CHECK(children_of(pid).at(0) == *message.main_pid);
  CHECK(namespace_pids(*message.main_pid).size() == 2);
  machine.driver->await_main_pid({.service = web, .unit = made});
  CHECK(machine.wait_for<MainPidFound>().pid == *message.main_pid);
  machine.kill_all(made, pid);
  machine.driver->clean_up({.service = web, .unit = made, .is_removed = true});
  expect_nothing_left(machine);
}

TEST_CASE("a main process that took over keeps the namespace when the first one ends") {
  if (::access("/usr/bin/python3", X_OK) != 0) GITPROC_SKIP("python3 is not installed");
  IN_NAMESPACES(machine);
  Unit unit = shell(
      "sleep 1000 & python3 -c \"import socket,os,sys,signal; "
      "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); "
      "s.sendto(b'MAINPID=' + sys.argv[1].encode(), os.environ['NOTIFY_SOCKET']); signal.pause()\" $! & "
      "wait");
  unit.notify_access = NotifyAccess::all;
  UnitPtr made = shared(unit);
  Pid pid = machine.spawn_pid(made);
  Pid init = init_of(pid);
  Pid successor = *machine.wait_for<Notified>().main_pid;
  REQUIRE(machine.driver->record(
      {.service = web, .name = "web", .kind = RunRecord::Kind::main_pid, .main_pid = successor}));
  ::kill(pid, SIGKILL);
  CHECK(machine.wait_for<ProcessExited>().pid == pid);
  CHECK(children_of(init).at(0) == successor);
  ::kill(successor, SIGTERM);
  CHECK(machine.wait_for<ProcessExited>().pid == successor);
  CHECK_FALSE(read_proc_stat(init)->is_dead());  // for the one that told of it
  machine.kill_all(made, 0);
  expect_nothing_left(machine);
}

TEST_CASE("a service in a namespace is adopted with its init") {
  IN_NAMESPACES(machine);
  auto unit = shared(shell("(setsid sleep 1000 &) ; while ! [ -e " + (machine.directory / "end") +
                           " ]; do sleep 0.01; done; exit 4"));
  AdoptedService adopted = machine.adopt_from_dead_agent(unit);
  REQUIRE(adopted.main);
  REQUIRE(adopted.init);
  CHECK(adopted.main->is_alive);
  CHECK(adopted.init->is_alive);
  CHECK(namespace_pids(adopted.init->pid).back() == 1);
  CHECK(namespace_pids(adopted.main->pid).back() == 2);
  REQUIRE(replace_file(machine.directory / "end", "", 0644));
  ProcessExited exited = machine.wait_for<ProcessExited>();
  CHECK(exited.pid == adopted.main->pid);
  CHECK(exited.status == ExitStatus{.kind = ExitStatus::Kind::exited, .value = 4});
  machine.kill_all(unit, 0);
  CHECK((!read_proc_stat(adopted.init->pid) || read_proc_stat(adopted.init->pid)->is_dead()));
  machine.driver->clean_up({.service = web, .unit = unit, .is_removed = true});
}

TEST_CASE("what fails before execve leaves neither process nor namespace") {
  IN_NAMESPACES(machine);
  Unit unit = shell("true");
  unit.start[0].path = "/no/such/file";
  SpawnOutcome outcome = machine.spawn(shared(unit));
  const auto* failed = std::get_if<SpawnFailed>(&outcome);
  REQUIRE(failed);
  CHECK(failed->exit_code == 203);
  CHECK(failed->message == "cannot execute '/no/such/file': no such file or directory");
  CHECK(children_of(::getpid()).empty());
}

TEST_CASE(
    "an ordinary user's service gets a PID namespace by a user namespace, where PrivatePIDs= asks for it") {
  if (::geteuid() != 0) GITPROC_SKIP("needs root to become somebody else");
  int results[2];
  REQUIRE(::pipe(results) == 0);
  pid_t child = ::fork();
  if (child == 0) {
    passwd* nobody = ::getpwnam("nobody");
    if (::setgid(nobody->pw_gid) != 0 || ::setuid(nobody->pw_uid) != 0) ::_exit(2);
    // As a program is that this user has started: else its files in /proc are root's.
    ::prctl(PR_SET_DUMPABLE, 1);
    std::string told;
    {
      Machine machine(false);
      Unit unit = shell("echo $$ $(id -un) $(cat /proc/1/comm); (setsid sleep 1000 &); echo up; sleep 1000");
      unit.exec.edit().private_pids = true;
      UnitPtr made = shared(unit);
      Pid pid = machine.spawn_pid(made);
      machine.wait_until([&] { return machine.text_of("web.log").ends_with("up\n"); });
      for (const std::string& lack : machine.driver->take_unavailable())
        told += "lack: " + lack + "\n";
      told += machine.text_of("web.log");
      if (children_of(::getpid()).empty()) told += "cannot see its own children";
      machine.kill_all(made, pid);
      machine.wait_until([&] { return children_of(::getpid()).empty(); });
    }
    (void)!::write(results[1], told.data(), told.size());
    ::_exit(0);
  }
  ::close(results[1]);
  char text[4096];
  ssize_t length = ::read(results[0], text, sizeof text);
  ::close(results[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  std::string told(text, static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  if (told.find("lack: ") == 0) {
    // As it must be where the kernel keeps them from ordinary users: the service runs all the same.
    CHECK(told.find(" nobody ") != std::string::npos);
    INFO(told);
    GITPROC_SKIP("this kernel allows ordinary users no namespaces");
  }
  CHECK(told == "2 nobody gitproc-init\nup\n");
}

TEST_CASE("a service in a PID namespace has its stream to journald, and is probed from outside") {
  IN_NAMESPACES(machine);
  const std::string path = machine.directory / "journal";
  JournaldForTests journald(path);
  machine.journal_socket = path;
  machine.start_agent();

  Unit unit = shell("echo own number $$; exec sleep 1000 >/dev/null 2>&1");
  unit.exec.edit().standard_output = {.kind = OutputKind::journal, .path = ""};
  Unit probed = unit;
  probed.health.edit() = {
      .kind = HealthCheckKind::exec,
      .command = ExecCommand{.path = "/bin/sh",
                             .arguments = {"sh", "-c", "kill -0 $MAINPID && echo $MAINPID"},
                             .expands_environment = false},
      .timeout = deadline};
  UnitPtr service = shared(unit);
  Pid main = machine.spawn_pid(service);
  CHECK(journald.next_stream() == "sh\nweb.service\n30\n1\n0\n0\n0\nown number 2\n");
  machine.driver->start_probe({.service = web, .unit = shared(probed), .main_pid = main});
  CHECK(machine.wait_for<ProbeFinished>().detail == "exited with status 0: " + std::to_string(main));
  machine.kill_all(service, main);
  machine.wait_for<ProcessExited>();
  expect_nothing_left(machine);
  CHECK(machine.events.empty());
}

}  // namespace
}  // namespace gitproc
