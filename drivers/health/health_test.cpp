#include <asio.hpp>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "drivers/health/memory_probe_driver.h"
#include "drivers/health/probe_driver.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

using asio::ip::tcp;

// A server on the test's own loop. The path of a request says how it is answered.
class Server {
 public:
  explicit Server(asio::io_context& loop, const char* address = "127.0.0.1")
      : acceptor_(loop, tcp::endpoint(asio::ip::make_address(address), 0)) {
    accept();
  }

  unsigned short port() const { return acceptor_.local_endpoint().port(); }
  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port()) + path;
  }
  std::size_t connections = 0;
  std::string last_request;

 private:
  struct Connection {
    explicit Connection(tcp::socket accepted) : socket(std::move(accepted)) {}
    tcp::socket socket;
    std::string request;
    std::string answer;
  };

  void accept() {
    acceptor_.async_accept([this](const asio::error_code& error, tcp::socket socket) {
      if (error) return;
      ++connections;
      auto connection = std::make_shared<Connection>(std::move(socket));
      asio::async_read_until(connection->socket, asio::dynamic_buffer(connection->request), "\r\n\r\n",
                             [this, connection](const asio::error_code& failed, std::size_t) {
                               if (!failed) answer(connection);
                             });
      accept();
    });
  }

  void answer(const std::shared_ptr<Connection>& connection) {
    last_request = connection->request;
    std::string path = last_request.substr(0, last_request.find(" HTTP")).substr(4);
    if (path == "/hang") {
      hanging_.push_back(connection);
      return;
    }
    if (path == "/close") return;
    if (path.starts_with("/status/")) {
      connection->answer = "HTTP/1.1 " + path.substr(8) + " X\r\nContent-Length: 2\r\n\r\nok";
    } else if (path == "/redirect") {
      connection->answer =
          "HTTP/1.1 302 X\r\nLocation: " + url("/status/200") + "\r\nContent-Length: 0\r\n\r\n";
    } else if (path == "/garbage") {
      connection->answer = std::string("\0\x01\xff nonsense\r\n\r\n", 16);
    } else if (path == "/large") {
      connection->answer = "HTTP/1.1 200 X\r\nContent-Length: 1000000000\r\n\r\n" + std::string(1 << 20, 'x');
      hanging_.push_back(connection);
    } else if (path == "/headers") {
      connection->answer = "HTTP/1.1 200 X\r\n";
      for (int i = 0; i < 5000; ++i)
        connection->answer += "X-Header-" + std::to_string(i) + ": some value of it\r\n";
      hanging_.push_back(connection);
    }
    asio::async_write(connection->socket, asio::buffer(connection->answer),
                      [connection](const asio::error_code&, std::size_t) {});
  }

  tcp::acceptor acceptor_;
  std::vector<std::shared_ptr<Connection>> hanging_;
};

struct Answered {
  bool is_healthy = false;
  std::string detail;

  bool operator==(const Answered&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Answered& answered) {
  return out << (answered.is_healthy ? "healthy: " : "unhealthy: ") << answered.detail;
}

// The loop, a driver on it, and what it has answered.
struct Scene {
  asio::io_context loop;
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(loop);
  std::map<unsigned, Answered> answers;
  std::unique_ptr<ProbeDriver> driver =
      make_probe_driver(loop, [this](Event event) { take(std::get<ProbeFinished>(event)); }).value();

  void take(const ProbeFinished& finished) {
    bool is_new =
        answers.emplace(index_of(finished.service), Answered{finished.is_healthy, finished.detail}).second;
    REQUIRE(is_new);
  }

  // Runs the loop until there are `count` answers, or 20 s have passed.
  void run_until(std::size_t count) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (answers.size() < count && loop.run_one_until(deadline) != 0) {
    }
    REQUIRE(answers.size() == count);
  }

  Answered probe(const HealthCheck& check) {
    answers.clear();
    driver->start(ServiceId(1), check);
    REQUIRE(answers.empty());  // never from within the call
    run_until(1);
    return answers.at(1);
  }
};

HealthCheck http(const std::string& url, Duration timeout = std::chrono::seconds(10)) {
  HealthCheck check;
  check.kind = HealthCheckKind::http;
  check.url = url;
  check.timeout = timeout;
  return check;
}

