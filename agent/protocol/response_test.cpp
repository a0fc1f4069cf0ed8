#include "agent/protocol/response.h"

#include <nlohmann/json.hpp>

#include "testing/catch.h"

using namespace gitproc;

TEST_CASE("responses carry the request's id, whatever its type, and are one line") {
  CHECK(success_response(7, Json{{"pid", 12}}) ==
        "{\"data\":{\"pid\":12},\"id\":7,\"status\":\"success\"}\n");
  CHECK(error_response("a", {"no such service 'x'", ErrorCode::not_found}) ==
        "{\"code\":\"not_found\",\"error\":\"no such service 'x'\",\"id\":\"a\",\"status\":\"error\"}\n");
  CHECK(success_response({}, nullptr) == "{\"data\":null,\"status\":\"success\"}\n");
}

TEST_CASE("the command line reads back what the agent answered") {
  CHECK(parse_response(success_response({}, Json{{"pid", 12}})) == Json{{"pid", 12}});
  Error error{"not yours", ErrorCode::denied};
  CHECK(parse_response(error_response(1, error)).error() == error);
  CHECK(parse_response(R"({"status":"error","error":"odd","code":"from_the_future"})").error() ==
        Error{"odd"});
  CHECK(parse_response("[]").error().message == "cannot read the agent's answer: it is no object");
  CHECK(parse_response("{}").error().message == "cannot read the agent's answer: it has no status");
}

TEST_CASE("every error code has a word, and an exit code of its own where the contract names one") {
  using enum ErrorCode;
  for (ErrorCode code : {failed, invalid, not_found, denied, busy, unavailable})
    CHECK(parse_error_code(to_string(code)) == code);
  CHECK_FALSE(parse_error_code("unknown"));
  CHECK(exit_code_of(failed) == ExitCode::failed);
  CHECK(exit_code_of(not_found) == ExitCode::no_such_service);
  CHECK(exit_code_of(denied) == ExitCode::denied);
  CHECK(exit_code_of(unavailable) == ExitCode::unreachable);
}
