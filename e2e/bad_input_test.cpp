// Mistakes and malice in commits and requests: a clear message at the right place, and what runs goes on running.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "e2e/harness.h"

using namespace e2e;

namespace {}  // namespace

TEST_CASE("a bad commit is rejected whole, with file and line, and verify finds the same before") {
  struct Mistake {
    std::string what;
    std::function<void(Sandbox&)> make;
    std::string file;
    unsigned line;
    std::string message;  // a part of it
  };
  const Mistake mistakes[] = {
      {"a wrong value",
       [](Sandbox& box) { box.write("bad.service", "[Service]\nExecStart=/bin/true\nRestart=maybe\n"); },
       "bad.service", 3, "maybe"},
      {"a bad quote", [](Sandbox& box) { box.write("bad.service", "[Service]\nExecStart=/bin/echo \"a\n"); },
       "bad.service", 2, ""},
      {"no ExecStart", [](Sandbox& box) { box.write("bad.service", "[Unit]\nDescription=x\n"); },
       "bad.service", 0, "ExecStart"},
      {"a missing requirement",
       [](Sandbox& box) { box.write("bad.service", "[Unit]\nRequires=ghost.service\n" + sleeper); },
       "bad.service", 0, "ghost"},
      {"a cycle",
       [](Sandbox& box) {
         box.write("x.service", "[Unit]\nAfter=y.service\n" + sleeper);
         box.write("y.service", "[Unit]\nAfter=x.service\n" + sleeper);
       },
       "", 0, "->"},
      {"no UTF-8", [](Sandbox& box) { box.write("bad.service", "[Service]\nExecStart=/bin/echo \xff\n"); },
       "bad.service", 2, "UTF-8"},
      {"10 MiB",
       [](Sandbox& box) {
         box.write("bad.service", "[Service]\nExecStart=/bin/true\n" + std::string(10 << 20, '#'));
       },
       "bad.service", 0, ""},
      {"100,000 lines",
       [](Sandbox& box) {
         std::string text = "[Service]\n";
         for (int i = 0; i < 100'000; ++i)
           text += "#\n";
         box.write("bad.service", text);
       },
       "bad.service", 0, "lines"},
      {"a symlink out of the repository",
       [](Sandbox& box) { REQUIRE(::symlink("/etc/passwd", (box.repo() + "/bad.service").c_str()) == 0); },
       "bad.service", 0, ""},
      {"the reserved name", [](Sandbox& box) { box.write("daemon.service", sleeper); }, "daemon.service", 0,
       "daemon"},
  };
  Sandbox box;
  box.write("good.service", sleeper);
  std::string good = box.commit("good");
  box.start_agent();
  box.expect_applied(good);
  pid_t pid = box.pid("good");
  for (const Mistake& mistake : mistakes) {
    INFO(mistake.what);
    mistake.make(box);
    Outcome verified = box.cli({"verify", box.repo()});
    INFO(verified.out << verified.err);
    CHECK(verified.exit_code == 1);
    CHECK(verified.out.find(mistake.message) != std::string::npos);
    std::string bad = box.commit("bad");
    box.expect_sync("rejected");
    Json status = box.status();
    INFO(status.dump(2));
    CHECK(status["branch_commit"] == bad);
    CHECK(status["applied_commit"] == good);
    REQUIRE_FALSE(status["warnings"].empty());
    if (!mistake.file.empty()) CHECK(status["warnings"][0]["file"] == mistake.file);
    if (mistake.line != 0) CHECK(status["warnings"][0]["line"] == mistake.line);
    CHECK(status["error"].get<std::string>().find(mistake.message) != std::string::npos);
    CHECK(box.cli({"sync"}).exit_code == 1);
    CHECK(box.pid("good") == pid);
    box.git({"reset", "-q", "--hard", good});
    box.expect_applied(good);
    box.expect_sync("synced");
  }
  CHECK(box.pid("good") == pid);
}

TEST_CASE("a directive that is not known or not acted upon is a warning") {
  Sandbox box;
  box.write("odd.service", sleeper + "Frobnicate=yes\nProtectHostname=yes\n");
  std::string commit = box.commit();
  Outcome verified = box.cli({"verify", box.repo()});
  CHECK(verified.exit_code == 0);
  CHECK(verified.out.find("odd.service:3: warning: ") != std::string::npos);
  CHECK(verified.out.find("Frobnicate") != std::string::npos);
  CHECK(verified.out.find("odd.service:4: warning: ") != std::string::npos);
  box.start_agent();
  box.expect_applied(commit);
  CHECK(box.status()["warnings"].size() >= 2);
}

TEST_CASE("a missing executable leaves the old instance running") {
  Sandbox box;
  box.write("web.service", sleeper);
  std::string first = box.commit();
  box.start_agent();
  box.expect_applied(first);
  pid_t before = box.pid("web");
  box.write("web.service", "[Service]\nExecStart=/no/such/thing\n");
  box.expect_applied(box.commit());
  CHECK(box.status()["sync"] == "degraded");
  CHECK(box.pid("web") == before);
  CHECK(box.service("web")["reason"].get<std::string>().find("/no/such/thing") != std::string::npos);
}

TEST_CASE("an empty repository, a branch that does not exist and a corrupt object disturb nothing") {
  Sandbox box;
  box.start_agent();
  box.expect_sync("error");
  CHECK(box.status()["error"].get<std::string>().find("main") != std::string::npos);
  box.write("web.service", sleeper);
  std::string first = box.commit();
  box.expect_applied(first);
  pid_t pid = box.pid("web");

  box.write("new.service", sleeper);
  std::string second = box.commit();
  box.expect_applied(second);
  box.git({"update-ref", "refs/heads/main", first});
  box.expect_applied(first);
  std::string blob = box.git({"rev-parse", second + ":new.service"}).out.substr(0, 40);
  std::string object = box.repo() + "/.git/objects/" + blob.substr(0, 2) + "/" + blob.substr(2);
  ::unlink(object.c_str());
  box.git({"update-ref", "refs/heads/main", second});
  box.expect_sync("error");
  CHECK(box.pid("web") == pid);
  box.git({"update-ref", "-d", "refs/heads/main"});
  box.expect("the branch to be missed", [&] {
    return box.status()["error"].get<std::string>().find("does not exist") != std::string::npos;
  });
  CHECK(box.pid("web") == pid);
}

TEST_CASE(
    "a repository that was deleted and made anew in its place is followed, and what is the same runs on") {
  Sandbox box;
  box.write("same.service", sleeper);
  box.write("web.service", sleeper);
  std::string before = box.commit();
  box.start_agent();
  box.expect_applied(before);
  pid_t same = box.pid("same"), web = box.pid("web");

  REQUIRE(::rename((box.repo() + "/.git").c_str(), box.path("old").c_str()) == 0);
  box.expect_sync("error");
  CHECK(box.pid("web") == web);
  box.git({"init", "-q", "-b", "main"});
  box.git({"config", "user.email", "ada@example.org"});
  box.git({"config", "user.name", "Ada"});
  box.write("web.service", sleeper + "Nice=1\n");
  box.expect_applied(box.commit("another history"));
  box.expect_sync("synced");
  CHECK(box.pid("same") == same);
  CHECK(box.pid("web") != web);
}

TEST_CASE("a mistyped path, a second agent and a wrong configuration are told clearly") {
  Sandbox box;
  box.write("web.service", sleeper);
  std::string commit = box.commit();
  Outcome missing =
      run({GITPROC_BINARY, "agent", "--repo", box.path("nowhere"), "--state-dir", box.path("s2"), "--log-dir",
           box.path("l2"), "--run-dir", box.path("r2"), "--socket", box.path("k2")});
  CHECK(missing.exit_code == 1);
  CHECK(missing.err.find("gitproc init") != std::string::npos);
  box.start_agent();
  box.expect_applied(commit);
  Outcome second = box.run_agent_to_its_end();
  CHECK(second.exit_code == 1);
  CHECK(second.err.find(std::to_string(box.agent_pid())) != std::string::npos);
  // Another state directory makes it no other agent: what runs is told by the run directory.
  Outcome third =
      run({GITPROC_BINARY, "agent", "--repo", box.path("repo"), "--state-dir", box.path("s3"), "--log-dir",
           box.path("l3"), "--run-dir", box.path("run"), "--socket", box.path("k3")});
  CHECK(third.exit_code == 1);
  CHECK(third.err.find("run directory") != std::string::npos);
  write_text(box.path("wrong.json"), "{\"brunch\": 1}");
  Outcome wrong = box.run_agent_to_its_end({"--config", box.path("wrong.json")});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.err.find("brunch") != std::string::npos);
  CHECK(box.is_agent_alive());
}

