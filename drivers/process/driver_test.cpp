// The driver against the real kernel: every story is told with cgroups and without.
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/base/atomic_file.h"
#include "drivers/base/system_call.h"
#include "drivers/process/journald_for_tests.h"
#include "drivers/process/machine_for_tests.h"
#include "drivers/process/proc_files.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

#define IN_BOTH_WAYS(machine)                                                                    \
  bool with_cgroups = GENERATE(false, true);                                                     \
  if (with_cgroups && !usable_mount()) GITPROC_SKIP("no cgroup v2 tree that may be written to"); \
  CAPTURE(with_cgroups);                                                                         \
  Machine machine(with_cgroups)

TEST_CASE("a process runs in a session of its own with nothing but its streams, and its exit is told") {
  IN_BOTH_WAYS(machine);
  int leaked = ::open("/dev/null", O_RDONLY);  // not close-on-exec, as a careless library's
  auto unit =
      shared(shell("echo out; echo err >&2; ls /proc/self/fd | tr '\\n' ' '; umask; pwd; ps -o sid= -p $$; "
                   "grep Sig /proc/self/status; exit 3"));
  Pid pid = machine.spawn_pid(unit);
  ProcessExited exited = machine.wait_for<ProcessExited>();
  CHECK(exited.pid == pid);
  CHECK(exited.status == ExitStatus{.kind = ExitStatus::Kind::exited, .value = 3});
  std::string log = machine.text_of("web.log");
  CAPTURE(log);
  CHECK(log.starts_with("out\nerr\n0 1 2 3 0022\n/\n"));  // 3 is that of ls itself
  CHECK(log.find(std::to_string(pid) + "\n") != std::string::npos);
  CHECK(log.find("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001000\n") != std::string::npos);  // SIGPIPE
  struct stat status{};
  REQUIRE(::stat((machine.directory / "web.log").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
  ::close(leaked);
}

TEST_CASE("what fails before execve is told with systemd's exit code, and leaves no process") {
  IN_BOTH_WAYS(machine);
  auto expect = [&](Unit unit, int code, const std::string& message) {
    SpawnOutcome outcome = machine.spawn(shared(std::move(unit)));
    const auto* failed = std::get_if<SpawnFailed>(&outcome);
    REQUIRE(failed);
    CHECK(failed->exit_code == code);
    CHECK(failed->message == message);
  };
  Unit unit = shell("true");
  unit.start[0].path = "/no/such/file";
  expect(unit, 203, "cannot execute '/no/such/file': no such file or directory");
  unit.start[0].path = "no-such-program";
  expect(unit, 203, "cannot execute 'no-such-program': no such file or directory");
  unit = shell("true");
  unit.exec.edit().working_directory.path = "/no/such/directory";
  expect(unit, 200, "cannot change to directory '/no/such/directory': no such file or directory");
  unit.exec.edit().working_directory.is_optional = true;
  CHECK(std::holds_alternative<Spawned>(machine.spawn(shared(unit))));
  machine.wait_for<ProcessExited>();
  unit = shell("true");
  unit.exec.edit().standard_output = {.kind = OutputKind::append, .path = "/no/such/directory/x"};
  expect(unit, 209, "cannot open standard output '/no/such/directory/x': no such file or directory");
  unit = shell("true");
  unit.exec.edit().user = "nobody-of-that-name";
  expect(unit, 217, "cannot find user 'nobody-of-that-name'");
  unit.exec.edit().user = "0";
  unit.exec.edit().group = "nobody-of-that-name";
  expect(unit, 216, "cannot find group 'nobody-of-that-name'");
  unit = shell("true");
  unit.exec.edit().environment_files = {{.path = "/no/such/file"}};
  expect(unit, 0, "cannot open '/no/such/file': no such file or directory");
  CHECK(children_of(::getpid()).empty());
}

TEST_CASE("a process whose record cannot be written is not run") {
  Machine machine(false);
  // What the journal's descriptor will be: the lowest above the streams that the driver opened first.
  std::string journal = machine.directory / "runs.journal";
  int journal_fd = -1;
  for (int fd = 3; fd < 64; ++fd) {
    std::string target(4096, '\0');
    ssize_t length =
        ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), target.size());
    if (length > 0 && target.substr(0, static_cast<std::size_t>(length)) == journal) journal_fd = fd;
  }
  REQUIRE(journal_fd >= 3);
  UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  REQUIRE(::dup3(full.get(), journal_fd, O_CLOEXEC) >= 0);
  SpawnOutcome outcome = machine.spawn(shared(shell("touch " + machine.directory / "ran")));
  const auto* failed = std::get_if<SpawnFailed>(&outcome);
  REQUIRE(failed);
  CHECK(failed->exit_code == 0);
  CHECK(failed->message == "cannot write the run journal: no space left on device");
  CHECK(::access((machine.directory / "ran").c_str(), F_OK) != 0);
}

