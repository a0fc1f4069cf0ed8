// Kernels and containers that refuse a PID namespace, or a /proc of its own in it: services run without one, or not at
// all where "isolation.unenforceable" says so. Each story runs in a forked agent, which a seccomp filter or a user
// namespace keeps from more.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "drivers/process/machine_for_tests.h"
#include "drivers/process/proc_files.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

// What `story` returns, run in a process of its own. An exception's text where it throws one.
std::string told_by_an_agent(const std::function<std::string()>& story) {
  int results[2];
  REQUIRE(::pipe(results) == 0);
  pid_t child = ::fork();
  if (child == 0) {
    std::string told;
    try {
      told = story();
    } catch (const std::exception& error) {
      told = error.what();
    }
    (void)!::write(results[1], told.data(), told.size());
    ::_exit(0);
  }
  ::close(results[1]);
  std::string told = read_descriptor(results[0], 1 << 16, "a pipe").value_or("");
  ::close(results[0]);
  ::waitpid(child, nullptr, 0);
  return told;
}

// From now on `number` fails with EPERM; of mount(2) only where its flags are `mount_flags`.
void forbid(unsigned number, unsigned mount_flags = 0) {
  constexpr unsigned number_at = offsetof(seccomp_data, nr);
  constexpr unsigned flags_at = offsetof(seccomp_data, args) + 3 * sizeof(std::uint64_t);
  const bool is_mount = number == SYS_mount;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number_at),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, is_mount ? flags_at : number_at),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, is_mount ? mount_flags : number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{.len = sizeof code / sizeof *code, .filter = code};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    throw std::runtime_error("lack: no seccomp filter can be set");
}

// Spawns a service twice, and tells what became of it and what is said to be lacking.
std::string two_spawns(bool refuses) {
  Machine machine(false, true);
  machine.refuses_unenforceable = refuses;
  machine.start_agent();
  std::string told;
  for (int i = 0; i < 2; ++i) {
    UnitPtr unit = shared(shell("exec sleep 1000"));
    SpawnOutcome outcome = machine.spawn(unit);
    if (const auto* failed = std::get_if<SpawnFailed>(&outcome)) {
      told += std::to_string(failed->exit_code) + " " + failed->message + "\n";
    } else {
      Pid pid = std::get<Spawned>(outcome).pid;
      told += namespace_pids(pid).size() == 1 ? "runs without\n" : "runs with one\n";
      machine.kill_all(unit, pid);
      machine.wait_for<ProcessExited>();
    }
    machine.wait_until([] { return children_of(::getpid()).empty(); });
  }
  for (const std::string& lack : machine.driver->take_unavailable())
    told += "lack: " + lack + "\n";
  return told;
}

// Spawns services while others are on their way.
std::string spawns_together() {
  Machine machine(false, true);
  machine.refuses_unenforceable = false;
  machine.start_agent();
  UnitPtr unit = shared(shell("exec sleep 1000"));
  constexpr std::uint32_t count = 2 * Spawner::max_underway + 1;
  for (std::uint32_t i = 0; i < count; ++i)
    machine.driver->spawn(machine.command_for(unit, ExecPhase::start, ServiceId{i}));
  std::set<ServiceId> without;
  for (const SpawnOutcome& outcome : machine.driver->take_spawned()) {
    const auto* spawned = std::get_if<Spawned>(&outcome);
    if (spawned != nullptr && namespace_pids(spawned->pid).size() == 1) without.insert(spawned->service);
  }
  std::string told = std::to_string(count - without.size()) + " do not run without\n";
  for (const std::string& lack : machine.driver->take_unavailable())
    told += "lack: " + lack + "\n";
  return told;
}

constexpr unsigned flags_of_proc = MS_NOSUID | MS_NODEV | MS_NOEXEC;

struct Refusal {
  const char* what;
  unsigned number;
  unsigned mount_flags;
};
constexpr Refusal refusals[] = {{"the namespace", SYS_unshare, 0}, {"its /proc", SYS_mount, flags_of_proc}};

// What the story tells of an agent to which that is refused.
std::string told_where_refused(const Refusal& refusal, const std::function<std::string()>& story) {
  return told_by_an_agent([&] {
    forbid(refusal.number, refusal.mount_flags);
    return story();
  });
}

TEST_CASE("where a PID namespace or its /proc is refused, services run without, and it is told once") {
  if (::geteuid() != 0) GITPROC_SKIP("needs root");
  for (const Refusal& refusal : refusals) {
    INFO(refusal.what);
    CHECK(told_where_refused(refusal, [] { return two_spawns(false); }) ==
          "runs without\nruns without\nlack: services run without a PID namespace: "
          "cannot make a PID namespace: operation not permitted\n");
  }
}

TEST_CASE("so do services that are started together") {
  if (::geteuid() != 0) GITPROC_SKIP("needs root");
  for (const Refusal& refusal : refusals) {
    INFO(refusal.what);
    CHECK(told_where_refused(refusal, spawns_together) ==
          "0 do not run without\nlack: services run without a PID namespace: "
          "cannot make a PID namespace: operation not permitted\n");
  }
}

TEST_CASE("and where nothing less is wanted they are not started, and nothing is left of the attempt") {
  if (::geteuid() != 0) GITPROC_SKIP("needs root");
  for (const Refusal& refusal : refusals) {
    INFO(refusal.what);
    const std::string failed = "226 cannot make a PID namespace: operation not permitted\n";
    CHECK(told_where_refused(refusal, [] { return two_spawns(true); }) == failed + failed);
  }
}

void write_proc(const std::string& path, const std::string& text) {
  Result<UniqueFd> file = open_file(path, O_WRONLY);
  if (!file || write_all(file->get(), text) != 0) throw std::runtime_error("lack: cannot write " + path);
}

TEST_CASE("a machine that has no PID namespace to give just now is asked again by the next spawn") {
  if (::geteuid() != 0) GITPROC_SKIP("needs root");
  constexpr const char* limit = "/proc/sys/user/max_pid_namespaces";
  std::string told = told_by_an_agent([&] {
    // The limit is one of a user namespace, so nobody else's is touched.
    if (::unshare(CLONE_NEWUSER) != 0) throw std::runtime_error("lack: no user namespace");
    write_proc("/proc/self/setgroups", "deny");
    write_proc("/proc/self/uid_map", "0 0 1");
    write_proc("/proc/self/gid_map", "0 0 1");
    Machine machine(false, true);
    machine.refuses_unenforceable = false;
    machine.start_agent();
    std::string all;
    for (const char* count : {"100", "0", "100"}) {
      write_proc(limit, count);
      UnitPtr unit = shared(shell("exec sleep 1000"));
      Pid pid = machine.spawn_pid(unit);
      all += namespace_pids(pid).size() == 1 ? "runs without\n" : "runs with one\n";
      for (const std::string& lack : machine.driver->take_unavailable())
        all += lack + "\n";
      machine.kill_all(unit, pid);
      machine.wait_for<ProcessExited>();
      machine.wait_until([] { return children_of(::getpid()).empty(); });
    }
    return all;
  });
  if (told.starts_with("lack: ")) GITPROC_SKIP(told.substr(6));
  if (told.find("runs with one") == std::string::npos)
    GITPROC_SKIP("a user namespace gets no PID namespace with a /proc here");
  CHECK(told ==
        "runs with one\nruns without\nservices run without a PID namespace: "
        "cannot make a PID namespace: no space left on device\nruns with one\n");
}

}  // namespace
}  // namespace gitproc
