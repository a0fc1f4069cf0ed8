// Rollback that holds: by itself when a commit does not get healthy, by hand, and the guard before a commit that
// removes too much; each across kill -9 of the agent.
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>

#include "e2e/harness.h"

using namespace e2e;

namespace {

const std::vector<std::string> with_auto_rollback = {"--set", "rollout.auto_rollback=true",
                                                     "--set", "rollout.min_healthy_time=1s",
                                                     "--set", "rollout.deadline=5s"};

// Runs, but its probe finds nobody.
std::string never_healthy(const std::string& file, const std::string& version) {
  return counting_unit(file, version,
                       "TimeoutStartSec=infinity\n[X-GitProc]\nHealthCheckURL=tcp://127.0.0.1:1\n"
                       "HealthCheckInterval=1s\nHealthCheckRetries=2\nHealthCheckAction=none\n");
}

// Fails at once, again and again, until its start limit.
std::string never_running(const std::string& file, const std::string& version) {
  return "[Unit]\nStartLimitBurst=3\n[Service]\nRestart=on-failure\nRestartSec=10ms\nExecStart=/bin/sh -c "
         "'echo " +
         version + " $$$$ >> " + file + "; exit 1'\n";
}

unsigned lines_with(const std::string& path, const std::string& version) {
  std::ifstream file(path);
  unsigned count = 0;
  std::string word, pid;
  while (file >> word >> pid)
    count += word == version ? 1 : 0;
  return count;
}

// How often the history says of the commit that it ended so.
unsigned ended(Sandbox& box, const std::string& commit, const std::string& outcome) {
  unsigned count = 0;
  Json history = box.cli_json({"history"});
  for (const Json& entry : history["history"])
    count += entry["commit"] == commit && entry["outcome"] == outcome ? 1 : 0;
  return count;
}

void expect_healthy(Sandbox& box, const std::string& commit) {
  box.expect("a healthy commit", [&] { return ended(box, commit, "healthy") != 0; });
}

// Two services that run well, and an agent that is killed at moments of a seed's choice. GITPROC_KILLS sets how often the
// story is told.
struct KillStory {
  KillStory(int usual_times, unsigned latest_kill_usec) : latest_usec(latest_kill_usec) {
    const char* wanted = std::getenv("GITPROC_KILLS");
    times = wanted != nullptr ? std::atoi(wanted) : usual_times;
    unsigned seed = static_cast<unsigned>(::getpid());
    random.seed(seed);
    std::cout << "seed " << seed << ", told " << times << " times\n";
    box.write("db.service", counting_unit(box.path("db")));
    box.write("web.service", counting_unit(box.path("web"), "good"));
    good = box.commit("good");
    box.start_agent(with_auto_rollback);
    expect_healthy(box, good);
    db = box.pid("db");
  }
  void kill_agent() {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % latest_usec));
    box.kill_agent();
    box.start_agent(with_auto_rollback);
  }

  unsigned latest_usec;
  int times = 0;
  std::mt19937 random;
  Sandbox box;
  std::string good;
  pid_t db = 0;
};

}  // namespace

TEST_CASE(
    "a commit with a service that never gets healthy is undone by itself, once, what still holds it is not "
    "tried, "
    "and what mends it is, at once") {
  for (auto* bad : {&never_healthy, &never_running}) {
    Sandbox box;
    box.write("db.service", counting_unit(box.path("db")));
    box.write("web.service", counting_unit(box.path("web"), "1"));
    std::string good = box.commit("good");
    box.start_agent(with_auto_rollback);
    expect_healthy(box, good);
    pid_t db = box.pid("db");

    box.write("web.service", (*bad)(box.path("web"), "2"));
    std::string failing = box.commit("failing");
    box.expect("the rollback", [&] { return ended(box, failing, "rolled-back") == 1; });
    box.expect_applied(good);
    box.expect_state("web", "running");
    Json status = box.status();
    CHECK(status["sync"] == "rejected");
    CHECK(status["desired_commit"] == good);
    CHECK(status["branch_commit"] == failing);
    CHECK(status["pinned"].is_null());
    CHECK(box.cli({"sync"}).exit_code == 1);
    unsigned attempts = lines_with(box.path("web"), "2");

    box.write("other.service", counting_unit(box.path("other")));
    std::string unrelated = box.commit("unrelated");
    box.expect("the refusal", [&] { return ended(box, unrelated, "rejected") == 1; });
    CHECK(box.status()["applied_commit"] == good);
    CHECK(box.service("other").is_null());
    CHECK(box.cli({"plan"}).out.find("held: web failed here") != std::string::npos);

    box.kill_agent();
    box.start_agent(with_auto_rollback);
    box.expect_sync("rejected");
    CHECK(lines_with(box.path("web"), "2") == attempts);

    box.write("web.service", counting_unit(box.path("web"), "3"));
    std::string mended = box.commit("mended");
    box.expect_applied(mended);
    box.expect_sync("synced");
    CHECK(lines_with(box.path("web"), "3") == 1);
    CHECK(lines_with(box.path("web"), "2") == attempts);
    CHECK(box.pid("db") == db);
    CHECK(ended(box, failing, "rolled-back") == 1);
  }
}

