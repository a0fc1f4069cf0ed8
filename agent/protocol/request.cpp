#include "agent/protocol/request.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "agent/protocol/json.h"
#include "reconcile/base/civil.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr RequestCommand all_commands[] = {
    RequestCommand::status,        RequestCommand::list,          RequestCommand::logs,
    RequestCommand::start,         RequestCommand::stop,          RequestCommand::restart,
    RequestCommand::reload,        RequestCommand::sync,          RequestCommand::rollback,
    RequestCommand::approve,       RequestCommand::switch_branch, RequestCommand::plan,
    RequestCommand::history,       RequestCommand::events,        RequestCommand::why,
    RequestCommand::agent_reload,  RequestCommand::version,       RequestCommand::accept,
    RequestCommand::import_bundle,
};

std::optional<RequestCommand> parse_command(std::string_view word) {
  for (RequestCommand command : all_commands) {
    if (to_string(command) == word) return command;
  }
  return std::nullopt;
}

struct Arity {
  std::size_t least = 0;
  std::size_t most = 0;
};

// How many services a command is for.
Arity arity_of(RequestCommand command) {
  switch (command) {
    case RequestCommand::start:
    case RequestCommand::stop:
    case RequestCommand::restart:
    case RequestCommand::reload:
    case RequestCommand::why: return {1, 1};
    case RequestCommand::logs: return {1, max_request_services};
    case RequestCommand::status: return {0, 1};
    case RequestCommand::events: return {0, max_request_services};
    case RequestCommand::list:
    case RequestCommand::sync:
    case RequestCommand::rollback:
    case RequestCommand::approve:
    case RequestCommand::accept:
    case RequestCommand::import_bundle:
    case RequestCommand::switch_branch:
    case RequestCommand::plan:
    case RequestCommand::history:
    case RequestCommand::agent_reload:
    case RequestCommand::version: return {0, 0};
  }
  __builtin_unreachable();
}

std::unexpected<Error> invalid(std::string message) { return fail(std::move(message), ErrorCode::invalid); }

Result<void> read_text(const std::string& key, const Json& value, std::string& text) {
  if (!value.is_string()) return invalid(key + " must be a string");
  text = value.get<std::string>();
  if (text.empty()) return invalid(key + " must not be empty");
  if (text.size() > max_request_text_bytes) {
    return invalid(key + " must not be longer than " + std::to_string(max_request_text_bytes) + " bytes");
  }
  return {};
}

Result<void> read_optional_text(const std::string& key, const Json& value, std::optional<std::string>& text) {
  return read_text(key, value, text.emplace());
}

Result<void> read_flag(const std::string& key, const Json& value, bool& flag) {
  if (!value.is_boolean()) return invalid(key + " must be true or false");
  flag = value.get<bool>();
  return {};
}

Result<void> read_lines(const std::string& key, const Json& value, std::optional<unsigned>& lines) {
  if (!value.is_number_integer() || value.get<std::int64_t>() < 0 ||
      value.get<std::uint64_t>() > max_request_lines) {
    return invalid(key + " must be an integer from 0 to " + std::to_string(max_request_lines));
  }
  lines = value.get<unsigned>();
  return {};
}

Result<void> read_time(const std::string& key, const Json& value, std::optional<WallTime>& time) {
  if (value.is_string()) time = parse_rfc3339(value.get_ref<const std::string&>());
  if (!time) return invalid(key + " must be a time as in RFC 3339 (2030-12-31T18:00:00Z)");
  return {};
}

Result<void> read_labels(const std::string& key, const Json& value,
                         std::map<std::string, std::string, std::less<>>& labels) {
  if (!value.is_object()) return invalid(key + " must be an object of strings");
  if (value.size() > max_request_labels) {
    return invalid(key + " must not hold more than " + std::to_string(max_request_labels) + " labels");
  }
  for (const auto& [name, label] : value.items()) {
    if (!label.is_string()) return invalid(key + " must be an object of strings");
    labels.emplace(name, label.get<std::string>());
  }
  return {};
}

