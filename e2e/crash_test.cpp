// kill -9 of the agent at any moment: what runs goes on running, nothing runs twice, nothing is forgotten.
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "e2e/harness.h"

using namespace e2e;

namespace {

// The pids that started, by argument, from the lines of counting_unit.
std::map<std::string, std::vector<pid_t>> starts_in(const std::string& path) {
  std::map<std::string, std::vector<pid_t>> starts;
  std::ifstream file(path);
  std::string argument;
  pid_t pid = 0;
  while (file >> argument >> pid)
    starts[argument].push_back(pid);
  return starts;
}

}  // namespace

TEST_CASE("an agent that was killed finds its services again, and notices their ends") {
  Sandbox box;
  for (int i = 0; i < 5; ++i)
    box.write("s" + std::to_string(i) + ".service",
              counting_unit(box.path("starts" + std::to_string(i))) + "Restart=always\nRestartSec=0\n");
  box.write("job.service",
            "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo run >> " + box.path("job") + "'\n");
  std::string commit = box.commit();
  box.start_agent();
  box.expect_applied(commit);
  std::map<std::string, pid_t> before;
  Json list = box.cli_json({"list"});
  for (const Json& service : list["services"]) {
    if (service["pid"].is_number()) before[service["name"]] = service["pid"];
  }
  CHECK(box.cli({"stop", "s4"}).exit_code == 0);
  before.erase("s4");
  box.kill_agent();
  for (const auto& [name, pid] : before)
    CHECK(is_alive(pid));

  box.start_agent();
  box.expect_applied(commit);
  for (const auto& [name, pid] : before)
    CHECK(box.pid(name) == pid);
  CHECK(box.state("s4") == "stopped");
  CHECK(box.service("s4")["held"] == true);
  CHECK(box.state("job") == "completed");
  CHECK(read_text(box.path("job")) == "run\n");

  ::kill(before["s0"], SIGKILL);
  box.expect("s0 to run again", [&] { return box.pid("s0") != 0 && box.pid("s0") != before["s0"]; });
}

TEST_CASE("what was committed while the agent was away is all that is done when it is back") {
  Sandbox box;
  box.write("a.service", counting_unit(box.path("a")));
  box.write("b.service", counting_unit(box.path("b")));
  box.write("c.service", counting_unit(box.path("c")));
  std::string first = box.commit();
  box.start_agent();
  box.expect_applied(first);
  pid_t a = box.pid("a"), b = box.pid("b"), c = box.pid("c");
  box.kill_agent();
  box.write("b.service", counting_unit(box.path("b"), "2"));
  box.write("a.service", counting_unit(box.path("a")) + "RestartSec=7\n");
  box.remove("c.service");
  std::string second = box.commit();
  box.start_agent();
  box.expect_applied(second);
  CHECK(box.pid("a") == a);
  CHECK(box.pid("b") != b);
  CHECK_FALSE(is_alive(c));
  CHECK(starts_in(box.path("b"))["2"].size() == 1);
}

TEST_CASE("an ordered end with on_exit=leave is adopted like a crash") {
  Sandbox box;
  box.write("a.service", counting_unit(box.path("a")));
  std::string commit = box.commit();
  box.start_agent({"--set", "on_exit=leave"});
  box.expect_applied(commit);
  pid_t a = box.pid("a");
  CHECK(box.stop_agent() == 0);
  CHECK(is_alive(a));
  box.start_agent();
  box.expect_applied(commit);
  CHECK(box.pid("a") == a);
}

// The shows of the main job: 200 kills at random moments. GITPROC_KILLS sets another number; ./dev test does 40.
TEST_CASE(
    "killed at random moments while commits are applied, it converges, nothing runs twice, nothing restarts "
    "needlessly") {
  const char* wanted = std::getenv("GITPROC_KILLS");
  int kills = wanted != nullptr ? std::atoi(wanted) : 40;
  unsigned seed = static_cast<unsigned>(::getpid());
  std::cout << "seed " << seed << ", " << kills << " kills\n";
  std::mt19937 random(seed);
  auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  constexpr int services = 6;

  Sandbox box;
  std::map<int, int> version;
  auto write_unit = [&](int i) {
    std::string name = "s" + std::to_string(i);
    std::string text = "[Unit]\n";
    if (i % 2 == 1) text += "After=s" + std::to_string(i - 1) + ".service\n";
    box.write(name + ".service", text + counting_unit(box.path(name), std::to_string(version[i]),
                                                      "Restart=always\nRestartSec=0\n"));
  };
  box.write("job.service",
            "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo 0 $$$$ >> " + box.path("job") + "'\n");
  for (int i = 0; i < services; ++i)
    write_unit(i);
  std::string last = box.commit();
  box.start_agent();
  for (int kill = 0; kill < kills; ++kill) {
    for (int change = 0; change <= below(3); ++change) {
      int i = below(services);
      ++version[i];
      write_unit(i);
    }
    last = box.commit();
    std::this_thread::sleep_for(std::chrono::microseconds(below(30'000)));
    box.kill_agent();
    box.start_agent();
  }
  box.expect_applied(last);
  box.expect_sync("synced");
  for (int i = 0; i < services; ++i) {
    std::string name = "s" + std::to_string(i);
    INFO(name);
    std::string current = std::to_string(version[i]);
    std::map<std::string, std::vector<pid_t>> starts = starts_in(box.path(name));
    // Each version was started at most once, the last one exactly once, and only that one lives.
    for (const auto& [argument, pids] : starts) {
      INFO("version " << argument);
      CHECK(pids.size() == 1);
      for (pid_t pid : pids)
        CHECK((argument == current || !is_alive(pid)));
    }
    REQUIRE(starts[current].size() == 1);
    CHECK(box.pid(name) == starts[current].front());
  }
  CHECK(starts_in(box.path("job"))["0"].size() == 1);
}
