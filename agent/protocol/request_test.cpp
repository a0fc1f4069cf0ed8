#include "agent/protocol/request.h"

#include "agent/protocol/framing.h"
#include "reconcile/base/civil.h"
#include "testing/catch.h"
#include "testing/corpus.h"

using namespace gitproc;

namespace {

std::string fault_of(std::string_view line) {
  auto request = parse_request(line);
  return request ? "no fault" : request.error().error.message;
}

}  // namespace

TEST_CASE("a request is read with its service, arguments and id") {
  Request expected{
      .command = RequestCommand::logs, .services = {"web"}, .args = {.lines = 5, .follow = true}, .id = 7};
  CHECK(parse_request(
            R"({"command":"logs","service":"web.service","args":{"lines":5,"follow":true},"id":7})") ==
        expected);
}

TEST_CASE("null counts as absent") {
  CHECK(parse_request(R"({"command":"status","service":null,"args":{"lines":null},"id":null})") ==
        Request{.command = RequestCommand::status});
}

TEST_CASE("what is wrong with a request is said precisely") {
  CHECK(fault_of("[]") == "a request must be an object");
  CHECK(fault_of("{}") == "command is missing");
  CHECK(fault_of(R"({"command":7})") == "command must be a string");
  CHECK(fault_of(R"({"command":"fly"})") == "unknown command 'fly'");
  CHECK(fault_of(R"({"command":"list","colour":1})") == "unknown key 'colour'");
  CHECK(fault_of(R"({"command":"list","service":"web"})") == "list takes no service");
  CHECK(fault_of(R"({"command":"start"})") == "start needs a service");
  CHECK(fault_of(R"({"command":"start","services":["a","b"]})") == "start takes one service only");
  CHECK(fault_of(R"({"command":"start","service":["a"]})") == "service must be a string");
  CHECK(fault_of(R"({"command":"start","service":""})") == "service must not be empty");
  CHECK(fault_of(R"({"command":"logs","services":["a",1]})") == "services must be an array of strings");
  CHECK(fault_of(R"({"command":"list","args":[]})") == "args must be an object");
  CHECK(fault_of(R"({"command":"list","args":{"folow":true}})") == "unknown argument 'folow'");
  CHECK(fault_of(R"({"command":"list","args":{"follow":1}})") == "args.follow must be true or false");
  for (const char* lines : {"-1", "1000001", "18446744073709551615", "1.5", "\"5\"", "true"}) {
    INFO(lines);
    CHECK(fault_of(std::string(R"({"command":"list","args":{"lines":)") + lines + "}}") ==
          "args.lines must be an integer from 0 to 1000000");
  }
  CHECK(fault_of(R"({"command":"rollback","args":{"until":"tomorrow"}})") ==
        "args.until must be a time as in RFC 3339 (2030-12-31T18:00:00Z)");
  CHECK(fault_of(R"({"command":"plan","args":{"labels":{"role":1}}})") ==
        "args.labels must be an object of strings");
  CHECK(fault_of(R"({"command":"list","id":1.5})") ==
        "id must be an integer, or a string of at most 4096 bytes");
  CHECK(fault_of(R"({"command":"list","id":18446744073709551615})") ==
        "id must be an integer, or a string of at most 4096 bytes");
}

TEST_CASE("a request that is wrong is still answered under its id") {
  CHECK(parse_request(R"({"command":"fly","id":"a"})").error() ==
        RequestFault{{"unknown command 'fly'", ErrorCode::invalid}, "a"});
}

TEST_CASE("every command is found by its word, and an encoded request is read as it was") {
  using enum RequestCommand;
  for (RequestCommand command :
       {status, list, sync, rollback, approve, switch_branch, plan, history, events, agent_reload, version}) {
    Request request{.command = command, .id = "x"};
    CHECK(parse_request(encode_request(request)) == request);
  }
  for (RequestCommand command : {logs, start, stop, restart, reload, why}) {
    Request request{.command = command, .services = {"web"}};
    CHECK(parse_request(encode_request(request)) == request);
  }
  Request full{.command = logs,
               .services = {"a", "b@1"},
               .args = {.lines = 0,
                        .follow = true,
                        .wait = false,
                        .retry = true,
                        .commit = "HEAD~2",
                        .from = "v1",
                        .branch = "testing",
                        .reason = "too \"hot\"",
                        .until = parse_rfc3339("2030-12-31T18:00:00Z"),
                        .node = "n1",
                        .labels = {{"role", "web"}, {"zone", "a"}}},
               .id = -3};
  CHECK(parse_request(encode_request(full)) == full);
}

TEST_CASE("only questions are open to peers that may only read") {
  using enum RequestCommand;
  for (RequestCommand command : {status, list, history, events, version})
    CHECK(is_readable_by_all(command));
  for (RequestCommand command :
       {logs, start, stop, sync, rollback, approve, switch_branch, plan, why, agent_reload}) {
    CHECK_FALSE(is_readable_by_all(command));
  }
}

TEST_CASE("the fuzzer's corpus is read without harm, and what is a request survives a round trip") {
  auto corpus = corpus_of("agent/protocol");
  CHECK(corpus.size() > 5);
  for (const auto& [name, bytes] : corpus) {
    INFO(name);
    LineFramer framer;
    framer.feed(bytes);
    while (std::optional<std::string> line = framer.next()) {
      if (auto request = parse_request(*line)) CHECK(parse_request(encode_request(*request)) == request);
    }
  }
}