HealthCheck tcp_check(const std::string& address) {
  HealthCheck check = http(address);
  check.kind = HealthCheckKind::tcp;
  return check;
}

TEST_CASE("an answer of 200 to 299 is healthy, any other is not") {
  Scene scene;
  Server server(scene.loop);
  CHECK(scene.probe(http(server.url("/status/200"))) == Answered{true, "HTTP 200"});
  CHECK(scene.probe(http(server.url("/status/204"))) == Answered{true, "HTTP 204"});
  CHECK(scene.probe(http(server.url("/status/503"))) == Answered{false, "HTTP 503"});
  CHECK(scene.probe(http(server.url("/status/300"))) == Answered{false, "HTTP 300"});
  CHECK(server.last_request.starts_with("GET /status/300 HTTP/1.1\r\n"));
}

TEST_CASE("HealthCheckStatus= says which answers are healthy instead") {
  Scene scene;
  Server server(scene.loop);
  HealthCheck check = http(server.url("/status/418"));
  check.healthy_statuses = {{401, 401}, {410, 420}};
  CHECK(scene.probe(check) == Answered{true, "HTTP 418"});
  check.url = server.url("/status/200");
  CHECK(scene.probe(check) == Answered{false, "HTTP 200"});
}

TEST_CASE("a redirect is an answer, and not followed") {
  Scene scene;
  Server server(scene.loop);
  CHECK(scene.probe(http(server.url("/redirect"))) == Answered{false, "HTTP 302"});
  CHECK(server.connections == 1);
}

