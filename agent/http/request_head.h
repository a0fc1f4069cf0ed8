// The head of a request, from the request line to the empty line, read by cpp-httplib. Only the parser of that library
// is used: its server gives a thread to each connection and has time-outs per read only, so a few hundred slow
// clients would keep everybody else waiting (http_server.h does better). This is the only file that knows it.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "agent/http/http_message.h"

namespace gitproc {

// `head` ends with an empty line. An HttpResponse is the library's own refusal (400, 414, ...).
std::variant<HttpRequest, HttpResponse> parse_request_head(std::string_view head);

}  // namespace gitproc