TEST_CASE("credentials, limits and scores are set before the program runs") {
  if (::geteuid() != 0) GITPROC_SKIP("needs root");
  Machine machine(false);
  Unit unit = shell(
      "id -u; id -g; ulimit -n; ulimit -Hn; nice; cat /proc/self/oom_score_adj; grep NoNewPrivs "
      "/proc/self/status; umask; "
      "echo $WATCHDOG_PID $$");
  unit.exec.edit().user = "nobody";
  unit.exec.edit().group = "7";
  unit.exec.edit().limits = {{ResourceKind::nofile, 333, 444}};
  unit.exec.edit().nice = 5;
  unit.exec.edit().oom_score_adjust = 100;
  unit.exec.edit().no_new_privileges = true;
  unit.exec.edit().umask = 0077;
  unit.exec.edit().directories = {{.kind = DirectoryKind::runtime, .path = "web/deep", .mode = 0750}};
  unit.timeouts.edit().watchdog = std::chrono::seconds(1);
  UnitPtr made = shared(unit);
  Pid pid = machine.spawn_pid(made);
  CHECK(machine.wait_for<ProcessExited>().status == ExitStatus{});
  std::string nobody = std::to_string(::getpwnam("nobody")->pw_uid);
  CHECK(machine.text_of("web.log") == nobody + "\n7\n333\n444\n5\n100\nNoNewPrivs:\t1\n0077\n" +
                                          std::to_string(pid) + " " + std::to_string(pid) + "\n");
  struct stat status{};
  std::string deep = machine.directory / "run/web/deep";
  REQUIRE(::stat(deep.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0750);
  CHECK(std::to_string(status.st_uid) == nobody);
  REQUIRE(replace_file(deep + "/file", "x", 0600));
  REQUIRE(::symlink("/etc", (deep + "/link").c_str()) == 0);
  machine.driver->clean_up({.service = web, .unit = made});
  CHECK(::access(deep.c_str(), F_OK) != 0);
  CHECK(::access("/etc/passwd", F_OK) == 0);
}

TEST_CASE("a managed directory is not made through a symbolic link") {
  Machine machine(false);
  REQUIRE(make_directories(machine.directory / "run", 0755));
  REQUIRE(::symlink("/etc", (machine.directory / "run/web").c_str()) == 0);
  Unit unit = shell("true");
  unit.exec.edit().directories = {{.kind = DirectoryKind::runtime, .path = "web/x"}};
  SpawnOutcome outcome = machine.spawn(shared(unit));
  REQUIRE(std::holds_alternative<SpawnFailed>(outcome));
  CHECK(std::get<SpawnFailed>(outcome).exit_code == 233);
  CHECK(::access("/etc/x", F_OK) != 0);
}

TEST_CASE("a kill of the group reaches children that left their session, and is over when all are gone") {
  IN_BOTH_WAYS(machine);
  auto unit =
      shared(shell("setsid sh -c 'sleep 1000 & sleep 1000' & (setsid sleep 1000 &) ; trap '' TERM; echo up; "
                   "sleep 1000; sleep 1000"));
  Pid pid = machine.spawn_until(unit, "up\n");
  int signal = GENERATE(SIGKILL, SIGTERM);
  machine.signal_all(unit, pid, signal);
  if (signal == SIGTERM) {
    // The shell goes on with its second sleep.
    machine.signal_all(unit, pid, SIGKILL);
  }
  CHECK(machine.wait_for<ProcessExited>().status ==
        ExitStatus{.kind = ExitStatus::Kind::killed, .value = SIGKILL});
  machine.wait_for<Emptied>();
  machine.wait_until([&] { return children_of(::getpid()).empty(); });
  machine.driver->clean_up({.service = web, .unit = unit, .is_removed = true});
}

TEST_CASE("without anything left, emptiness is told at once, a lone main process is not the group") {
  IN_BOTH_WAYS(machine);
  auto unit = shared(shell("sleep 1000 & wait"));
  machine.driver->kill({.service = web, .unit = unit, .awaits_empty = true});
  machine.wait_for<Emptied>();
  Pid pid = machine.spawn_pid(unit);
  machine.wait_until([&] { return children_of(pid).size() == 1; });
  machine.driver->kill(
      {.service = web, .unit = unit, .main_pid = pid, .signal = SIGTERM, .awaits_empty = true});
  CHECK(machine.wait_for<ProcessExited>().pid == pid);
  machine.wait_for_any();
  CHECK(machine.events.empty());  // the sleep is still there
  machine.kill_all(unit, 0);
  machine.driver->clean_up({.service = web, .unit = unit, .is_removed = true});
}

TEST_CASE(
    "the main process of a forking service is found by its PID file, which cannot name another's process") {
  IN_BOTH_WAYS(machine);
  std::string pid_file = machine.directory / "run/sub/web.pid";
  std::string ready = machine.directory / "go";
  Unit unit = shell("(while ! [ -e " + ready + " ]; do sleep 0.01; done; exec sleep 1000) & echo $! > " +
                    machine.directory / "daemon" + "; sleep 1000 & echo $! > " + machine.directory / "next");
  unit.type = ServiceType::forking;
  unit.pid_file = pid_file;
  UnitPtr made = shared(unit);
  machine.spawn_pid(made);
  machine.wait_for<ProcessExited>();
  machine.driver->await_main_pid({.service = web, .unit = made});
  REQUIRE(make_directories(machine.directory / "run/sub", 0755));
  REQUIRE(replace_file(pid_file, std::to_string(::getpid()) + "\n", 0644));
  machine.wait_for_any();
  CHECK(machine.events.empty());
  std::string daemon = machine.text_of("daemon");
  REQUIRE(replace_file(pid_file, daemon, 0644));
  MainPidFound found = machine.wait_for<MainPidFound>();
  CHECK(std::to_string(found.pid) + "\n" == daemon);
  CHECK_FALSE(found.is_empty);

  // It goes on as another process, says the file.
  std::string next = machine.text_of("next");
  REQUIRE(replace_file(pid_file, next, 0644));
  REQUIRE(::kill(found.pid, SIGKILL) == 0);
  ProcessExited exited = machine.wait_for<ProcessExited>();
  CHECK(exited.pid == found.pid);
  CHECK(std::to_string(exited.pid_in_file) + "\n" == next);
  REQUIRE(machine.driver->record({.service = web,
                                  .name = unit.name,
                                  .kind = RunRecord::Kind::main_pid,
                                  .main_pid = exited.pid_in_file}));
  machine.kill_all(made, exited.pid_in_file);
  ProcessExited last = machine.wait_for<ProcessExited>();
  CHECK(last.pid == exited.pid_in_file);
  CHECK(last.pid_in_file == 0);
  machine.driver->clean_up({.service = web, .unit = made, .is_removed = true});
  CHECK(::access(pid_file.c_str(), F_OK) != 0);
}

TEST_CASE("without a PID file the main process is the only one left, or nobody knows") {
  IN_BOTH_WAYS(machine);
  auto await = [&](const std::string& script) -> std::string {
    Unit unit = shell(script);
    unit.type = ServiceType::forking;
    UnitPtr made = shared(unit);
    machine.spawn_pid(made);
    machine.wait_for<ProcessExited>();
    machine.driver->await_main_pid({.service = web, .unit = made});
    MainPidFound found = machine.wait_for<MainPidFound>();
    machine.kill_all(made, found.pid);
    machine.events.clear();
    return found.is_empty ? "nothing" : found.pid != 0 ? "one" : "unknown";
  };
  CHECK(await("sleep 1000 &") == "one");
  CHECK(await("sleep 1000 & sleep 1000 &") == "unknown");
  CHECK(await("true") == "nothing");
  machine.driver->clean_up({.service = web, .unit = shared(shell("true")), .is_removed = true});
}

TEST_CASE("a service that was killed starts again, also while something of it is left") {
  IN_BOTH_WAYS(machine);
  auto unit = shared(shell("echo up; sleep 1000"));
  for (int i = 0; i < 3; ++i) {
    Pid pid = machine.spawn_pid(unit);
    machine.wait_until(
        [&] { return machine.text_of("web.log").size() == 3u * static_cast<unsigned>(i + 1); });
    machine.kill_all(unit, pid);
    CHECK(machine.wait_for<ProcessExited>().pid == pid);
  }
  // An agent that was started again does not know whether the group was killed before.
  Pid pid = machine.spawn_pid(unit);
  machine.wait_until([&] { return machine.text_of("web.log").size() == 12; });
  machine.start_agent();
  AdoptedService adopted = machine.driver->take_adopted().at(0);
  machine.driver->adopt(web, adopted);
  SpawnOutcome outcome = machine.spawn(shared(shell("exit 6")), ExecPhase::start);
  REQUIRE(std::holds_alternative<Spawned>(outcome));
  CHECK(machine.wait_for<ProcessExited>().status == ExitStatus{.kind = ExitStatus::Kind::exited, .value = 6});
  machine.kill_all(unit, pid);
  machine.driver->clean_up({.service = web, .unit = unit, .is_removed = true});
}

TEST_CASE("notify messages are matched to the service of their sender") {
  if (::access("/usr/bin/python3", X_OK) != 0) GITPROC_SKIP("python3 is not installed");
  IN_BOTH_WAYS(machine);
  Unit unit = shell(
      "python3 -c \"import socket,os; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); "
      "s.sendto(b'READY=1\\nSTATUS=up\\nMAINPID=1', os.environ['NOTIFY_SOCKET']); "
      "import signal; signal.pause()\"; exit 0");  // without cgroups only a living sender can be told apart
  unit.notify_access = NotifyAccess::all;
  UnitPtr notifying = shared(unit);
  Pid pid = machine.spawn_pid(notifying);
  Notified message = machine.wait_for<Notified>();
  CHECK(message.service == web);
  CHECK(message.sender != pid);
  CHECK(message.is_ready);
  CHECK(message.status == "up");
  CHECK(message.main_pid == std::nullopt);  // process 1 is none of its own
  machine.kill_all(notifying, pid);
}

TEST_CASE("services of an agent that is gone are adopted, and their ends are still seen") {
  IN_BOTH_WAYS(machine);
  auto unit = shared(
      shell("sleep 1000 & while :; do sleep 0.01; [ -e " + machine.directory / "end" + " ] && exit 4; done"));
  AdoptedService adopted = machine.adopt_from_dead_agent(unit, [&](Pid pid) {
    (void)machine.driver->record(
        {.service = web, .name = "web", .kind = RunRecord::Kind::started, .main_pid = pid});
  });
  CHECK(adopted.name == "web");
  CHECK(adopted.was_started);
  REQUIRE(adopted.main);
  CHECK(adopted.main->is_alive);
  REQUIRE(replace_file(machine.directory / "end", "", 0644));
  ProcessExited exited = machine.wait_for<ProcessExited>();
  CHECK(exited.pid == adopted.main->pid);
  CHECK(exited.status == ExitStatus{.kind = ExitStatus::Kind::exited, .value = 4});
  machine.kill_all(unit, 0);
  machine.driver->clean_up({.service = web, .unit = unit, .is_removed = true});
}

TEST_CASE("a test that fails half-way leaves no process and no group behind") {
  bool with_cgroups = GENERATE(false, true);
  if (with_cgroups && !usable_mount()) GITPROC_SKIP("no cgroup v2 tree that may be written to");
  CAPTURE(with_cgroups);
  std::string group;
  try {
    Machine machine(with_cgroups);
    machine.spawn_until(shared(shell("(setsid sleep 1000 &); sleep 1000 & echo up; sleep 1000")), "up\n");
    group = machine.driver->cgroup_of(web);
    throw std::runtime_error("a failed check");
  } catch (const std::runtime_error& error) {
    CHECK(error.what() == std::string("a failed check"));
  }
  CHECK(children_of(::getpid()).empty());
  if (with_cgroups) CHECK_FALSE(std::filesystem::exists(*usable_mount() + group));
}

TEST_CASE("preflight finds what is missing before anything is stopped") {
  Machine machine(false);
  auto missing = [&](Unit unit) {
    return machine.driver->preflight({.service = web, .unit = shared(std::move(unit))}).error;
  };
  Unit unit = shell("true");
  CHECK(missing(unit) == "");
  unit.start[0].path = "/etc/passwd";
  CHECK(missing(unit) == "cannot execute '/etc/passwd': permission denied");
  unit.start[0].path = "nothing-like-this";
  CHECK(missing(unit) == "cannot execute 'nothing-like-this': no such file or directory");
  unit = shell("true");
  unit.exec.edit().user = "nobody-of-that-name";
  CHECK(missing(unit) == "cannot find user 'nobody-of-that-name'");
  unit = shell("true");
  unit.exec.edit().working_directory.path = "/etc/passwd";
  CHECK(missing(unit) == "cannot change to directory '/etc/passwd': not a directory");
  unit = shell("true");
  unit.exec.edit().standard_output = {.kind = OutputKind::file, .path = "/no/such/x"};
  CHECK(missing(unit) == "cannot open standard output '/no/such/x': no such file or directory");
}

TEST_CASE("a probe command runs in the service's surroundings, and its exit is the answer") {
  IN_BOTH_WAYS(machine);
  Unit unit = shell("exec sleep 1000");
  unit.exec.edit().environment = {{"PORT", "8080"}};
  unit.exec.edit().working_directory.path = "/usr";
  UnitPtr service = shared(unit);
  Pid main = machine.spawn_pid(service);
  auto probe = [&](const std::string& script, Duration timeout = std::chrono::seconds(30)) {
    Unit probed = unit;
    probed.health.edit() = {
        .kind = HealthCheckKind::exec,
        .command =
            ExecCommand{.path = "/bin/sh", .arguments = {"sh", "-c", script}, .expands_environment = false},
        .timeout = timeout};
    return StartProbe{.service = web, .unit = shared(probed), .main_pid = main};
  };
  auto result = [&](const StartProbe& command) {
    machine.driver->start_probe(command);
    ProbeFinished finished = machine.wait_for<ProbeFinished>();
    return std::pair(finished.is_healthy, finished.detail);
  };
  CHECK(result(probe("exit 0")) == std::pair(true, std::string("exited with status 0")));
  CHECK(result(probe("echo one; echo $PWD $PORT $MAINPID")) ==
        std::pair(true, "exited with status 0: /usr 8080 " + std::to_string(main)));
  CHECK(result(probe("echo refused >&2; exit 3")) ==
        std::pair(false, std::string("exited with status 3: refused")));
  CHECK(result(probe("kill -SEGV $$")).first == false);
  // More than a pipe holds.
  CHECK(result(probe("head -c 300000 /dev/zero | tr '\\0' x; echo; echo end")) ==
        std::pair(true, std::string("exited with status 0: end")));
  if (with_cgroups) {
    CHECK(result(probe("cat /proc/self/cgroup | grep ::")).second.ends_with(machine.driver->cgroup_of(web)));
  }
  StartProbe missing = probe("");
  Unit without = *missing.unit;
  without.health.edit().command->path = "/no/such/probe";
  missing.unit = shared(without);
  CHECK(result(missing).second == "cannot execute '/no/such/probe': no such file or directory");

  // At its time-out it is killed with what it started.
  std::string pids = machine.directory / "pids";
  StartProbe slow = probe("sleep 1000 & echo $! $$ > " + pids + "; wait", std::chrono::milliseconds(500));
  CHECK(result(slow) == std::pair(false, std::string("no end within 500 ms, killed")));
  std::string text = machine.text_of("pids");
  Pid child = std::stoi(text), leader = std::stoi(text.substr(text.find(' ')));
  machine.wait_until([&] {
    return !read_proc_stat(leader) && (!read_proc_stat(child) || read_proc_stat(child)->is_dead());
  });

  // A cancelled one is silent, and the service's own process is not touched by any of it.
  machine.driver->start_probe(probe("sleep 1000"));
  machine.driver->cancel_probe(web);
  CHECK(result(probe("exit 0")).first);
  CHECK_FALSE(read_proc_stat(main)->is_dead());
  machine.kill_all(service, main);
  machine.wait_for<ProcessExited>();
  CHECK(machine.events.empty());
}

TEST_CASE("output goes to journald where there is one, and to the log where it does not answer") {
  Machine machine(false);
  const std::string path = machine.directory / "journal";
  machine.journal_socket = path;
  machine.start_agent();
  Unit unit = shell("echo out; echo err >&2");
  unit.exec.edit().standard_output = {.kind = OutputKind::journal, .path = ""};
  UnitPtr service = shared(unit);
  machine.spawn_pid(service);
  machine.wait_for<ProcessExited>();
  CHECK(machine.text_of("web.log") == "out\nerr\n");

  JournaldForTests journald(path);
  machine.spawn_pid(service);
  machine.wait_for<ProcessExited>();
  CHECK(journald.next_stream() == "sh\nweb.service\n30\n1\n0\n0\n0\nout\nerr\n");
  CHECK(machine.text_of("web.log") == "out\nerr\n");
}

TEST_CASE("conditions") {
  Machine machine(false);
  auto unmet = [&](std::vector<Condition> conditions) {
    Unit unit = shell("true");
    unit.conditions.edit() = std::move(conditions);
    return machine.driver->check_conditions({.service = web, .unit = shared(std::move(unit))}).unmet;
  };
  using Kind = ConditionKind;
  CHECK(unmet({}) == "");
  CHECK(unmet({{Kind::path_exists, "/etc"},
               {Kind::path_is_directory, "/etc"},
               {Kind::directory_not_empty, "/etc"},
               {Kind::file_not_empty, "/etc/passwd"},
               {Kind::file_is_executable, "/bin/sh"},
               {Kind::path_exists_glob, "/etc/pass*"},
               {Kind::path_is_mount_point, "/proc"},
               {Kind::path_is_read_write, "/tmp"}}) == "");
  CHECK(unmet({{Kind::path_exists, "/none"}}) == "ConditionPathExists=/none");
  CHECK(unmet({{.kind = Kind::path_exists, .parameter = "/etc", .is_negated = true}}) ==
        "ConditionPathExists=!/etc");
  Condition triggering{.kind = Kind::path_exists, .parameter = "/none", .is_triggering = true};
  CHECK(unmet({triggering}) == "ConditionPathExists=|/none");
  CHECK(unmet({triggering, {.kind = Kind::path_exists, .parameter = "/etc", .is_triggering = true}}) == "");
  CHECK(unmet({{.kind = Kind::path_is_symbolic_link, .parameter = "/etc", .is_assert = true}}) ==
        "AssertPathIsSymbolicLink=/etc");
}

TEST_CASE("an unprivileged agent does all of it without cgroups") {
  if (::geteuid() != 0) GITPROC_SKIP("needs root to become somebody else");
  pid_t child = ::fork();
  if (child == 0) {
    passwd* nobody = ::getpwnam("nobody");
    if (::setgid(nobody->pw_gid) != 0 || ::setuid(nobody->pw_uid) != 0) ::_exit(2);
    int result = 1;
    {
      Machine machine(false);
      Unit unit = shell("(setsid sleep 1000 &); id -un; echo up; sleep 1000");
      unit.exec.edit().user = "nobody";
      UnitPtr made = shared(unit);
      Pid pid = machine.spawn_pid(made);
      machine.wait_until([&] { return machine.text_of("web.log") == "nobody\nup\n"; });
      machine.kill_all(made, pid);
      machine.wait_until([&] { return children_of(::getpid()).empty(); });
      unit.exec.edit().user = "root";
      SpawnOutcome outcome = machine.spawn(shared(unit));
      const auto* failed = std::get_if<SpawnFailed>(&outcome);
      if (failed != nullptr && failed->exit_code == 216) result = 0;
    }
    ::_exit(result);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("services that start together are each made, or fail by themselves, and are told in order") {
  IN_BOTH_WAYS(machine);
  constexpr std::uint32_t count = 3 * Spawner::max_underway + 1;
  auto is_bad = [](std::uint32_t i) { return i % 3 == 1; };
  auto unit_of = [&](std::uint32_t i) {
    Unit unit = shell("echo $$ > " + machine.directory / ("pid" + std::to_string(i)) + "; exec sleep 1000");
    unit.name = "web" + std::to_string(i);
    if (is_bad(i)) unit.exec.edit().working_directory.path = "/nonexistent";
    return shared(std::move(unit));
  };
  std::vector<Spawn> commands;
  for (std::uint32_t i = 0; i < count; ++i) {
    commands.push_back(machine.command_for(unit_of(i), ExecPhase::start, ServiceId{i}));
    machine.driver->spawn(commands.back());
  }
  std::vector<SpawnOutcome> outcomes = machine.driver->take_spawned();
  CHECK(machine.driver->take_spawned().empty());
  REQUIRE(outcomes.size() == count);
  for (std::uint32_t i = 0; i < count; ++i) {
    CAPTURE(i);
    const auto* failed = std::get_if<SpawnFailed>(&outcomes[i]);
    REQUIRE((failed != nullptr) == is_bad(i));
    if (failed != nullptr) {
      CHECK(failed->service == ServiceId{i});
      CHECK(failed->spawn == commands[i].spawn);
      CHECK(failed->exit_code == 200);
      continue;
    }
    const auto& spawned = std::get<Spawned>(outcomes[i]);
    CHECK(spawned.service == ServiceId{i});
    CHECK(spawned.spawn == commands[i].spawn);
    std::string written = "pid" + std::to_string(i);
    machine.wait_until([&] { return machine.text_of(written) == std::to_string(spawned.pid) + "\n"; });
    machine.driver->kill({.service = ServiceId{i}, .main_pid = spawned.pid, .signal = SIGKILL});
    machine.wait_for<ProcessExited>();
  }
}

TEST_CASE("a signal finds the process that was begun just before it") {
  IN_BOTH_WAYS(machine);
  UnitPtr unit = shared(shell("exec sleep 1000"));
  machine.driver->spawn(machine.command_for(unit));
  machine.driver->kill({.service = web, .whole_group = true, .signal = SIGKILL, .awaits_empty = true});
  Pid pid = std::get<Spawned>(machine.driver->take_spawned().at(0)).pid;
  CHECK(machine.wait_for<ProcessExited>().pid == pid);
  machine.wait_for<Emptied>();
}

}  // namespace
}  // namespace gitproc