TEST_CASE("'sync --retry' tries again what was rolled back, and takes it when it is well now") {
  Sandbox box;
  box.write("web.service", counting_unit(box.path("web"), "1"));
  std::string good = box.commit();
  box.start_agent(with_auto_rollback);
  expect_healthy(box, good);
  // What it lacks is outside of the repository.
  box.write("web.service",
            "[Unit]\nStartLimitBurst=2\n[Service]\nRestart=on-failure\nRestartSec=10ms\n"
            "ExecStart=/bin/sh -c 'test -e " +
                box.path("there") + " && exec sleep 1000'\n");
  std::string failing = box.commit();
  box.expect("the rollback", [&] { return ended(box, failing, "rolled-back") == 1; });
  box.expect_applied(good);
  write_text(box.path("there"), "");
  CHECK(box.cli({"sync"}).exit_code == 1);
  CHECK(box.status()["applied_commit"] == good);
  Outcome retried = box.cli({"sync", "--retry"});
  INFO(retried.err);
  CHECK(retried.exit_code == 0);
  CHECK(box.status()["applied_commit"] == failing);
}

TEST_CASE("an agent that is killed at any moment of an automatic rollback goes on with it, once") {
  KillStory story(12, 150'000);
  Sandbox& box = story.box;
  for (int kill = 0; kill < story.times; ++kill) {
    std::string version = "bad" + std::to_string(kill);
    INFO(version);
    box.write("web.service", never_running(box.path("web"), version));
    box.write("new.service", counting_unit(box.path("new"), version));
    std::string failing = box.commit(version);
    story.kill_agent();
    box.expect("the rollback", [&] { return ended(box, failing, "rolled-back") != 0; });
    box.expect_applied(story.good);
    box.expect("what it added to be gone", [&] { return box.service("new").is_null(); });
    box.expect("the good one to run", [&] {
      std::string last, word, pid;
      for (std::ifstream file(box.path("web")); file >> word >> pid;)
        last = word;
      return last == "good" && box.state("web") == "running";
    });
    CHECK(ended(box, failing, "rolled-back") == 1);
    CHECK(box.status()["sync"] == "rejected");
    CHECK(box.pid("db") == story.db);
  }
  box.write("web.service", counting_unit(box.path("web"), "mended"));
  std::string mended = box.commit("mended");
  box.expect_applied(mended);
  box.expect_sync("synced");
}

// Seven kills a time.
TEST_CASE(
    "an agent that is killed at any moment of any stage of the story of a bad commit tells it as ever") {
  KillStory story(2, 120'000);
  Sandbox& box = story.box;
  for (int round = 0; round < story.times; ++round) {
    std::string number = std::to_string(round), bad = "bad" + number, mended = "mended" + number;
    INFO("round " << round);
    box.write("web.service", never_running(box.path("web"), bad));
    std::string failing = box.commit(bad);
    story.kill_agent();
    box.expect("the rollback", [&] { return ended(box, failing, "rolled-back") != 0; });
    box.expect_applied(story.good);
    unsigned attempts = lines_with(box.path("web"), bad);

    box.write("other" + number + ".service", counting_unit(box.path("other" + number)));
    std::string unrelated = box.commit("unrelated" + number);
    story.kill_agent();
    box.expect("the refusal", [&] { return ended(box, unrelated, "rejected") != 0; });
    CHECK(box.status()["applied_commit"] == story.good);
    CHECK(box.service("other" + number).is_null());

    box.write("web.service", counting_unit(box.path("web"), mended));
    std::string mending = box.commit(mended);
    story.kill_agent();
    expect_healthy(box, mending);
    CHECK(lines_with(box.path("web"), mended) == 1);
    CHECK(ended(box, failing, "rolled-back") == 1);

    // And by hand, through all three.
    CHECK(box.cli({"rollback", story.good, "--no-wait"}).exit_code == 0);
    story.kill_agent();
    box.expect_applied(story.good);
    box.write("web.service", never_running(box.path("web"), bad));
    box.commit("again " + bad);
    story.kill_agent();
    box.write("more" + number + ".service", counting_unit(box.path("more" + number)));
    box.commit("unrelated again");
    story.kill_agent();
    box.write("web.service", counting_unit(box.path("web"), "last" + number));
    std::string last = box.commit("last" + number);
    box.expect("the tip to be seen", [&] { return box.status()["branch_commit"] == last; });
    CHECK(box.status()["pinned"]["commit"] == story.good);
    CHECK(box.status()["applied_commit"] == story.good);
    CHECK(box.service("more" + number).is_null());
    CHECK(box.cli({"sync", "--no-wait"}).exit_code == 0);
    story.kill_agent();
    expect_healthy(box, last);
    CHECK(box.status()["pinned"].is_null());
    CHECK(lines_with(box.path("web"), bad) == attempts);
    CHECK(lines_with(box.path("web"), "last" + number) == 1);
    CHECK(box.pid("db") == story.db);
    story.good = last;
  }
}

TEST_CASE("a rollback by hand holds through later commits and kill -9, until sync") {
  Sandbox box;
  box.write("web.service", counting_unit(box.path("web"), "1"));
  std::string first = box.commit();
  box.start_agent(with_auto_rollback);
  expect_healthy(box, first);
  box.write("web.service", counting_unit(box.path("web"), "2"));
  expect_healthy(box, box.commit());
  CHECK(box.cli({"rollback", "HEAD~1", "--reason", "looks wrong"}).exit_code == 0);
  pid_t web = box.pid("web");
  std::string last;
  for (const char* version : {"3", "4", "5"}) {
    box.write("web.service", version == std::string("4") ? never_running(box.path("web"), version)
                                                         : counting_unit(box.path("web"), version));
    last = box.commit();
    box.kill_agent();
    box.start_agent(with_auto_rollback);
    box.expect("the tip to be seen", [&] { return box.status()["branch_commit"] == last; });
    Json status = box.status();
    CHECK(status["applied_commit"] == first);
    CHECK(status["pinned"]["reason"] == "looks wrong");
    box.expect("its adoption", [&] { return box.pid("web") == web; });
    CHECK(lines_with(box.path("web"), version) == 0);
  }
  box.expect("what is pending to be told", [&] {
    Json status = box.status();
    return status["behind"] == 4 && status["pending"]["summary"] == "would restart web";
  });
  CHECK(box.cli({"status"}).out.find("4 commits, would restart web") != std::string::npos);
  CHECK(box.cli({"sync"}).exit_code == 0);
  CHECK(box.status()["applied_commit"] == last);
  CHECK(box.status()["pinned"].is_null());
  CHECK(lines_with(box.path("web"), "5") == 1);
}

TEST_CASE(
    "a commit that would remove most services is held until it is approved, whatever happens to the agent") {
  Sandbox box;
  for (const char* name : {"a", "b", "c", "d", "e"})
    box.write(std::string(name) + ".service", counting_unit(box.path(name)));
  std::string full = box.commit("five");
  box.start_agent();
  box.expect_applied(full);
  pid_t a = box.pid("a"), e = box.pid("e");
  for (const char* name : {"c", "d", "e"})
    box.remove(std::string(name) + ".service");
  std::string pruned = box.commit("two");
  box.expect_sync("held");
  Json status = box.status();
  CHECK(status["hold"]["kind"] == "prune");
  CHECK(status["hold"]["commit"] == pruned);
  CHECK(status["hold"]["message"].get<std::string>().find("3 of 5") != std::string::npos);
  CHECK(status["applied_commit"] == full);
  CHECK(box.cli({"sync"}).exit_code == 1);
  Json plan = Json::parse(box.cli({"plan", "--json"}).out);
  CHECK(plan["guard"]["kind"] == "prune");

  box.kill_agent();
  box.start_agent();
  box.expect_sync("held");
  CHECK(box.pid("a") == a);
  CHECK(box.pid("e") == e);
  CHECK(box.cli({"approve", full}).exit_code == 1);
  CHECK(box.cli({"approve", "HEAD"}).exit_code == 0);
  CHECK(box.status()["applied_commit"] == pruned);
  CHECK(box.status()["hold"].is_null());
  CHECK_FALSE(is_alive(e));
  CHECK(box.pid("a") == a);
  CHECK(box.cli({"approve"}).exit_code == 1);
  std::string events = box.cli({"events"}).out;
  CHECK(events.find("held at " + pruned.substr(0, 12)) != std::string::npos);
  CHECK(events.find("approved at " + pruned.substr(0, 12)) != std::string::npos);

  // Back and forth by hand is nobody's mistake.
  CHECK(box.cli({"rollback", full}).exit_code == 0);
  CHECK(box.cli({"sync"}).exit_code == 0);
  CHECK(box.cli_json({"list"})["services"].size() == 2);
}

TEST_CASE("without the prune guard a commit may remove everything") {
  Sandbox box;
  box.write("a.service", counting_unit(box.path("a")));
  box.write("b.service", counting_unit(box.path("b")));
  box.commit("two");
  box.start_agent({"--set", "prune_guard=off"});
  box.expect_state("b", "running");
  box.remove("a.service");
  box.remove("b.service");
  box.write("README", "nothing left");
  box.expect_applied(box.commit("none"));
  CHECK(box.cli_json({"list"})["services"].empty());
}