TEST_CASE("what is wrong with a service is said in words") {
  Scene scene;
  Server server(scene.loop);
  CHECK(scene.probe(http(server.url("/hang"), std::chrono::milliseconds(150))) ==
        Answered{false, "no answer within 150 ms"});
  CHECK(scene.probe(http(server.url("/close"))) == Answered{false, "connection closed without an answer"});
  CHECK(scene.probe(http(server.url("/garbage"))) == Answered{false, "the answer is not HTTP"});

  std::string free_port;
  {
    tcp::acceptor closed(scene.loop, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
    free_port = std::to_string(closed.local_endpoint().port());
  }
  CHECK(scene.probe(http("http://127.0.0.1:" + free_port)) == Answered{false, "connection refused"});
  CHECK(scene.probe(tcp_check("127.0.0.1:" + free_port)) == Answered{false, "connection refused"});
}

TEST_CASE("an answer without end is read to its bound only") {
  Scene scene;
  Server server(scene.loop);
  CHECK(scene.probe(http(server.url("/large"))) == Answered{true, "HTTP 200"});
  CHECK(scene.probe(http(server.url("/headers"))) == Answered{false, "the response's headers are too long"});
}

TEST_CASE("a TCP probe asks only whether somebody accepts") {
  Scene scene;
  Server server(scene.loop);
  CHECK(scene.probe(tcp_check("127.0.0.1:" + std::to_string(server.port()))) == Answered{true, "connected"});
  CHECK(scene.probe(tcp_check("localhost:" + std::to_string(server.port()))) == Answered{true, "connected"});
}

TEST_CASE("IPv6 literals are addresses as well") {
  Scene scene;
  std::unique_ptr<Server> server;
  try {
    server = std::make_unique<Server>(scene.loop, "::1");
  } catch (const asio::system_error& error) {
    GITPROC_SKIP(std::string("no IPv6 loopback: ") + error.what());
  }
  std::string port = std::to_string(server->port());
  CHECK(scene.probe(http("http://[::1]:" + port + "/status/200")) == Answered{true, "HTTP 200"});
  CHECK(scene.probe(tcp_check("[::1]:" + port)) == Answered{true, "connected"});
}

TEST_CASE("what cannot be probed is unhealthy, and says why") {
  Scene scene;
  CHECK(scene.probe(http("file:///etc/passwd")) ==
        Answered{false, "cannot probe 'file:///etc/passwd': not an address"});
  CHECK(scene.probe(tcp_check("host")) == Answered{false, "cannot probe 'host': not an address"});
  HealthCheck command;
  command.kind = HealthCheckKind::exec;
  CHECK(scene.probe(command) == Answered{false, "cannot probe: not a probe over the network"});
}

TEST_CASE("proxies of the agent's environment are not asked") {
  Scene scene;
  Server server(scene.loop);
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  CHECK(scene.probe(http(server.url("/status/200"))) == Answered{true, "HTTP 200"});
  ::unsetenv("http_proxy");
}

TEST_CASE("every probe is a connection of its own, closed when it ends") {
  Scene scene;
  Server server(scene.loop);
  auto descriptors = [] {
    auto entries = std::filesystem::directory_iterator("/proc/self/fd");
    return std::distance(begin(entries), end(entries));
  };
  CHECK(scene.probe(http(server.url("/status/200"))).is_healthy);
  auto before = descriptors();
  for (int i = 0; i < 20; ++i)
    CHECK(scene.probe(http(server.url("/status/200"))).is_healthy);
  CHECK(server.connections == 21);
  CHECK(descriptors() <= before + 1);
}

TEST_CASE("a cancelled probe is silent, and a new one of the same service replaces the old") {
  Scene scene;
  Server server(scene.loop);
  scene.driver->start(ServiceId(1), http(server.url("/hang"), std::chrono::seconds(1)));
  scene.driver->start(ServiceId(2), http("file:///already/answered"));
  scene.driver->start(ServiceId(3), http(server.url("/hang"), std::chrono::seconds(1)));
  scene.driver->cancel(ServiceId(1));
  scene.driver->cancel(ServiceId(2));
  scene.driver->cancel(ServiceId(9));
  scene.driver->start(ServiceId(3), http(server.url("/status/200")));
  scene.run_until(1);
  CHECK(scene.answers == std::map<unsigned, Answered>{{3, {true, "HTTP 200"}}});
  scene.answers.clear();
  // The loop goes on for longer than the cancelled probes would have taken.
  scene.driver->start(ServiceId(4), http(server.url("/hang"), std::chrono::milliseconds(1500)));
  scene.run_until(1);
  CHECK(scene.answers == std::map<unsigned, Answered>{{4, {false, "no answer within 1500 ms"}}});
}

TEST_CASE("a driver may go while probes are under way") {
  Scene scene;
  Server server(scene.loop);
  for (unsigned i = 0; i < 20; ++i)
    scene.driver->start(ServiceId(i), http(server.url("/hang")));
  scene.driver->start(ServiceId(20), http("file:///x"));
  scene.loop.run_for(std::chrono::milliseconds(20));
  scene.answers.clear();
  scene.driver->start(ServiceId(21), http("file:///x"));
  scene.driver.reset();
  scene.loop.poll();
  CHECK(scene.answers.empty());
}

TEST_CASE("100 hanging probes among 1,000 delay nobody") {
  Scene scene;
  Server server(scene.loop);
  auto begun = std::chrono::steady_clock::now();
  for (unsigned i = 0; i < 1000; ++i) {
    bool hangs = i % 10 == 0;
    scene.driver->start(ServiceId(i),
                        http(server.url(hangs ? "/hang" : "/status/200"),
                             hangs ? std::chrono::milliseconds(4000) : std::chrono::seconds(20)));
  }
  scene.run_until(900);
  auto took = std::chrono::steady_clock::now() - begun;
  for (const auto& [service, answer] : scene.answers) {
    REQUIRE(service % 10 != 0);
    REQUIRE(answer == Answered{true, "HTTP 200"});
  }
  CHECK(took < std::chrono::milliseconds(4000));
  WARN("900 healthy probes beside 100 hanging ones took "
       << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms");
  scene.run_until(1000);
  CHECK(scene.answers.at(0) == Answered{false, "no answer within 4 s"});
}

TEST_CASE("the driver without a network keeps what was asked until the test answers") {
  std::vector<std::string> details;
  MemoryProbeDriver driver([&](Event event) { details.push_back(std::get<ProbeFinished>(event).detail); });
  driver.start(ServiceId(1), http("http://a/"));
  driver.start(ServiceId(2), http("http://b/"));
  driver.cancel(ServiceId(2));
  CHECK(driver.finish(ServiceId(1), false, "HTTP 500"));
  CHECK_FALSE(driver.finish(ServiceId(1), true, "HTTP 200"));
  CHECK_FALSE(driver.finish(ServiceId(2), true, "HTTP 200"));
  CHECK(details == std::vector<std::string>{"HTTP 500"});
}

}  // namespace
}  // namespace gitproc