TEST_CASE("malformed requests get an error and hurt nobody") {
  Sandbox box;
  box.write("web.service", sleeper);
  std::string commit = box.commit();
  box.start_agent();
  box.expect_applied(commit);
  auto code = [&](const std::string& request) {
    Json answer = Json::parse(box.ask(request), nullptr, false);
    return answer.is_object() && answer.contains("code") ? answer["code"].get<std::string>() : answer.dump();
  };
  CHECK(code("") == "invalid");
  CHECK(code("{") == "invalid");
  CHECK(code("[]") == "invalid");
  CHECK(code("{\"command\": 7}") == "invalid");
  CHECK(code("{\"command\": \"explode\"}") == "invalid");
  CHECK(code("{\"command\": \"logs\", \"service\": \"web\", \"args\": {\"lines\": \"many\"}}") == "invalid");
  CHECK(code("{\"command\": \"status\", \"service\": \"nobody\"}") == "not_found");
  CHECK(code("{\"command\": \"\xff\"}") == "invalid");
  CHECK(code(std::string(200'000, '[')) == "invalid");
  CHECK(code("{\"command\": \"" + std::string(2 << 20, 'x') + "\"}") == "invalid");
  CHECK(Json::parse(box.ask("{\"command\":\"status\",\"id\":5}"))["id"] == 5);
}

TEST_CASE("who asks and takes no answers is not read on, and gets all of them once it takes them") {
  Sandbox box;
  box.write("web.service", sleeper);
  std::string commit = box.commit();
  box.start_agent();
  box.expect_applied(commit);
  int fd = box.connect();
  timeval second{.tv_sec = 1, .tv_usec = 0};
  REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second) == 0);
  // Answers are 30 times as long: taken on without end, these are gigabytes.
  const std::string request = "{\"command\":\"list\"}\n";
  constexpr std::size_t many = 100u << 20;
  std::size_t sent = 0;
  while (sent < many) {
    std::size_t at = sent % request.size();
    ssize_t count = ::send(fd, request.data() + at, request.size() - at, MSG_NOSIGNAL);
    if (count <= 0) break;
    sent += static_cast<std::size_t>(count);
  }
  CHECK(sent < many);
  CHECK(box.cli({"list"}).exit_code == 0);
  CHECK(box.status()["agent"]["rss_bytes"].get<std::size_t>() < 64u << 20);
  REQUIRE(::shutdown(fd, SHUT_WR) == 0);
  std::size_t answers = 0;
  std::string bytes(64u << 10, '\0');
  for (ssize_t count; (count = ::read(fd, bytes.data(), bytes.size())) > 0;)
    answers += static_cast<std::size_t>(std::count(bytes.begin(), bytes.begin() + count, '\n'));
  CHECK(answers == sent / request.size());
  ::close(fd);
}

TEST_CASE("more idle connections than there may be cost others nothing") {
  constexpr std::size_t many = 5000;  // the agent keeps 4096
  rlimit files{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = std::max<rlim_t>(files.rlim_cur, many + 100);
  if (files.rlim_max < files.rlim_cur || ::setrlimit(RLIMIT_NOFILE, &files) != 0)
    GITPROC_SKIP("a test program may not have 5100 open files here");
  Sandbox box;
  box.write("web.service", sleeper);
  std::string commit = box.commit();
  box.start_agent();
  box.expect_applied(commit);
  std::vector<int> idle;
  while (idle.size() < many) {
    int fd = box.connect();
    // Half of them with an unfinished request.
    if (idle.size() % 2 == 0) (void)!::write(fd, "{\"comm", 7);
    idle.push_back(fd);
  }
  CHECK(box.cli({"status"}).exit_code == 0);
  CHECK(box.cli({"restart", "web"}).exit_code == 0);
  for (int fd : idle)
    ::close(fd);
  CHECK(box.cli({"list"}).exit_code == 0);
}