Result<void> read_argument(const std::string& name, const Json& value, RequestArguments& args) {
  std::string key = "args." + name;
  if (name == "lines") return read_lines(key, value, args.lines);
  if (name == "follow") return read_flag(key, value, args.follow);
  if (name == "wait") return read_flag(key, value, args.wait);
  if (name == "retry") return read_flag(key, value, args.retry);
  if (name == "commit") return read_optional_text(key, value, args.commit);
  if (name == "from") return read_optional_text(key, value, args.from);
  if (name == "branch") return read_optional_text(key, value, args.branch);
  if (name == "file") return read_optional_text(key, value, args.file);
  if (name == "reason") return read_optional_text(key, value, args.reason);
  if (name == "node") return read_optional_text(key, value, args.node);
  if (name == "until") return read_time(key, value, args.until);
  if (name == "labels") return read_labels(key, value, args.labels);
  return invalid("unknown argument '" + printable(name, 40) + "'");
}

Result<void> read_arguments(const Json& value, RequestArguments& args) {
  if (!value.is_object()) return invalid("args must be an object");
  for (const auto& [name, argument] : value.items()) {
    if (argument.is_null()) continue;
    if (Result<void> read = read_argument(name, argument, args); !read) return read;
  }
  return {};
}

Result<void> read_service(const std::string& key, const Json& value, std::vector<std::string>& services) {
  std::string name;
  if (Result<void> read = read_text(key, value, name); !read) return read;
  services.emplace_back(without_service_suffix(name));
  return {};
}

Result<void> read_services(const Json& value, std::vector<std::string>& services) {
  if (!value.is_array()) return invalid("services must be an array of strings");
  if (value.size() > max_request_services) {
    return invalid("services must not hold more than " + std::to_string(max_request_services) + " names");
  }
  for (const Json& name : value) {
    if (!name.is_string()) return invalid("services must be an array of strings");
    if (Result<void> read = read_service("services", name, services); !read) return read;
  }
  return {};
}

Result<void> read_field(const std::string& name, const Json& value, Request& request) {
  if (name == "id") return {};
  if (name == "command") {
    if (!value.is_string()) return invalid("command must be a string");
    const auto& word = value.get_ref<const std::string&>();
    std::optional<RequestCommand> command = parse_command(word);
    if (!command) return invalid("unknown command '" + printable(word, 40) + "'");
    request.command = *command;
    return {};
  }
  if (name == "service") return read_service("service", value, request.services);
  if (name == "services") return read_services(value, request.services);
  if (name == "args") return read_arguments(value, request.args);
  return invalid("unknown key '" + printable(name, 40) + "'");
}

Result<RequestTag> read_id(const Json& request) {
  auto id = request.find("id");
  if (id == request.end() || id->is_null()) return RequestTag();
  if (id->is_string() && id->get_ref<const std::string&>().size() <= max_request_text_bytes) {
    return RequestTag(id->get<std::string>());
  }
  bool fits =
      id->is_number_integer() &&
      !(id->is_number_unsigned() && id->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max());
  if (fits) return RequestTag(id->get<std::int64_t>());
  return invalid("id must be an integer, or a string of at most " + std::to_string(max_request_text_bytes) +
                 " bytes");
}

Result<void> check_arity(const Request& request) {
  Arity arity = arity_of(request.command);
  std::string command(to_string(request.command));
  if (request.services.size() < arity.least) return invalid(command + " needs a service");
  if (request.services.size() > arity.most) {
    return invalid(arity.most == 0 ? command + " takes no service" : command + " takes one service only");
  }
  return {};
}

Result<void> read_request(const Json& line, Request& request) {
  auto command = line.find("command");
  if (command == line.end() || command->is_null()) return invalid("command is missing");
  for (const auto& [name, value] : line.items()) {
    if (value.is_null()) continue;
    if (Result<void> read = read_field(name, value, request); !read) return read;
  }
  return check_arity(request);
}

