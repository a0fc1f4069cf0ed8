// The main job, end to end: commit, converge, roll back.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "e2e/harness.h"

using namespace e2e;

namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    lines.push_back(line);
  return lines;
}

void commit_becomes_live(uid_t user) {
  Sandbox box(user);
  box.write("web.service", counting_unit(box.path("starts"), "one"));
  box.write("other.service", sleeper);
  std::string first = box.commit("first");
  box.start_agent();
  box.expect_applied(first);
  CHECK(box.state("web") == "running");
  pid_t web = box.pid("web"), other = box.pid("other");
  CHECK(is_alive(web));
  CHECK(box.status()["sync"] == "synced");

  box.write("web.service", counting_unit(box.path("starts"), "two"));
  std::string second = box.commit("second");
  box.expect_applied(second);
  CHECK(box.pid("web") != web);
  CHECK_FALSE(is_alive(web));
  CHECK(box.pid("other") == other);

  CHECK(box.cli({"rollback", "HEAD~1"}).exit_code == 0);
  CHECK(box.status()["desired_commit"] == first);
  CHECK(box.status()["pinned"]["commit"] == first);
  CHECK(box.status()["behind"] == 1);
  CHECK(lines_of(box.path("starts")).back().starts_with("one "));
  CHECK(box.cli({"sync"}).exit_code == 0);
  CHECK(box.status()["pinned"].is_null());
  CHECK(lines_of(box.path("starts")).back().starts_with("two "));
  CHECK(lines_of(box.path("starts")).size() == 4);
  CHECK(box.pid("other") == other);

  box.remove("web.service");
  box.expect_applied(box.commit("third"));
  CHECK(box.state("web") == "(none)");
  CHECK(box.stop_agent() == 0);
  CHECK_FALSE(is_alive(other));
}

}  // namespace

TEST_CASE("a commit becomes live, a rollback takes it back, a sync brings it again") {
  commit_becomes_live(0);
}

TEST_CASE("the same as an ordinary user") {
  if (::geteuid() != 0) GITPROC_SKIP("needs root to become an ordinary user");
  commit_becomes_live(65534);
}

TEST_CASE("operators start, stop, restart and reload, and are told how it went") {
  Sandbox box;
  box.write("db.service", sleeper);
  box.write("web.service",
            "[Unit]\nRequires=db.service\nAfter=db.service\n[Service]\nExecStart=/bin/sleep "
            "1000\nExecReload=/bin/touch " +
                box.path("reloaded") + "\n");
  box.write("bad.service",
            "[X-GitProc]\nDesiredState=stopped\n[Service]\nType=exec\nExecStart=/no/such/program\n");
  std::string commit = box.commit();
  box.start_agent();
  box.expect_applied(commit);

  pid_t before = box.pid("web");
  Outcome restarted = box.cli({"restart", "web"});
  CHECK(restarted.exit_code == 0);
  CHECK(restarted.out.find(std::to_string(box.pid("web"))) != std::string::npos);
  CHECK(box.pid("web") != before);
  CHECK(box.cli({"reload", "web.service"}).exit_code == 0);
  CHECK(::access(box.path("reloaded").c_str(), F_OK) == 0);
  CHECK(box.cli({"reload", "db"}).exit_code == 1);

  CHECK(box.cli({"stop", "db"}).exit_code == 0);
  CHECK(box.state("db") == "stopped");
  CHECK(box.state("web") == "waiting");
  CHECK(box.service("db")["held"] == true);
  CHECK(box.cli({"status", "db"}).exit_code == 3);
  CHECK(box.cli({"start", "db"}).exit_code == 0);
  box.expect_state("web", "running");
  CHECK(box.cli({"status", "web"}).exit_code == 0);

  Outcome missing = box.cli({"start", "bad"});
  CHECK(missing.exit_code == 1);
  CHECK(missing.err.find("203") != std::string::npos);
  CHECK(box.cli({"start", "nobody"}).exit_code == 4);
  CHECK(box.cli({"status", "nobody"}).exit_code == 4);
  CHECK(box.cli({"frobnicate"}).exit_code == 2);
}

