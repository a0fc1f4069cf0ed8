#include "drivers/web/poster.h"

#include <asio.hpp>
#include <map>
#include <optional>

#include "testing/catch.h"

using namespace gitproc;
using asio::ip::tcp;

namespace {

// On the test's own loop. The path of a request says how it is answered; "/silence" is not.
class Server {
 public:
  explicit Server(asio::io_context& loop)
      : acceptor_(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    accept();
  }

  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + path;
  }

  std::map<std::string, std::string> answers = {
      {"/taken", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
      {"/created", "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"},
      {"/broken", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"},
      {"/elsewhere", "HTTP/1.1 302 Found\r\nLocation: /taken\r\nContent-Length: 0\r\n\r\n"},
      {"/chatter", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + std::string(1'000'000, 'x')},
      {"/noise", "what is this?\r\n\r\n"},
  };
  std::vector<std::string> requests;

 private:
  struct Connection {
    explicit Connection(tcp::socket accepted) : socket(std::move(accepted)) {}
    tcp::socket socket;
    std::string request;
  };

  void accept() {
    acceptor_.async_accept([this](const asio::error_code& error, tcp::socket socket) {
      if (error) return;
      auto connection = std::make_shared<Connection>(std::move(socket));
      // Bodies of these tests end in '}', and hold no other.
      asio::async_read_until(connection->socket, asio::dynamic_buffer(connection->request), '}',
                             [this, connection](const asio::error_code& failed, std::size_t) {
                               if (!failed) answer(connection);
                             });
      accept();
    });
  }

  void answer(const std::shared_ptr<Connection>& connection) {
    requests.push_back(connection->request);
    std::string path = requests.back().substr(5, requests.back().find(' ', 5) - 5);
    auto found = answers.find(path);
    if (found == answers.end()) {
      silent_.push_back(connection);
      return;
    }
    asio::async_write(connection->socket, asio::buffer(found->second),
                      [connection](const asio::error_code&, std::size_t) {});
  }

  tcp::acceptor acceptor_;
  std::vector<std::shared_ptr<Connection>> silent_;
};

class Posting {
 public:
  // "" when it was taken, else why not.
  std::string post(const std::string& url) {
    std::optional<Result<void>> result;
    poster->post(url, "{\"a\":1}", [&](Result<void> ended) { result = std::move(ended); });
    CHECK_FALSE(result);  // not from within
    while (!result)
      loop.run_one();
    return *result ? "" : result->error().message;
  }

  asio::io_context loop;
  Server server{loop};
  std::unique_ptr<Poster> poster = *Poster::make(loop);
};

}  // namespace

TEST_CASE("what is taken arrives as JSON, one after the other") {
  Posting posting;
  CHECK(posting.post(posting.server.url("/taken")) == "");
  CHECK(posting.post(posting.server.url("/created")) == "");
  REQUIRE(posting.server.requests.size() == 2);
  const std::string& request = posting.server.requests.front();
  CHECK(request.starts_with("POST /taken HTTP/1.1\r\n"));
  CHECK(request.find("Content-Type: application/json\r\n") != std::string::npos);
  CHECK(request.ends_with("\r\n\r\n{\"a\":1}"));
}

TEST_CASE("what is not taken is told, without the URL, and the next one goes out all the same") {
  Posting posting;
  CHECK(posting.post(posting.server.url("/broken")) == "HTTP 500");
  // A redirect could lead anywhere.
  CHECK(posting.post(posting.server.url("/elsewhere")) == "HTTP 302");
  CHECK(posting.server.requests.size() == 2);
  for (const std::string& url : {posting.server.url("/noise"), std::string("http://127.0.0.1:1/s3cret"),
                                 std::string("ftp://127.0.0.1/s3cret"), std::string("s3cret://?")}) {
    std::string error = posting.post(url);
    INFO(url << ": " << error);
    CHECK(error != "");
    CHECK(error.find("s3cret") == std::string::npos);
    CHECK(error.find("127.0.0.1:1/") == std::string::npos);
  }
  CHECK(posting.post(posting.server.url("/taken")) == "");
}

TEST_CASE("an answer that does not end is cut off, and counts by its status") {
  Posting posting;
  CHECK(posting.post(posting.server.url("/chatter")) == "");
}

TEST_CASE("nobody is told of a POST whose Poster has gone") {
  Posting posting;
  bool is_told = false;
  posting.poster->post(posting.server.url("/silence"), "{}", [&](Result<void>) { is_told = true; });
  while (posting.server.requests.empty())
    posting.loop.run_one();
  posting.poster.reset();
  // One that could not even begin.
  posting.poster = *Poster::make(posting.loop);
  posting.poster->post("", "{}", [&](Result<void>) { is_told = true; });
  posting.poster.reset();
  posting.loop.poll();
  CHECK_FALSE(is_told);
}
