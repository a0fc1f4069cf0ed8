#include "agent/protocol/client.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/protocol/response.h"
#include "testing/catch.h"

using namespace gitproc;
using namespace std::chrono_literals;

namespace {

// A listening socket in a directory of its own, and a thread that serves its first connection.
class FakeAgent {
 public:
  explicit FakeAgent(std::function<void(int)> serve) {
    char directory[] = "/tmp/gitproc-client-XXXXXX";
    if (::mkdtemp(directory) == nullptr) std::abort();
    directory_ = directory;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 1) != 0) {
      std::abort();
    }
    if (serve) {
      thread_ = std::thread([this, serve = std::move(serve)] {
        int connection = ::accept(listener_, nullptr, nullptr);
        serve(connection);
        ::close(connection);
      });
    }
  }
  ~FakeAgent() {
    if (thread_.joinable()) thread_.join();
    ::close(listener_);
    std::filesystem::remove_all(directory_);
  }
  FakeAgent(const FakeAgent&) = delete;
  FakeAgent& operator=(const FakeAgent&) = delete;

  std::string path() const { return directory_ + "/s"; }

 private:
  std::string directory_;
  int listener_ = -1;
  std::thread thread_;
};

std::string read_line(int fd) {
  std::string line;
  for (char byte = 0; ::read(fd, &byte, 1) == 1 && byte != '\n';)
    line += byte;
  return line;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = ::write(fd, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

TEST_CASE("requests sent ahead are answered in their order") {
  FakeAgent agent([](int fd) {
    std::string first = read_line(fd), second = read_line(fd);
    write_all(fd, success_response({}, Json{{"asked", first}}) +
                      error_response({}, {"no " + second, ErrorCode::denied}));
  });
  Result<Client> client = Client::connect(agent.path());
  REQUIRE(client);
  REQUIRE(client->send({.command = RequestCommand::list}));
  REQUIRE(client->send({.command = RequestCommand::stop, .services = {"web"}}));
  CHECK(client->receive() == Json{{"asked", R"({"command":"list"})"}});
  CHECK(client->receive().error() == Error{R"(no {"command":"stop","service":"web"})", ErrorCode::denied});
}

TEST_CASE("a stream is received line by line until the agent closes it") {
  FakeAgent agent([](int fd) {
    read_line(fd);
    write_all(fd, success_response({}, "one") + success_response({}, "two"));
  });
  Result<Client> client = Client::connect(agent.path());
  REQUIRE(client);
  REQUIRE(client->send({.command = RequestCommand::events, .args = {.follow = true}}));
  CHECK(client->receive() == Json("one"));
  CHECK(client->receive() == Json("two"));
  CHECK(client->receive().error() == Error{"the agent closed the connection", ErrorCode::unavailable});
  CHECK(client->is_closed());
}

TEST_CASE("waiting says whether there is something to receive") {
  FakeAgent agent([](int fd) {
    read_line(fd);
    write_all(fd, success_response({}, "one"));
  });
  Result<Client> client = Client::connect(agent.path());
  REQUIRE(client);
  CHECK_FALSE(client->wait(0ms));
  REQUIRE(client->send({.command = RequestCommand::list}));
  CHECK(client->wait(10s));
  CHECK(client->receive() == Json("one"));
  CHECK(client->wait(10s));  // the end counts, too
  CHECK_FALSE(client->receive());
}

TEST_CASE("an answer of megabytes arrives whole") {
  std::string text(5 << 20, 'x');
  FakeAgent agent([&](int fd) {
    read_line(fd);
    write_all(fd, success_response({}, text));
  });
  Result<Client> client = Client::connect(agent.path());
  REQUIRE(client);
  CHECK(client->call({.command = RequestCommand::list}) == Json(text));
}

TEST_CASE("an agent that is silent is given up at the deadline") {
  FakeAgent agent(nullptr);  // the connection waits in the backlog for ever
  Result<Client> client = Client::connect(agent.path());
  REQUIRE(client);
  CHECK(client->call({.command = RequestCommand::status}, 20ms).error() ==
        Error{"the agent does not answer", ErrorCode::unavailable});
}

TEST_CASE("an agent that accepts nobody is given up at the deadline") {
  FakeAgent agent(nullptr);
  std::vector<Client> waiting;
  Result<Client> client = Client::connect(agent.path(), 20ms);
  for (int i = 0; i < 10 && client; ++i) {
    waiting.push_back(std::move(*client));
    client = Client::connect(agent.path(), 20ms);
  }
  REQUIRE_FALSE(client);
  CHECK(client.error().message.ends_with("it does not accept connections"));
  CHECK(client.error().code == ErrorCode::unavailable);
}

TEST_CASE("where no agent is, the socket is named") {
  CHECK(Client::connect("/nonexistent/s").error() ==
        Error{"cannot reach the agent at '/nonexistent/s': no such socket; is it running?",
              ErrorCode::unavailable});
  CHECK(Client::connect(std::string(200, 'x')).error().code == ErrorCode::unavailable);
}

TEST_CASE("a socket that the user may not open is a matter of permission") {
  if (::geteuid() == 0) GITPROC_SKIP("root may open every socket");
  FakeAgent agent(nullptr);
  ::chmod(agent.path().c_str(), 0);
  CHECK(Client::connect(agent.path()).error() ==
        Error{"cannot reach the agent at '" + agent.path() + "': permission denied", ErrorCode::denied});
}