TEST_CASE("a service is spoken of by its other names, too") {
  Sandbox box;
  box.write("cache.service", std::string(sleeper) + "[Install]\nAlias=store.service\n");
  REQUIRE(::symlink("cache.service", (box.repo() + "/memory.service").c_str()) == 0);
  box.start_agent();
  box.expect_applied(box.commit("one service with three names"));
  CHECK(box.cli_json({"status", "store"})["name"] == "cache");
  CHECK(box.cli_json({"status", "memory"})["name"] == "cache");
  CHECK(box.cli({"stop", "store"}).exit_code == 0);
  CHECK(box.service("cache")["held"] == true);
  CHECK(box.cli({"start", "memory"}).exit_code == 0);
  CHECK(box.state("cache") == "running");
  CHECK(box.cli({"logs", "store"}).exit_code == 0);
  CHECK(box.cli({"why", "memory.service"}).exit_code == 0);
  CHECK(box.cli({"status", "stores"}).exit_code == 4);
}

TEST_CASE("output is captured, shown and followed") {
  Sandbox box;
  box.write("talk.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo out; echo err >&2'\n");
  std::string commit = box.commit();
  box.start_agent();
  box.expect_state("talk", "completed");
  CHECK(read_text(box.path("log/talk.log")) == "out\nerr\n");
  CHECK(box.cli({"logs", "talk", "-n", "1"}).out.find("err") != std::string::npos);
  CHECK(box.cli_json({"history"})["history"][0]["commit"] == commit);
  CHECK(box.cli({"events"}).out.find("talk") != std::string::npos);
  box.write("talk.service", "[Service]\nType=oneshot\nExecStart=/bin/echo again\n");
  std::string changed = box.commit();
  box.expect_applied(changed);
  CHECK(box.cli({"why", "talk"}).out.find("talk.service:3: ExecStart=/bin/echo again") != std::string::npos);
}

TEST_CASE("a crash is restarted as Restart= says, and a start limit ends it") {
  Sandbox box;
  box.write("flaky.service",
            "[Service]\nExecStart=/bin/sh -c 'exit 3'\nRestart=on-failure\nRestartSec=20ms\n");
  box.write("steady.service", sleeper + "Restart=always\nRestartSec=0\n");
  box.commit();
  box.start_agent();
  box.expect_state("flaky", "failed");
  CHECK(box.service("flaky")["restarts"] == 5);
  CHECK(box.service("flaky")["exit_code"] == 3);
  box.expect_sync("degraded");
  pid_t before = box.pid("steady");
  ::kill(before, SIGKILL);
  box.expect("steady to run again", [&] { return box.pid("steady") != 0 && box.pid("steady") != before; });
  CHECK(box.service("steady")["restarts"] == 1);
}

TEST_CASE("a stop takes the whole tree of processes, double forks and all") {
  if (::geteuid() != 0) GITPROC_SKIP("needs root for cgroups");
  Sandbox box;
  box.write("tree.service",
            "[Service]\nPrivatePIDs=no\nTimeoutStopSec=1\nExecStart=/bin/sh -c 'trap \"\" TERM; (setsid sh "
            "-c \"trap "
            "\\\\\"\\\\\" TERM; echo $$$$ > " +
                box.path("child") + "; while :; do sleep 1; done\" &) ; while :; do sleep 1; done'\n");
  box.commit();
  box.start_agent();
  box.expect("the child", [&] { return !read_text(box.path("child")).empty(); });
  pid_t child = std::stoi(read_text(box.path("child"))), main = box.pid("tree");
  CHECK(box.cli({"stop", "tree"}).exit_code == 0);
  CHECK_FALSE(is_alive(child));
  CHECK_FALSE(is_alive(main));
}

TEST_CASE("data of the repository is exported, and a change of it reloads who asked for that") {
  Sandbox box;
  box.write("site/page.txt", "one");
  box.write("web.service", "[Service]\nExecStart=/bin/sh -c 'cat $GITPROC_TREE/site/page.txt > " +
                               box.path("seen") + "; exec sleep 1000'\nExecReload=/bin/cp %R/site/page.txt " +
                               box.path("seen") + "\n[X-GitProc]\nReloadOn=site\n");
  std::string first = box.commit();
  box.start_agent();
  box.expect_applied(first);
  box.expect("the first page", [&] { return read_text(box.path("seen")) == "one"; });
  pid_t before = box.pid("web");
  box.write("site/page.txt", "two");
  box.expect_applied(box.commit());
  CHECK(read_text(box.path("seen")) == "two");
  CHECK(box.pid("web") == before);
  CHECK(read_text(box.path("state/tree/site/page.txt")) == "two");
  CHECK(::access(box.path("state/tree/web.service").c_str(), F_OK) != 0);
}

