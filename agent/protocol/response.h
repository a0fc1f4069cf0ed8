// What the agent answers: {"status":"success","data":...} or {"status":"error","error":...,"code":...}, with
// the request's id where it had one; and what the codes mean as exit codes of the command line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/protocol/json.h"
#include "agent/protocol/request.h"
#include "reconcile/base/error.h"

namespace gitproc {

// The words of `code`: "failed", "invalid", "not_found", "denied", "busy", "unavailable".
std::string_view to_string(ErrorCode code);
std::optional<ErrorCode> parse_error_code(std::string_view word);

// Each gives one line with its end.
std::string success_response(const RequestTag& id, const Json& data);
std::string error_response(const RequestTag& id, const Error& error);

// The data of a successful response, or the error of the other kind; what is neither is an error too.
Result<Json> parse_response(std::string_view line);

// The exit codes of every command.
enum class ExitCode : int {
  done = 0,
  failed = 1,
  usage = 2,
  not_active = 3,
  no_such_service = 4,
  unreachable = 5,
  denied = 6,
};

// not_found is "no such service"; a command that looks for something else maps it to `failed` itself.
ExitCode exit_code_of(ErrorCode code);

}  // namespace gitproc
