// Which node runs what, by real repositories alone.
#include <nlohmann/json.hpp>

#include "cli/offline_for_tests.h"
#include "drivers/base/temporary_directory.h"
#include "drivers/git/init.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

using Json = nlohmann::json;

const std::string good = "[Service]\nUser=root\nExecStart=/bin/true\n";
const std::string for_web = good + "[X-GitProc]\nNodeSelector=role=web\nDesiredState=stopped\n";

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Json service(const std::string& name, const std::string& file, const std::string& desired = "running") {
  return {{"name", name}, {"file", file}, {"desired", desired}};
}

}  // namespace

TEST_CASE("the nodes of folders and of nodes.json run what selectors, groups and folders say") {
  TemporaryDirectory folder;
  std::string repository = folder / "services";
  REQUIRE(init_repository(repository,
                          {{"all.service", good},
                           {"web.service", for_web},
                           {"groups/role=web/cache.service", good},
                           {"nodes/n1/all.service", good},
                           {"nodes.json", R"({"n2": {"role": "web"}, "n3": {}})"}},
                          "Add them"));
  OfflineOutcome outcome = run_offline({"nodes", "--repo", repository, "--json"});
  CHECK(outcome.exit_code == 0);
  Json nodes = Json::parse(outcome.out)["nodes"];
  CHECK(nodes ==
        Json::array({{{"name", "n1"},
                      {"labels", Json::object()},
                      {"services", {service("all", "nodes/n1/all.service")}},
                      {"errors", Json::array()}},
                     {{"name", "n2"},
                      {"labels", {{"role", "web"}}},
                      {"services",
                       {service("all", "all.service"), service("cache", "groups/role=web/cache.service"),
                        service("web", "web.service", "stopped")}},
                      {"errors", Json::array()}},
                     {{"name", "n3"},
                      {"labels", Json::object()},
                      {"services", {service("all", "all.service")}},
                      {"errors", Json::array()}}}));
  CHECK(run_offline({"nodes", "HEAD", "--repo", repository}).out ==
        "n1\t-\tall\nn2\trole=web\tall, cache, web (stopped)\nn3\t-\tall\n");
}

TEST_CASE("a node that cannot apply the commit fails the check, and says why") {
  TemporaryDirectory folder;
  std::string repository = folder / "services";
  REQUIRE(init_repository(repository,
                          {{"all.service", good},
                           {"nodes/n1/bad.service", "[Service]\nExecStart=relative/path\n"},
                           {"nodes/n2/fine.service", good}},
                          "Add them"));
  OfflineOutcome outcome = run_offline({"nodes", "--repo", repository});
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.out == "n1\t-\tcannot apply the commit\nn2\t-\tall, fine\n");
  CHECK(has(outcome.err, "n1: nodes/n1/bad.service:2: error: "));
}

TEST_CASE("a nodes.json that is wrong is an error that says where") {
  auto error_of = [](const std::string& text) {
    TemporaryDirectory folder;
    REQUIRE(init_repository(folder / "services", {{"nodes.json", text}}, "Add it"));
    OfflineOutcome outcome = run_offline({"nodes", "--repo", folder / "services"});
    CHECK(outcome.exit_code == 1);
    return outcome.err;
  };
  CHECK(has(error_of("[]"), "cannot use 'nodes.json': it is not an object of nodes"));
  CHECK(has(error_of("{\n"), "cannot use 'nodes.json': malformed JSON at line 2, column 1"));
  CHECK(has(error_of(R"({"a/b": {}})"), "'a/b' is no name of a node"));
  CHECK(has(error_of(R"({"n1": ["web"]})"), "the labels of 'n1' are not an object"));
  CHECK(has(error_of(R"({"n1": {"role": 3}})"), "label 'role' of 'n1' is not text"));
  CHECK(has(error_of(std::string(100'000, '[')), "cannot use 'nodes.json': JSON is nested deeper than 64"));
}

TEST_CASE("a repository without nodes has none, and an unknown revision is an error") {
  TemporaryDirectory folder;
  std::string repository = folder / "services";
  REQUIRE(init_repository(repository, {{"all.service", good}}, "Add it"));
  OfflineOutcome outcome = run_offline({"nodes", "--repo", repository, "--json"});
  CHECK(outcome.exit_code == 0);
  CHECK(Json::parse(outcome.out)["nodes"] == Json::array());
  CHECK(run_offline({"nodes", "nonsense", "--repo", repository}).exit_code == 1);
}

TEST_CASE("a plan for another node follows its name and labels, and nothing of the machine it is made on") {
  TemporaryDirectory folder;
  std::string repository = folder / "services";
  REQUIRE(init_repository(repository,
                          {{"web.service",
                            "[Service]\nUser=root\nExecStart=/bin/echo %H %m %b\n[X-GitProc]\n"
                            "NodeSelector=role=web\n"},
                           {"nodes/n2/own.service", good}},
                          "Add both"));
  auto plan = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"plan", "HEAD", "--repo", repository, "--json"});
    return run_offline(more).out;
  };
  std::string web = plan({"--node", "n1", "--label", "role=web", "--label", "zone=a"});
  CHECK(plan({"--label", "zone=a", "--label", "role=web", "--node", "n1"}) == web);
  CHECK(Json::parse(web)["actions"] ==
        Json::array({{{"verb", "start"}, {"service", "web"}, {"reason", "new"}}}));
  CHECK(Json::parse(plan({"--node", "n2"}))["actions"] ==
        Json::array({{{"verb", "start"}, {"service", "own"}, {"reason", "new"}}}));
}
