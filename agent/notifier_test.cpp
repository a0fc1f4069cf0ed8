// Delivery, with real commands and a real server: in order, again after a failure, within bounds.
#include "agent/notifier.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asio.hpp>
#include <optional>
#include <thread>

#include "drivers/base/system_call.h"
#include "drivers/base/temporary_directory.h"
#include "testing/catch.h"

using namespace gitproc;
using asio::ip::tcp;

namespace {

constexpr std::chrono::seconds patience{60};

Notice notice_of(const std::string& event) {
  return {.event = event,
          .at = WallTime{},
          .node = "vm",
          .branch = "main",
          .commit = "",
          .subject = "",
          .message = ""};
}

// A loop with a notifier, whose children are reaped here.
class Sending {
 public:
  explicit Sending(const Notifier::Options& options) : notifier(Notifier::make(loop, options)) {}

  void send(const std::string& event) { notifier->send(notice_of(event)); }
  // Turns the loop until it is so.
  template <typename Condition>
  void until(Condition condition) {
    auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      loop.restart();
      loop.run_for(std::chrono::milliseconds(2));
      int status = 0;
      for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        bool is_exit = WIFEXITED(status);
        notifier->child_ended(pid, {.kind = is_exit ? ExitStatus::Kind::exited : ExitStatus::Kind::killed,
                                    .value = is_exit ? WEXITSTATUS(status) : WTERMSIG(status)});
      }
    }
  }
  std::uint64_t count(std::string_view label) const {
    for (const Count& count : notifier->counts()) {
      if (count.label == label) return count.number;
    }
    return 0;
  }

  asio::io_context loop;
  std::unique_ptr<Notifier> notifier;
};

std::string text_of(const std::string& file) {
  Result<std::string> text = read_file(file, 1u << 20);
  return text ? *text : "";
}

}  // namespace

TEST_CASE("a command is run for one notice after the other, in their order") {
  TemporaryDirectory folder;
  std::string out = folder.path() + "/out";
  Sending sending({.command = {"/bin/sh", "-c",
                               "echo begin $GITPROC_EVENT >> " + out + "; cat > " + folder.path() +
                                   "/last; echo end >> " + out},
                   .url = ""});
  for (const char* event : {"applied", "degraded", "recovered"})
    sending.send(event);
  sending.until([&] { return sending.count("delivered") == 3; });
  CHECK(text_of(out) == "begin applied\nend\nbegin degraded\nend\nbegin recovered\nend\n");
  CHECK(text_of(folder.path() + "/last") == notice_json(notice_of("recovered")) + "\n");
  CHECK(sending.count("retried") == 0);
}

TEST_CASE("a command that fails is run again, before the next notice") {
  TemporaryDirectory folder;
  std::string out = folder.path() + "/out";
  Sending sending(
      {.command = {"/bin/sh", "-c", "echo $GITPROC_EVENT >> " + out + "; [ $(wc -l < " + out + ") -gt 1 ]"},
       .url = ""});
  sending.send("applied");
  sending.send("degraded");
  sending.until([&] { return sending.count("delivered") == 2; });
  CHECK(text_of(out) == "applied\napplied\ndegraded\n");
  CHECK(sending.count("retried") == 1);
}

TEST_CASE("a command that cannot be run counts as failed") {
  Sending sending({.command = {"/nonexistent"}, .url = ""});
  sending.send("applied");
  sending.until([&] { return sending.count("retried") == 1; });
  CHECK(sending.count("delivered") == 0);
}

TEST_CASE("more than may wait push the oldest out, but not the one under way, and the end waits for nobody") {
  TemporaryDirectory folder;
  std::string out = folder.path() + "/out";
  std::optional<Sending> sending(
      std::in_place,
      Notifier::Options{
          .command = {"/bin/sh", "-c", "echo $$ $GITPROC_EVENT >> " + out + "; exec sleep 1000"}, .url = ""});
  for (unsigned i = 0; i < notice_queue_limit + 36; ++i)
    sending->send("event" + std::to_string(i));
  CHECK(sending->count("dropped") == 36);
  sending->until([&] { return text_of(out).ends_with("event0\n"); });
  pid_t pid = std::stoi(text_of(out));
  sending.reset();
  int status = 0;
  CHECK(::waitpid(pid, &status, 0) == pid);
  CHECK(WTERMSIG(status) == SIGKILL);
}

TEST_CASE("a URL that fails is asked again, and does not hold the command up") {
  TemporaryDirectory folder;
  std::string out = folder.path() + "/out";
  asio::io_context server_loop;
  tcp::acceptor acceptor(server_loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  unsigned asked = 0;
  // On a thread of its own: each request is answered whole.
  std::thread server([&] {
    for (const char* status : {"500 No", "200 OK"}) {
      tcp::socket socket(server_loop);
      asio::error_code error;
      acceptor.accept(socket, error);
      std::string request;
      asio::read_until(socket, asio::dynamic_buffer(request), '}', error);
      ++asked;
      asio::write(socket, asio::buffer("HTTP/1.1 " + std::string(status) + "\r\nContent-Length: 0\r\n\r\n"),
                  error);
    }
  });
  Sending sending({.command = {"/bin/sh", "-c", "echo $GITPROC_EVENT >> " + out},
                   .url = "http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()) + "/x"});
  sending.send("applied");
  sending.until([&] { return sending.count("delivered") == 2; });
  server.join();
  CHECK(asked == 2);
  CHECK(sending.count("retried") == 1);
  CHECK(text_of(out) == "applied\n");
}