TEST_CASE("an exported tree that was changed by hand is put back, and told of") {
  Sandbox box;
  box.write("a.service", sleeper);
  std::filesystem::create_directories(box.repo() + "/conf/deep");
  box.write("conf/deep/page", "one\n");
  std::string commit = box.commit();
  box.start_agent();
  box.expect_applied(commit);
  const std::string page = box.path("state/tree/conf/deep/page");
  auto is_as_before = [&] {
    return read_text(page) == "one\n" && !std::filesystem::exists(box.path("state/tree/more"));
  };
  auto count_told = [&] {
    const Json events = box.cli_json({"events"})["events"];
    return std::count_if(events.begin(), events.end(),
                         [](const Json& event) { return event["kind"] == "drift"; });
  };
  // Each change waits for the event of the one before: what is changed while the tree is being put back is told of
  // together with what came before.
  write_text(page, "two\n");
  box.expect("the content back", is_as_before);
  box.expect("an event", [&] { return count_told() == 1; });
  write_text(box.path("state/tree/more"), "x");
  box.expect("the new file gone", is_as_before);
  box.expect("two events", [&] { return count_told() == 2; });
  std::filesystem::rename(box.path("state/tree/conf"), box.path("gone"));
  box.expect("the folder back", [&] { return std::filesystem::exists(page) && is_as_before(); });
  box.expect("three events", [&] { return count_told() == 3; });

  // A commit is no drift.
  box.write("conf/deep/page", "two\n");
  box.expect_applied(box.commit());
  CHECK(read_text(page) == "two\n");
  CHECK(count_told() == 3);
}

TEST_CASE("every way to move a branch is noticed") {
  Sandbox box;
  box.write("a.service", counting_unit(box.path("starts"), "one"));
  std::string first = box.commit();
  box.start_agent();
  box.expect_applied(first);
  box.write("a.service", counting_unit(box.path("starts"), "two"));
  box.expect_applied(box.commit());
  box.git({"reset", "-q", "--hard", first});
  box.expect_applied(first);
  box.git({"pack-refs", "--all"});
  box.write("a.service", counting_unit(box.path("starts"), "three"));
  box.expect_applied(box.commit());
  box.git({"update-ref", "refs/heads/main", first});
  box.expect_applied(first);
  box.git({"branch", "testing", "main"});
  box.git({"symbolic-ref", "HEAD", "refs/heads/testing"});
  box.write("a.service", counting_unit(box.path("starts"), "four"));
  box.expect_applied(box.commit());
  CHECK(box.status()["branch"] == "testing");
}

TEST_CASE("another branch is followed by switch, durably, until it is switched back") {
  Sandbox box;
  box.write("a.service", counting_unit(box.path("starts"), "main"));
  std::string main = box.commit();
  box.git({"checkout", "-q", "-b", "testing"});
  box.write("a.service", counting_unit(box.path("starts"), "testing"));
  std::string testing = box.commit();
  box.git({"checkout", "-q", "main"});
  box.start_agent({"--branch", "main"});
  box.expect_applied(main);
  CHECK(box.cli({"switch", "nowhere"}).exit_code == 1);
  CHECK(box.cli({"switch", "testing"}).exit_code == 0);
  box.expect_applied(testing);
  box.stop_agent();
  box.start_agent({"--branch", "main"});
  box.expect_applied(testing);
  CHECK(box.cli({"switch"}).exit_code == 0);
  box.expect_applied(main);
  CHECK(box.status()["branch"] == "main");
}

TEST_CASE("back from another branch the node is on the one that HEAD names, by name, too") {
  Sandbox box;
  box.write("a.service", sleeper);
  std::string main = box.commit();
  box.git({"branch", "testing"});
  box.start_agent();
  box.expect_applied(main);
  CHECK(box.cli_json({"switch", "testing"})["branch"] == "testing");
  CHECK(box.status()["branch"] == "testing");
  CHECK(box.cli_json({"switch"})["branch"] == "main");
  CHECK(box.status()["branch"] == "main");
}

