#include "drivers/process/hook_runner.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "drivers/base/system_call.h"
#include "drivers/base/temporary_directory.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

// Waits for the next child to end, tells the runner of it, and returns its wait status.
int await_end(HookRunner& runner) {
  int status = 0;
  pid_t pid = ::waitpid(-1, &status, 0);
  REQUIRE(pid > 0);
  CHECK(runner.ended(pid));
  CHECK_FALSE(runner.is_running());
  return status;
}

std::vector<std::string> shell(const std::string& script) { return {"/bin/sh", "-c", script}; }

}  // namespace

TEST_CASE("a command gets its input, its variables over the agent's, and a process group of its own") {
  TemporaryDirectory folder;
  std::string out = folder.path() + "/out";
  ::setenv("GITPROC_HOOK_TEST", "the agent's", 1);
  ::setenv("GITPROC_HOOK_KEPT", "kept", 1);
  HookRunner runner;
  REQUIRE(runner.start(shell("{ cat; echo $GITPROC_HOOK_TEST $GITPROC_HOOK_KEPT; "
                             "[ $(ps -o pgid= -p $$) = $$ ] && echo leads; } > " +
                             out),
                       {"GITPROC_HOOK_TEST=given"}, "a line\n"));
  CHECK(runner.is_running());
  int status = await_end(runner);
  CHECK(WIFEXITED(status));
  std::string text = *read_file(out, 4096);
  CHECK(text.starts_with("a line\ngiven kept\n"));
  bool has_ps = ::access("/bin/ps", X_OK) == 0 || ::access("/usr/bin/ps", X_OK) == 0;
  if (has_ps) CHECK(text == "a line\ngiven kept\nleads\n");
}

TEST_CASE("a command that does not read its input, however long, makes nobody wait") {
  HookRunner runner;
  REQUIRE(runner.start(shell("exit 7"), {}, std::string(4u << 20, 'x')));
  int status = await_end(runner);
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("signals that the agent blocks or ignores are as usual for a command") {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  HookRunner runner;
  REQUIRE(runner.start(shell("kill -TERM $$; exit 0"), {}, ""));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  int status = await_end(runner);
  CHECK(WIFSIGNALED(status));
}

TEST_CASE("what cannot be run is told, and nothing runs") {
  HookRunner runner;
  Result<void> started = runner.start({"/nonexistent/command"}, {}, "");
  REQUIRE_FALSE(started);
  CHECK(started.error().message == "cannot run '/nonexistent/command': no such file or directory");
  CHECK_FALSE(runner.is_running());
  CHECK_FALSE(runner.ended(0));
}

TEST_CASE("a kill takes what the command started along") {
  HookRunner runner;
  // The child of the command holds a pipe open: its end of file is the end of both.
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(runner.start(shell("sleep 1000 & sleep 1000"), {}, ""));
  ::close(ends[1]);
  CHECK_FALSE(runner.ended(::getpid()));
  runner.kill();
  int status = await_end(runner);
  CHECK(WTERMSIG(status) == SIGKILL);
  char byte;
  CHECK(::read(ends[0], &byte, 1) == 0);
  ::close(ends[0]);
  runner.kill();  // of nothing
}
