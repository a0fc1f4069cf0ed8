// The commands that need no agent, on real folders and repositories.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "agent/agent.h"
#include "cli/offline_for_tests.h"
#include "drivers/base/temporary_directory.h"
#include "drivers/git/init.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

void write(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

const std::string good = "[Service]\nUser=root\nExecStart=/bin/true\n";

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a folder of good units is clean") {
  TemporaryDirectory folder;
  write(folder / "web.service", good);
  OfflineOutcome outcome = run_offline({"verify", folder.path()});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out + outcome.err == "");
}

TEST_CASE("a mistake is shown with its place, wherever in the repository it is") {
  for (const char* path :
       {"bad.service", "nodes/n1/bad.service", "groups/role=web/bad.service", "bad@.service"}) {
    INFO(path);
    TemporaryDirectory folder;
    write(folder / "web.service", good);
    write(folder / path, "[Service]\nUser=root\nExecStart=/bin/true\nRestart=sometimes\n");
    OfflineOutcome outcome = run_offline({"verify", folder.path()});
    CHECK(outcome.exit_code == 1);
    CHECK(has(outcome.out, (folder / path) + ":4: error: "));
  }
}

TEST_CASE("a unit that no checked node selects is verified all the same") {
  TemporaryDirectory folder;
  write(folder / "bad.service",
        "[Service]\nUser=root\nExecStart=relative/path\n[X-GitProc]\nNodeSelector=role=web\n");
  CHECK(run_offline({"verify", folder.path()}).exit_code == 1);
}

TEST_CASE("for one node, another node's mistakes do not count") {
  TemporaryDirectory folder;
  write(folder / "web.service", good);
  write(folder / "nodes/n2/bad.service", "[Service]\nExecStart=relative/path\n");
  CHECK(run_offline({"verify", folder.path(), "--node", "n1"}).exit_code == 0);
  CHECK(run_offline({"verify", folder.path(), "--node", "n2"}).exit_code == 1);
}

TEST_CASE("what this machine lacks is a warning at its line") {
  TemporaryDirectory folder;
  write(folder / "web.service", "[Service]\nExecStart=/nonexistent/program\nUser=nobody-has-this-name\n");
  OfflineOutcome outcome = run_offline({"verify", folder / "web.service"});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out ==
        (folder / "web.service") +
            ":2: warning: ExecStart= names '/nonexistent/program', which is no executable on this machine\n" +
            (folder / "web.service") +
            ":3: warning: there is no user 'nobody-has-this-name' on this machine\n");
}

TEST_CASE("a single file that is wrong, or is no unit, is an error") {
  TemporaryDirectory folder;
  write(folder / "bad.service", "[Service]\nUser=root\n");
  write(folder / "notes.txt", "x");
  CHECK(run_offline({"verify", folder / "bad.service"}).exit_code == 1);
  CHECK(run_offline({"verify", folder / "notes.txt"}).exit_code == 1);
  CHECK(run_offline({"verify", "no-such-revision-or-path", "--repo", folder.path()}).exit_code == 1);
}

TEST_CASE("an empty unit is masked, which is no mistake") {
  TemporaryDirectory folder;
  write(folder / "off.service", "");
  CHECK(run_offline({"verify", folder.path()}).exit_code == 0);
  CHECK(run_offline({"verify", folder / "off.service"}).exit_code == 0);
}

TEST_CASE("verify shows nothing of a file outside that a unit links to") {
  TemporaryDirectory folder, outside;
  write(outside / "secret.service", "password of the machine\n");
  REQUIRE(::symlink((outside / "secret.service").c_str(), (folder / "web.service").c_str()) == 0);
  OfflineOutcome outcome = run_offline({"verify", folder.path()});
  CHECK(outcome.exit_code == 1);
  CHECK(has(outcome.out, "web.service: error: links to "));
  CHECK_FALSE(has(outcome.out, "password"));
}

TEST_CASE("init makes a repository that verifies, and says what to run next") {
  TemporaryDirectory folder;
  std::string repository = folder / "services";
  OfflineOutcome made = run_offline({"init", repository});
  CHECK(made.exit_code == 0);
  CHECK(made.out == "Made a repository in " + repository +
                        ", branch main, with the example hello.service.\n"
                        "Next:\n"
                        "  gitproc agent --repo " +
                        repository +
                        "\n"
                        "  gitproc status, in another terminal\n"
                        "Edit or add a *.service there; 'git commit' applies it at once.\n");
  CHECK(run_offline({"verify", repository}).exit_code == 0);
  CHECK(run_offline({"verify", "--repo", repository}).exit_code == 0);
  CHECK(run_offline({"verify", "HEAD", "--repo", repository}).exit_code == 0);
  OfflineOutcome again = run_offline({"init", repository});
  CHECK(again.exit_code == 0);
  CHECK(has(again.out, "nothing was changed"));
}

TEST_CASE("a plan from nothing starts what a commit holds, and to itself there is none") {
  TemporaryDirectory folder;
  std::string repository = folder / "services";
  REQUIRE(init_repository(
      repository, {{"db.service", good}, {"web.service", "[Unit]\nAfter=db.service\n" + good}}, "Add both"));
  OfflineOutcome first = run_offline({"plan", "--repo", repository, "--node", "n1", "--json"});
  CHECK(first.exit_code == 2);
  Json plan = Json::parse(first.out);
  CHECK(plan["actions"] == Json::array({{{"verb", "start"}, {"service", "db"}, {"reason", "new"}},
                                        {{"verb", "start"}, {"service", "web"}, {"reason", "new"}}}));
  CHECK(plan["node"] == "n1");
  CHECK(run_offline({"plan", "--repo", repository, "--node", "n1", "--json"}).out == first.out);
  CHECK(run_offline({"plan", "HEAD", "--from", "HEAD", "--repo", repository}).exit_code == 0);
  CHECK(run_offline({"plan", "nonsense", "--repo", repository}).exit_code == 1);
}

TEST_CASE("a commit that is invalid has no plan") {
  TemporaryDirectory folder;
  std::string repository = folder / "services";
  REQUIRE(init_repository(repository, {{"bad.service", "[Service]\nExecStart=relative/path\n"}}, "Add it"));
  OfflineOutcome outcome = run_offline({"plan", "--repo", repository});
  CHECK(outcome.exit_code == 1);
  CHECK(has(outcome.err, "bad.service:2: error: "));
}
