// HTTP from outside: health, metrics, webhooks of the forges, clients that dawdle, and notices to a command and a URL.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "e2e/harness.h"
#include "e2e/http_client.h"

using namespace e2e;

namespace {

// The secret and the bodies are constants, and so are their signatures (HMAC-SHA256, made with another tool).
const std::string secret = "s3cret";
const std::string first_push =
    R"({"ref":"refs/heads/main","after":"1111111111111111111111111111111111111111"})";
const std::string first_signature = "a3450400315a03375f96c5ed76f59082b5f4f39ccfd1ad04f1df07ecba18f809";
const std::string second_push =
    R"({"ref":"refs/heads/main","after":"2222222222222222222222222222222222222222"})";
const std::string second_signature = "5abbde32764ddfa74d74f0caf15d3fa3d51ca8ddce2fff1dd9244240c62ac81c";
const std::string ping = R"({"zen":"Keep it logically awesome."})";
const std::string ping_signature = "bcf4aa51133ef9ab7d02f9da6e30ed7529389095a3c94d76a76608dfd05e2c49";

// Takes notices, as a chat would, and answers with one status after the other.
class NoticeServer {
 public:
  explicit NoticeServer(std::vector<int> statuses) : statuses_(std::move(statuses)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 16) == 0);
    socklen_t length = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
  }
  ~NoticeServer() { ::close(fd_); }

  int port() const { return port_; }
  // Serves whoever has come; the bodies so far.
  const std::vector<Json>& bodies() {
    for (int peer = 0; (peer = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ::close(peer))
      serve(peer);
    return bodies_;
  }

 private:
  void serve(int peer) {
    timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::string text;
    char buffer[65536];
    std::size_t end = std::string::npos, length = 0;
    while (end == std::string::npos || text.size() < end + 4 + length) {
      ssize_t got = ::recv(peer, buffer, sizeof buffer, 0);
      if (got <= 0) return;
      text.append(buffer, static_cast<std::size_t>(got));
      end = text.find("\r\n\r\n");
      if (std::size_t at = text.find("Content-Length: "); at != std::string::npos)
        length = std::stoul(text.substr(at + std::strlen("Content-Length: ")));
    }
    bodies_.push_back(Json::parse(text.substr(end + 4)));
    int status = statuses_.empty() ? 200 : statuses_.front();
    if (!statuses_.empty()) statuses_.erase(statuses_.begin());
    std::string answer = "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 0\r\n\r\n";
    (void)!::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
  }

  std::vector<int> statuses_;
  int fd_ = -1;
  int port_ = 0;
  std::vector<Json> bodies_;
};

}  // namespace

