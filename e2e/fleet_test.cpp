// One repository, many hosts: a push reaches all of them, each runs what is its own, and who was away catches up.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "e2e/harness.h"
#include "e2e/network.h"
#include "e2e/servers.h"

using namespace e2e;

namespace {

constexpr unsigned node_count = 10;
// Labels of two of them; another one has a folder of its own.
constexpr unsigned web_node = 1, database_node = 2, named_node = 3;
constexpr unsigned stopped_node = 4, cut_off_node = 5;

std::string unit(const std::string& seconds, const std::string& more = "") {
  return "[Service]\nExecStart=/bin/sleep " + seconds + "\n" + more;
}

std::string node_name(unsigned node) { return "node-" + std::to_string(node); }

std::map<std::string, std::string> labels_of(unsigned node) {
  if (node == web_node) return {{"role", "web"}};
  if (node == database_node) return {{"role", "db"}};
  return {};
}

// A host: state, clone and network are its own.
class Node : public Sandbox {
 public:
  Node(unsigned number, const Network& network, std::string url) : number_(number), url_(std::move(url)) {
    set_launcher(network.on_host(number));
  }

  void start() {
    std::vector<std::string> arguments = {"--node", node_name(number_), "--remote", url_};
    // Beyond loopback only those take git:// who say so.
    for (const char* setting : {"remote.insecure=true", "remote.poll_interval=1s", "remote.timeout=2s"})
      arguments.insert(arguments.end(), {"--set", setting});
    arguments.insert(arguments.end(), {"--set", "repo=" + path("clone")});
    for (const auto& [key, value] : labels_of(number_))
      arguments.insert(arguments.end(), {"--label", key + "=" + value});
    start_agent(arguments);
  }

  std::set<std::string> running() {
    std::set<std::string> names;
    Json list = cli_json({"list"});
    for (const Json& service : list["services"]) {
      if (service["state"] == "running") names.insert(service["name"]);
    }
    return names;
  }

 private:
  unsigned number_;
  std::string url_;
};

// What 'gitproc nodes' says of the author's own commit.
std::map<std::string, std::set<std::string>> planned(Sandbox& author) {
  std::map<std::string, std::set<std::string>> nodes;
  Json view = author.cli_json({"nodes", "--repo", author.repo()});
  for (const Json& node : view["nodes"]) {
    for (const Json& service : node["services"])
      nodes[node["name"]].insert(service["name"]);
  }
  return nodes;
}

}  // namespace

TEST_CASE("ten nodes converge to a push, each on what is its own, who was away catches up") {
  if (!has_program("git-daemon")) GITPROC_SKIP("needs git-daemon");
  Network network(node_count);
  // Then they share this machine's loopback interface, and all but the cut cable is looked at.
  if (!network.missing().empty()) WARN("without a network for each node: " << network.missing());

  Sandbox author;
  std::string served = author.path("served/units.git");
  std::filesystem::create_directories(author.path("served"));
  run({"git", "init", "-q", "--bare", "-b", "main", served});
  author.git({"remote", "add", "origin", served});
  Json inventory;
  for (unsigned node = 0; node < node_count; ++node) {
    inventory[node_name(node)] = Json::object();
    for (const auto& [key, value] : labels_of(node))
      inventory[node_name(node)][key] = value;
  }
  author.write("nodes.json", inventory.dump());
  author.write("base.service", unit("1000"));
  author.write("groups/role=web/page.service", unit("1000"));
  author.write("database.service", unit("1000", "[X-GitProc]\nNodeSelector=role=db\n"));
  author.write("nodes/" + node_name(named_node) + "/special.service", unit("1000"));
  auto push = [&](const std::string& message) {
    std::string id = author.commit(message);
    author.git({"push", "-q", "origin", "main"});
    return id;
  };
  std::string first = push("first");

  GitDaemon server(author.path("served"), network);
  std::vector<std::unique_ptr<Node>> nodes;
  for (unsigned node = 0; node < node_count; ++node) {
    nodes.push_back(std::make_unique<Node>(node, network, server.url("units.git")));
    nodes.back()->start();
  }
  for (const auto& node : nodes)
    node->expect_applied(first);
  auto check_all = [&] {
    auto wanted = planned(author);
    CHECK(wanted.size() == node_count);
    for (unsigned node = 0; node < node_count; ++node) {
      INFO(node_name(node));
      CHECK(nodes[node]->status()["sync"] == "synced");
      CHECK(nodes[node]->running() == wanted[node_name(node)]);
    }
  };
  check_all();
  using Names = std::set<std::string>;
  CHECK(nodes[0]->running() == Names{"base"});
  CHECK(nodes[web_node]->running() == Names{"base", "page"});
  CHECK(nodes[database_node]->running() == Names{"base", "database"});
  CHECK(nodes[named_node]->running() == Names{"base", "special"});

  // One is off, another one's cable is out, while two commits are pushed.
  CHECK(nodes[stopped_node]->stop_agent() == 0);
  pid_t base = nodes[cut_off_node]->pid("base");
  bool has_cables = network.missing().empty();
  if (has_cables) {
    network.set_link(cut_off_node, false);
    nodes[cut_off_node]->expect("the remote to be missed",
                                [&] { return nodes[cut_off_node]->status()["remote"]["error"] != ""; });
  }
  author.write("groups/role=web/page.service", unit("2000"));
  push("another page");
  author.write("extra.service", unit("1000"));
  std::string third = push("extra");
  for (unsigned node = 0; node < node_count; ++node) {
    bool is_away = node == stopped_node || (has_cables && node == cut_off_node);
    if (!is_away) nodes[node]->expect_applied(third);
  }
  if (has_cables) {
    CHECK(nodes[cut_off_node]->status()["applied_commit"] == first);
    CHECK(nodes[cut_off_node]->status()["sync"] == "synced");
    CHECK(nodes[cut_off_node]->running() == Names{"base"});
    network.set_link(cut_off_node, true);
  }
  nodes[stopped_node]->start();
  nodes[stopped_node]->expect_applied(third);
  nodes[cut_off_node]->expect_applied(third);
  CHECK(nodes[cut_off_node]->pid("base") == base);
  check_all();

  // What a node would do is told beforehand, from anywhere.
  author.remove("groups/role=web/page.service");
  std::string fourth = author.commit("no page");
  for (unsigned node : {0u, web_node}) {
    std::vector<std::string> question = {"plan",   fourth,        "--from", third,
                                         "--repo", author.repo(), "--node", node_name(node)};
    for (const auto& [key, value] : labels_of(node))
      question.insert(question.end(), {"--label", key + "=" + value});
    Outcome plan = author.cli(question);
    INFO(plan.out << plan.err);
    CHECK(plan.exit_code == (node == web_node ? 2 : 0));
    CHECK((plan.out.find("page") != std::string::npos) == (node == web_node));
  }
  author.git({"push", "-q", "origin", "main"});
  for (const auto& node : nodes)
    node->expect_applied(fourth);
  check_all();
}
