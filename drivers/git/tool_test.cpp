#include "drivers/git/tool.h"

#include <unistd.h>

#include <vector>

#include "testing/catch.h"

using namespace gitproc;

namespace {

Result<ToolWords> shell(const std::string& script, std::chrono::milliseconds deadline = tool_deadline,
                        const std::string& input = "", std::vector<std::string> files = {}) {
  std::vector<ToolRun> runs = {{.arguments = {"-c", script}, .input = input, .files = std::move(files)}};
  return run_tool("/bin/sh", runs, deadline).front();
}

std::string words(const Result<ToolWords>& result) { return result ? result->out : result.error().message; }

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a tool reads its input and files, and its words come back") {
  Result<ToolWords> result =
      shell("cat; cat /dev/fd/4 /dev/fd/3; echo bad >&2", tool_deadline, "one ", {"three", "two "});
  REQUIRE(result);
  CHECK(*result == ToolWords{"one two three", "bad\n"});
}

TEST_CASE("a tool gets nothing of the agent's: no environment, no descriptors, no privileges") {
  ::setenv("GITPROC_TEST_SECRET", "x", 1);
  std::string seen = words(shell("env; ls -l /proc/self/fd | grep -c pipe; id -u; ulimit -c"));
  ::unsetenv("GITPROC_TEST_SECRET");
  CHECK(has(seen, "LC_ALL=C"));
  CHECK_FALSE(has(seen, "SECRET"));
  CHECK(has(seen, ::geteuid() == 0 ? "\n65534\n0\n" : "\n0\n"));
}

TEST_CASE("a tool that hangs or talks without end is a fault") {
  CHECK(words(shell("sleep 1000", std::chrono::milliseconds(50))) ==
        "cannot ask '/bin/sh': it did not end in time");
  CHECK(words(shell("exec >&- 2>&-; sleep 1000")) == "");  // nothing more to hear from it
  CHECK(words(shell("yes")) == "cannot ask '/bin/sh': it prints too much");
}

TEST_CASE("a tool that is not there is a fault") {
  CHECK(find_tool("sh"));
  CHECK(find_tool("no-such-tool").error().message == "no-such-tool is not installed");
#if defined(__SANITIZE_THREAD__)
  GITPROC_SKIP("the thread sanitizer makes vfork(2) a fork(2), whose child cannot say why it failed");
#else
  std::vector<ToolRun> runs = {{}};
  CHECK(words(run_tool("/no/such/tool", runs).front()) ==
        "cannot run '/no/such/tool': no such file or directory");
#endif
}

TEST_CASE("many runs are answered in their order") {
  std::vector<ToolRun> runs;
  for (int i = 0; i < 20; ++i)
    runs.push_back({.arguments = {"-c", "echo " + std::to_string(i)}, .input = "", .files = {}});
  auto results = run_tool("/bin/sh", runs);
  for (std::size_t i = 0; i < runs.size(); ++i)
    CHECK(words(results[i]) == std::to_string(i) + "\n");
}