TEST_CASE("health, readiness and metrics over HTTP") {
  Sandbox box;
  box.write("web.service", sleeper);
  box.expect_applied([&] {
    std::string commit = box.commit();
    box.start_agent({"--http", ":0"});
    return commit;
  }());
  int port = http_port(box);
  CHECK(get(port, "/healthz").body == "ok\n");
  Answer ready = get(port, "/readyz");
  CHECK(ready.status == 200);
  CHECK(ready.body == "synced\n");

  Answer metrics = get(port, "/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.head.find("Content-Type: text/plain; version=0.0.4") != std::string::npos);
  for (const char* line :
       {"gitproc_service_up{service=\"web\"} 1\n", "gitproc_sync_state{state=\"synced\"} 1\n",
        "gitproc_sync_state{state=\"degraded\"} 0\n", "gitproc_services{state=\"running\"} 1\n",
        "gitproc_service_restarts_total{service=\"web\"} 0\n",
        "gitproc_service_memory_bytes{service=\"web\"} ",
        "gitproc_service_cpu_seconds_total{service=\"web\"} ",
        "gitproc_commits_total{outcome=\"applied\"} 1\n",
        "gitproc_apply_duration_seconds_bucket{le=\"+Inf\"} 1\n",
        "# TYPE gitproc_apply_duration_seconds histogram\n", "process_resident_memory_bytes "}) {
    INFO(line);
    INFO(metrics.body);
    CHECK(metrics.body.find(line) != std::string::npos);
  }

  box.write("web.service", "[Service]\nExecStart=/bin/false\n");
  box.commit("break it");
  box.expect_sync("degraded");
  ready = get(port, "/readyz");
  CHECK(ready.status == 503);
  CHECK(ready.body == "degraded: web (failed)\n");
  CHECK(get(port, "/healthz").status == 200);
}

TEST_CASE("without http.listen nothing of HTTP is even loaded") {
  Sandbox box;
  box.write("web.service", sleeper);
  std::string commit = box.commit();
  box.start_agent();
  box.expect_applied(commit);
  auto maps = [&] { return read_text("/proc/" + std::to_string(box.agent_pid()) + "/maps"); };
  CHECK(maps().find("httplib") == std::string::npos);
  CHECK(maps().find("prometheus") == std::string::npos);
  box.stop_agent();
  box.start_agent({"--http", "127.0.0.1:0"});
  CHECK(maps().find("httplib") != std::string::npos);
}

TEST_CASE("what is no request of ours is refused, and hurts nobody") {
  Sandbox box;
  box.write("web.service", sleeper);
  box.commit();
  box.start_agent({"--http", ":0"});
  int port = http_port(box);
  CHECK(get(port, "/").status == 404);
  CHECK(ask(port, "DELETE /metrics HTTP/1.1\r\n\r\n").status == 405);
  CHECK(get(port, "/webhook").status == 405);
  CHECK(ask(port, "HEAD /healthz HTTP/1.1\r\n\r\n").body.empty());
  CHECK(ask(port, "nonsense\r\n\r\n").status == 400);
  CHECK(ask(port, std::string("\0\xff\r\n\r\n", 6)).status == 400);
  CHECK(ask(port, "GET /" + std::string(10'000, 'a') + " HTTP/1.1\r\n\r\n").status == 414);
  CHECK(ask(port, "GET /healthz HTTP/1.1\r\nX: " + std::string(20'000, 'a')).status == 431);
  CHECK(ask(port, "POST /webhook HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n").status == 413);
  CHECK(ask(port, "POST /webhook HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n" + std::string(100'000, 'x'))
            .status == 413);
  CHECK(ask(port, "POST /webhook HTTP/1.1\r\nContent-Length: -1\r\n\r\n").status == 400);
  CHECK(ask(port, "POST /webhook HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").status == 411);
  // No secret is set, so nobody can prove anything.
  CHECK(post(port, {"X-Gitlab-Token: ", "X-Gitlab-Event: Push Hook"}, "{}").status == 403);
  CHECK(get(port, "/healthz").status == 200);
  box.expect_sync("synced");
}

TEST_CASE("a webhook of each forge asks for a fetch, and nothing else does") {
  Sandbox box;
  box.write("web.service", sleeper);
  write_text(box.path("secret"), secret + "\n");
  box.commit();
  box.start_agent({"--http", ":0", "--set", "webhook.secret_file=" + box.path("secret")});
  int port = http_port(box);

  // Unsigned, wrong, something else.
  CHECK(post(port, {"X-GitHub-Event: push"}, first_push).status == 401);
  CHECK(post(port, {"X-GitHub-Event: push", "X-Hub-Signature-256: sha256=" + second_signature}, first_push)
            .status == 403);
  CHECK(post(port, {"X-Gitlab-Event: Push Hook", "X-Gitlab-Token: wrong"}, first_push).status == 403);
  CHECK(post(port, {"X-GitHub-Event: ping", "X-Hub-Signature-256: sha256=" + ping_signature}, ping).status ==
        200);
  CHECK(
      post(port, {"X-GitHub-Event: issues", "X-Hub-Signature-256: sha256=" + ping_signature}, ping).status ==
      202);
  CHECK(fetches(box) == 0);

  CHECK(post(port, {"X-GitHub-Event: push", "X-Hub-Signature-256: sha256=" + first_signature}, first_push)
            .status == 202);
  box.expect("GitHub's push", [&] { return fetches(box) == 1; });
  // The same again, under another name: answered, not acted upon.
  CHECK(
      post(port,
           {"X-GitHub-Event: push", "X-GitHub-Delivery: 7", "X-Hub-Signature-256: sha256=" + first_signature},
           first_push)
          .status == 200);
  CHECK(post(port, {"X-Gitea-Event: push", "X-Gitea-Signature: " + second_signature}, second_push).status ==
        202);
  box.expect("Gitea's push", [&] { return fetches(box) == 2; });
  CHECK(post(port, {"X-Gitlab-Event: Push Hook", "X-Gitlab-Token: " + secret}, R"({"object_kind":"push"})")
            .status == 202);
  box.expect("GitLab's push", [&] { return fetches(box) == 3; });

  std::string metrics = get(port, "/metrics").body;
  CHECK(metrics.find("gitproc_webhook_requests_total{result=\"push\"} 3\n") != std::string::npos);
  CHECK(metrics.find("gitproc_webhook_requests_total{result=\"replayed\"} 1\n") != std::string::npos);
  CHECK(metrics.find("gitproc_webhook_requests_total{result=\"refused\"} 2\n") != std::string::npos);
  CHECK(box.agent_log().find(secret) == std::string::npos);
}

TEST_CASE("a burst of pushes is a few fetches, and a flood is limited") {
  Sandbox box;
  box.write("web.service", sleeper);
  write_text(box.path("secret"), secret);
  box.commit();
  box.start_agent({"--http", ":0", "--set", "webhook.secret_file=" + box.path("secret")});
  int port = http_port(box);
  unsigned accepted = 0, limited = 0;
  auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 300 && limited < 20; ++i) {
    int status = post(port,
                      {"X-Gitlab-Event: Push Hook", "X-Gitlab-Token: " + secret,
                       "X-Gitlab-Event-UUID: " + std::to_string(i)},
                      R"({"object_kind":"push"})")
                     .status;
    if (status == 202) ++accepted;
    if (status == 429) ++limited;
  }
  auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began).count();
  CHECK(accepted >= 100);
  CHECK(limited > 0);
  CHECK(fetches(box) <= static_cast<std::size_t>(seconds) + 2);
}

TEST_CASE("hundreds of clients that dawdle cost nobody else anything") {
  Sandbox box;
  box.write("web.service", sleeper + "Restart=always\nRestartSec=0\n");
  std::string commit = box.commit();
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 1024) GITPROC_SKIP("needs 1,024 descriptors");
  box.start_agent({"--http", ":0"});
  box.expect_applied(commit);
  int port = http_port(box);

  std::vector<Client> slow;
  for (int i = 0; i < 500; ++i) {
    slow.emplace_back(port);
    slow.back().send("GET /healthz HTTP/1.1\r\nX-Slow: ");
  }
  auto is_quick = [&](const std::function<bool()>& what) {
    auto began = std::chrono::steady_clock::now();
    bool is_good = what();
    return is_good && std::chrono::steady_clock::now() - began < std::chrono::seconds(5);
  };
  CHECK(is_quick([&] { return get(port, "/healthz").status == 200; }));
  CHECK(is_quick([&] { return get(port, "/metrics").status == 200; }));
  CHECK(is_quick([&] { return box.cli({"status"}).exit_code == 0; }));
  pid_t before = box.pid("web");
  ::kill(before, SIGKILL);
  box.expect("web to run again", [&] { return box.pid("web") != 0 && box.pid("web") != before; });
  // More than there is room for: the slowest make room.
  for (int i = 0; i < 100; ++i) {
    slow.emplace_back(port);
    slow.back().send("POST /webhook HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
  }
  CHECK(is_quick([&] { return get(port, "/healthz").status == 200; }));
  // And nobody may take forever.
  box.expect("all of them to be dropped",
             [&] { return std::ranges::all_of(slow, [](Client& client) { return client.is_dropped(); }); });
}

TEST_CASE("an address that is taken, a bad key and a missing secret keep the agent from starting") {
  Sandbox box;
  box.write("web.service", sleeper);
  box.commit();
  box.start_agent({"--http", ":0"});
  std::string address = "127.0.0.1:" + std::to_string(http_port(box));
  Sandbox other;
  other.write("web.service", sleeper);
  other.commit();
  Outcome taken = other.run_agent_to_its_end({"--http", address});
  CHECK(taken.exit_code == 1);
  CHECK(taken.err.find("cannot listen on '" + address + "'") != std::string::npos);
  Outcome no_secret =
      other.run_agent_to_its_end({"--http", ":0", "--set", "webhook.secret_file=" + other.path("none")});
  CHECK(no_secret.exit_code == 1);
  CHECK(no_secret.err.find("none': no such file") != std::string::npos);
  Outcome no_key = other.run_agent_to_its_end({"--http", ":0", "--set", "http.tls_cert=/x"});
  CHECK(no_key.exit_code == 2);
}

TEST_CASE("HTTP with TLS") {
  if (run({"openssl", "version"}).exit_code != 0) GITPROC_SKIP("openssl is not installed");
  if (run({"curl", "--version"}).exit_code != 0) GITPROC_SKIP("curl is not installed");
  Sandbox box;
  box.write("web.service", sleeper);
  std::string commit = box.commit();
  REQUIRE(run({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
               "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", box.path("key.pem"),
               "-out", box.path("cert.pem")})
              .exit_code == 0);
  box.start_agent({"--http", ":0", "--set", "http.tls_cert=" + box.path("cert.pem"), "--set",
                   "http.tls_key=" + box.path("key.pem")});
  box.expect_applied(commit);
  std::string url = "https://localhost:" + std::to_string(http_port(box)) + "/readyz";
  Outcome got = run({"curl", "-sS", "-4", "--noproxy", "*", "--cacert", box.path("cert.pem"), url});
  INFO(got.err);
  CHECK(got.out == "synced\n");
  // Plain HTTP gets no answer, and hurts nobody.
  CHECK(get(http_port(box), "/readyz").status == 0);
  CHECK(run({"curl", "-sS", "-4", "--noproxy", "*", "--cacert", box.path("cert.pem"), url}).out ==
        "synced\n");
}

TEST_CASE("a command is told what happens to the node") {
  Sandbox box;
  box.write("web.service", sleeper);
  std::string hook = "/bin/sh -c 'cat >> " + box.path("notices") +
                     "; echo $GITPROC_EVENT $GITPROC_COMMIT >> " + box.path("told") + "'";
  std::string first = box.commit("Begin");
  box.start_agent({"--set", "notify.exec=" + hook});
  auto told = [&](const std::string& line) {
    box.expect("the notice '" + line + "'",
               [&] { return read_text(box.path("told")).find(line + "\n") != std::string::npos; });
  };
  told("applied " + first);

  box.write("web.service", "[Service]\nExecStart=/bin/false\n");
  std::string second = box.commit("Break it");
  told("degraded " + second);
  CHECK(box.cli({"rollback", first}).exit_code == 0);
  told("rolled_back " + first);
  told("recovered " + first);
  CHECK(box.cli({"sync", "--no-wait"}).exit_code == 0);
  box.write("web.service", "[Service]\nRestart=sometimes\n");
  std::string third = box.commit("Break it more");
  told("rejected " + third);

  // What is on its standard input, is the same as JSON, one notice a line.
  std::string lines = read_text(box.path("notices"));
  Json notice = Json::parse(lines.substr(0, lines.find('\n')));
  CHECK(notice["event"] == "applied");
  CHECK(notice["commit"] == first);
  CHECK(notice["subject"] == "Begin");
  CHECK(notice["branch"] == "main");
}

TEST_CASE("a URL is told, and told again when it does not take it") {
  Sandbox box;
  box.write("web.service", sleeper);
  std::string commit = box.commit("Begin");
  NoticeServer server({500, 200});
  box.start_agent({"--set", "notify.url=http://127.0.0.1:" + std::to_string(server.port()) + "/hook"});
  box.expect_applied(commit);
  box.expect("the notice, twice", [&] { return server.bodies().size() == 2; });
  CHECK(server.bodies()[0]["event"] == "applied");
  CHECK(server.bodies()[1] == server.bodies()[0]);
  CHECK(box.agent_log().find("notify.url: 'applied' is tried again: HTTP 500") != std::string::npos);
  box.stop_agent();

  // Slack's form, and a destination that does not answer at all costs the node nothing.
  box.write("web.service", "[Service]\nExecStart=/bin/sleep 1001\n");
  commit = box.commit("Sleep longer");
  box.start_agent({"--set", "notify.url=http://127.0.0.1:" + std::to_string(server.port()) + "/hook#slack"});
  box.expect_applied(commit);
  box.expect("the notice for a chat", [&] { return server.bodies().size() == 3; });
  std::string text = server.bodies()[2]["text"];
  CHECK(text.find("applied " + commit.substr(0, 12) + " \"Sleep longer\"") != std::string::npos);
}

TEST_CASE("a service that flaps is told of a few times, not each time") {
  Sandbox box;
  write_text(box.path("well"), "");
  // As well as the file says.
  box.write("web.service",
            "[Service]\nExecStart=/bin/sleep 1000\n[X-GitProc]\nHealthCheckExec=/bin/sh -c 'test -e " +
                box.path("well") + "'\nHealthCheckInterval=100ms\nHealthCheckRetries=1\n" +
                "HealthCheckAction=none\n");
  std::string commit = box.commit("Begin");
  box.start_agent({"--set", "notify.exec=/bin/sh -c 'echo $GITPROC_EVENT >> " + box.path("told") + "'"});
  box.expect_applied(commit);
  box.expect_sync("synced");
  constexpr int times = 8;
  for (int i = 0; i < times; ++i) {
    std::filesystem::remove(box.path("well"));
    box.expect_sync("degraded");
    write_text(box.path("well"), "");
    box.expect_sync("synced");
  }
  // What comes after all of these has come, they have.
  box.write("web.service", sleeper);
  box.commit("Other");
  box.expect("the last notice",
             [&] { return read_text(box.path("told")).find("applied\n", 1) != std::string::npos; });
  std::string told = read_text(box.path("told"));
  INFO(told);
  CHECK(count(told, "degraded\n") == 3);
  CHECK(count(told, "recovered\n") == 3);
  CHECK(count(told, "applied\n") == 2);
}
