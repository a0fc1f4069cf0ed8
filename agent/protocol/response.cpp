#include "agent/protocol/response.h"

#include <nlohmann/json.hpp>

namespace gitproc {
namespace {

constexpr ErrorCode all_codes[] = {ErrorCode::failed, ErrorCode::invalid, ErrorCode::not_found,
                                   ErrorCode::denied, ErrorCode::busy,    ErrorCode::unavailable};

std::string line_of(Json response, const RequestTag& id) {
  if (const auto* number = std::get_if<std::int64_t>(&id)) response["id"] = *number;
  if (const auto* text = std::get_if<std::string>(&id)) response["id"] = *text;
  return dump_json(response) + "\n";
}

}  // namespace

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::failed: return "failed";
    case ErrorCode::invalid: return "invalid";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::denied: return "denied";
    case ErrorCode::busy: return "busy";
    case ErrorCode::unavailable: return "unavailable";
  }
  __builtin_unreachable();
}

std::optional<ErrorCode> parse_error_code(std::string_view word) {
  for (ErrorCode code : all_codes) {
    if (to_string(code) == word) return code;
  }
  return std::nullopt;
}

std::string success_response(const RequestTag& id, const Json& data) {
  return line_of({{"status", "success"}, {"data", data}}, id);
}

std::string error_response(const RequestTag& id, const Error& error) {
  return line_of({{"status", "error"}, {"error", error.message}, {"code", to_string(error.code)}}, id);
}

Result<Json> parse_response(std::string_view line) {
  Result<Json> response = parse_json(line);
  if (!response) return fail("cannot read the agent's answer: " + response.error().message);
  if (!response->is_object()) return fail("cannot read the agent's answer: it is no object");
  auto text = [&](const char* key) {
    auto found = response->find(key);
    return found != response->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  std::string status = text("status");
  if (status == "success") {
    auto data = response->find("data");
    return data != response->end() ? std::move(*data) : Json();
  }
  if (status == "error") {
    // A code that only a newer agent knows is a failure all the same.
    return fail(text("error"), parse_error_code(text("code")).value_or(ErrorCode::failed));
  }
  return fail("cannot read the agent's answer: it has no status");
}

ExitCode exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::failed:
    case ErrorCode::invalid:
    case ErrorCode::busy: return ExitCode::failed;
    case ErrorCode::not_found: return ExitCode::no_such_service;
    case ErrorCode::denied: return ExitCode::denied;
    case ErrorCode::unavailable: return ExitCode::unreachable;
  }
  __builtin_unreachable();
}

}  // namespace gitproc