TEST_CASE("templates, drop-ins, groups and nodes decide what this node runs") {
  Sandbox box;
  box.write("worker@.service",
            "[Service]\nExecStart=/bin/sh -c 'echo %i > " + box.path("worker-%i") + "; exec sleep 1000'\n");
  box.git({"-c", "core.symlinks=true", "status", "-s"});
  REQUIRE(::symlink("worker@.service", (box.repo() + "/worker@a.service").c_str()) == 0);
  box.write("plain.service", sleeper);
  box.write("plain.service.d/10.conf", "[Unit]\nDescription=from a drop-in\n");
  box.write("groups/role=web/web.service", sleeper);
  box.write("groups/role=db/db.service", sleeper);
  box.write("nodes/n1/own.service", sleeper);
  box.write("nodes/n2/foreign.service", sleeper);
  box.write("picky.service", sleeper + "[X-GitProc]\nNodeSelector=role!=web\n");
  std::string commit = box.commit();
  box.start_agent({"--node", "n1", "--label", "role=web"});
  box.expect_applied(commit);
  std::set<std::string> names;
  Json list = box.cli_json({"list"});
  for (const Json& service : list["services"])
    names.insert(service["name"]);
  CHECK(names == std::set<std::string>{"own", "plain", "web", "worker@a"});
  CHECK(box.service("plain")["description"] == "from a drop-in");
  box.expect("the instance", [&] { return read_text(box.path("worker-a")) == "a\n"; });
}

TEST_CASE("a health check over HTTP or TCP gates dependents, and its failure restarts the service") {
  if (run({"perl", "-MIO::Socket::INET", "-e", "1"}).exit_code != 0) GITPROC_SKIP("perl is not installed");
  Sandbox box;
  std::string port = std::to_string(20000 + ::getpid() % 20000);
  // Answers 503 when the file `sick` is there.
  write_text(box.path("server.pl"),
             "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalAddr=>'127.0.0.1',LocalPort=>" + port +
                 ",Listen=>9,ReuseAddr=>1) or die; while (my $c = $s->accept) { my $l = <$c>; my $st = -e '" +
                 box.path("sick") +
                 "' ? '503 No' : '200 OK'; print $c \"HTTP/1.0 $st\\r\\nContent-Length: 2\\r\\n\\r\\nok\"; "
                 "close $c }\n");
  box.write("api.service", "[Service]\nExecStartPre=/bin/rm -f " + box.path("sick") +
                               "\nExecStart=/usr/bin/perl " + box.path("server.pl") +
                               "\nRestartSec=0\nEnvironment=PORT=" + port +
                               "\n[X-GitProc]\nHealthCheckURL=http://127.0.0.1:$PORT/"
                               "\nHealthCheckInterval=200ms\nHealthCheckRetries=2\n");
  box.write("client.service", "[Unit]\nRequires=api.service\nAfter=api.service\n" + sleeper);
  std::string commit = box.commit();
  box.start_agent();
  box.expect_applied(commit);
  CHECK(box.service("api")["health"] == "healthy");
  CHECK(box.state("client") == "running");
  pid_t before = box.pid("api");
  write_text(box.path("sick"), "");
  box.expect("the api to be restarted", [&] {
    Json api = box.service("api");
    return api["pid"].is_number() && api["pid"] != before && api["health"] == "healthy";
  });
}

TEST_CASE("a health check by a command runs in the service's surroundings, and status tells what it found") {
  Sandbox box;
  const std::string probe =
      "HealthCheckExec=/bin/sh -c 'test ! -e $SICK || { echo it is sick >&2; exit 3; }'\n";
  auto unit = [&](const std::string& health) {
    return "[Service]\nExecStartPre=/bin/rm -f " + box.path("sick") + "\nExecStart=/bin/sleep 1000\n" +
           "RestartSec=0\nEnvironment=SICK=" + box.path("sick") + "\n[X-GitProc]\n" + health;
  };
  box.write("web.service", unit(""));
  std::string commit = box.commit();
  box.start_agent();
  box.expect_applied(commit);
  pid_t before = box.pid("web");
  CHECK(box.service("web")["health"] == "none");

  // Health settings apply to the process that runs.
  box.write("web.service",
            unit(probe + "HealthCheckInterval=200ms\nHealthCheckRetries=2\nHealthCheckSuccessThreshold=2\n"));
  box.expect_applied(box.commit());
  box.expect("it to be healthy", [&] { return box.service("web")["health"] == "healthy"; });
  CHECK(box.pid("web") == before);

  write_text(box.path("sick"), "");
  box.expect("it to be restarted", [&] {
    Json web = box.service("web");
    return web["pid"].is_number() && web["pid"] != before && web["health"] == "healthy";
  });
  CHECK(box.service("web")["restarts"] == 1);
  bool has_failure = false;
  Json probes = box.cli_json({"status", "web"})["probes"];
  for (const Json& result : probes) {
    has_failure |= result["healthy"] == false && result["detail"] == "exited with status 3: it is sick" &&
                   result["duration"].is_number() && result["at"].is_string();
  }
  CHECK(has_failure);
  CHECK(probes.size() <= 10);
}
