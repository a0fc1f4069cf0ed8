// A Request is one line of the control socket, parsed: the command, whom it is for, its arguments, and the id
// that is echoed. The command line builds the same values and encodes them, so that both sides agree by
// construction. What each command takes and answers is described in agent/protocol/README.md.
#pragma once

#include <compare>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "reconcile/base/error.h"
#include "reconcile/base/time.h"

namespace gitproc {

enum class RequestCommand {
  status,
  list,
  logs,
  start,
  stop,
  restart,
  reload,
  sync,
  rollback,
  approve,
  accept,
  import_bundle,
  switch_branch,
  plan,
  history,
  events,
  why,
  agent_reload,
  version,
};

// The word on the wire: "status", "switch", "agent-reload", ...
std::string_view to_string(RequestCommand command);

// Whether peers that may only read (`socket_read_all`) may send it: status, list, history, events, version.
bool is_readable_by_all(RequestCommand command);

// Bounds of what a request may carry, besides max_request_bytes of the whole line.
inline constexpr unsigned max_request_lines = 1'000'000;
inline constexpr std::size_t max_request_services = 1'000;
inline constexpr std::size_t max_request_labels = 64;
inline constexpr std::size_t max_request_text_bytes = 4'096;  // of each string

struct RequestArguments {
  std::optional<unsigned> lines;  // 0 to max_request_lines
  bool follow = false;
  bool wait = true;
  bool retry = false;
  std::optional<std::string> commit;  // any revision, as the user wrote it
  std::optional<std::string> from;    // the same
  std::optional<std::string> branch;
  std::optional<std::string> file;  // an absolute path, of import
  std::optional<std::string> reason;
  std::optional<WallTime> until;
  std::optional<std::string> node;
  std::map<std::string, std::string, std::less<>> labels;

  bool operator==(const RequestArguments&) const = default;
};

// What the peer named its request; echoed in each of its responses.
using RequestTag = std::variant<std::monostate, std::int64_t, std::string>;

struct Request {
  RequestCommand command = RequestCommand::status;
  std::vector<std::string> services;  // without ".service"; as many as the command takes
  RequestArguments args;
  RequestTag id;

  bool operator==(const Request&) const = default;
};

// Why a line is no request; `id` is the line's, where it could be read.
struct RequestFault {
  Error error;
  RequestTag id;

  bool operator==(const RequestFault&) const = default;
};

// `line` is one line without its end, of any content.
std::expected<Request, RequestFault> parse_request(std::string_view line);

// The line, with its end; parse_request() gives the request again.
std::string encode_request(const Request& request);

}  // namespace gitproc
