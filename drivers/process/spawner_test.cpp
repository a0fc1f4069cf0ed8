// The Spawner by itself; what it does for the driver is tested with that.
#include "drivers/process/spawner.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "drivers/base/system_call.h"
#include "drivers/base/temporary_directory.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

ExecSpec shell_spec(const std::string& script) {
  ExecSpec spec;
  spec.path = "/bin/sh";
  spec.argv = {"sh", "-c", script};
  spec.working_directory = "/";
  return spec;
}

UniqueFd open_journal(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
}

int exit_code_of(Pid pid) {
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

TEST_CASE("on an old kernel, spawning is done the plain way with the same result") {
  Spawner spawner({.is_plain = true});
  TemporaryDirectory directory;
  UniqueFd journal = open_journal(directory / "journal");
  auto spawned =
      spawner.spawn(shell_spec("trap 'exit 5' USR1; kill -USR1 $$; exit 1"), journal.get(), "\nspawn ", {});
  REQUIRE(spawned);
  CHECK(exit_code_of(spawned->main) == 5);
  CHECK(
      read_file(directory / "journal", 1000)->starts_with("\nspawn " + std::to_string(spawned->main) + " "));
}

TEST_CASE("processes that are on their way at once neither mix nor hold each other up") {
  Spawner spawner({.is_plain = GENERATE(false, true)});
  TemporaryDirectory directory;
  UniqueFd journal = open_journal(directory / "journal");
  for (int round = 0; round < 20; ++round) {
    for (std::size_t i = 0; i < Spawner::max_underway; ++i) {
      ExecSpec spec = shell_spec("exit " + std::to_string(10 + i));
      if (i == 1) spec.path = "/nonexistent";
      REQUIRE_FALSE(spawner.begin(spec, journal.get(), "\nspawn " + std::to_string(i) + " ", {}));
    }
    for (std::size_t i = 0; i < Spawner::max_underway; ++i) {
      Spawner::Outcome outcome = spawner.finish_first();
      REQUIRE(outcome.has_value() == (i != 1));
      if (!outcome) {
        CHECK(outcome.error().exit_code == 203);
        continue;
      }
      CHECK(exit_code_of(outcome->main) == 10 + static_cast<int>(i));
      std::string record = "spawn " + std::to_string(i) + " " + std::to_string(outcome->main) + " ";
      CHECK(read_file(directory / "journal", 1 << 20)->find(record) != std::string::npos);
    }
  }
  CHECK(spawner.underway() == 0);
}

// It shares the thread's memory, and `errno` is in it.
TEST_CASE("what fails in a process on its way does not show in the errno of the agent") {
  Spawner spawner({});
  TemporaryDirectory directory;
  UniqueFd journal = open_journal(directory / "journal");
  for (int round = 0; round < 200; ++round) {
    ExecSpec spec = shell_spec("");
    spec.path = "/nonexistent";
    REQUIRE_FALSE(spawner.begin(spec, journal.get(), "\nspawn ", {}));
    volatile int* number = &errno;
    *number = ENOTNAM;
    siginfo_t info{};
    while (info.si_pid == 0 && *number == ENOTNAM)
      if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) FAIL("no child");
    CHECK(*number == ENOTNAM);
    REQUIRE_FALSE(spawner.finish_first());
  }
}

}  // namespace
}  // namespace gitproc