Json encode_arguments(const RequestArguments& args) {
  Json encoded = Json::object();
  if (args.lines) encoded["lines"] = *args.lines;
  if (args.follow) encoded["follow"] = true;
  if (!args.wait) encoded["wait"] = false;
  if (args.retry) encoded["retry"] = true;
  if (args.commit) encoded["commit"] = *args.commit;
  if (args.from) encoded["from"] = *args.from;
  if (args.branch) encoded["branch"] = *args.branch;
  if (args.file) encoded["file"] = *args.file;
  if (args.reason) encoded["reason"] = *args.reason;
  if (args.until) encoded["until"] = to_rfc3339(*args.until);
  if (args.node) encoded["node"] = *args.node;
  if (!args.labels.empty()) encoded["labels"] = args.labels;
  return encoded;
}

}  // namespace

std::string_view to_string(RequestCommand command) {
  switch (command) {
    case RequestCommand::status: return "status";
    case RequestCommand::list: return "list";
    case RequestCommand::logs: return "logs";
    case RequestCommand::start: return "start";
    case RequestCommand::stop: return "stop";
    case RequestCommand::restart: return "restart";
    case RequestCommand::reload: return "reload";
    case RequestCommand::sync: return "sync";
    case RequestCommand::rollback: return "rollback";
    case RequestCommand::approve: return "approve";
    case RequestCommand::accept: return "accept";
    case RequestCommand::import_bundle: return "import";
    case RequestCommand::switch_branch: return "switch";
    case RequestCommand::plan: return "plan";
    case RequestCommand::history: return "history";
    case RequestCommand::events: return "events";
    case RequestCommand::why: return "why";
    case RequestCommand::agent_reload: return "agent-reload";
    case RequestCommand::version: return "version";
  }
  __builtin_unreachable();
}

bool is_readable_by_all(RequestCommand command) {
  switch (command) {
    case RequestCommand::status:
    case RequestCommand::list:
    case RequestCommand::history:
    case RequestCommand::events:
    case RequestCommand::version: return true;
    case RequestCommand::logs:
    case RequestCommand::start:
    case RequestCommand::stop:
    case RequestCommand::restart:
    case RequestCommand::reload:
    case RequestCommand::sync:
    case RequestCommand::rollback:
    case RequestCommand::approve:
    case RequestCommand::accept:
    case RequestCommand::import_bundle:
    case RequestCommand::switch_branch:
    case RequestCommand::plan:
    case RequestCommand::why:
    case RequestCommand::agent_reload: return false;
  }
  __builtin_unreachable();
}

std::expected<Request, RequestFault> parse_request(std::string_view line) {
  Result<Json> json = parse_json(line);
  if (!json) return std::unexpected(RequestFault{json.error(), {}});
  if (!json->is_object())
    return std::unexpected(RequestFault{{"a request must be an object", ErrorCode::invalid}, {}});

  Request request;
  Result<RequestTag> id = read_id(*json);
  if (!id) return std::unexpected(RequestFault{id.error(), {}});
  request.id = *id;
  if (Result<void> read = read_request(*json, request); !read) {
    return std::unexpected(RequestFault{read.error(), request.id});
  }
  return request;
}

std::string encode_request(const Request& request) {
  Json encoded = {{"command", to_string(request.command)}};
  if (request.services.size() == 1) encoded["service"] = request.services.front();
  if (request.services.size() > 1) encoded["services"] = request.services;
  if (Json args = encode_arguments(request.args); !args.empty()) encoded["args"] = std::move(args);
  if (const auto* number = std::get_if<std::int64_t>(&request.id)) encoded["id"] = *number;
  if (const auto* text = std::get_if<std::string>(&request.id)) encoded["id"] = *text;
  return dump_json(encoded) + "\n";
}

}  // namespace gitproc
