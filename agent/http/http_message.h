// What is asked and answered over HTTP, as plain values. One request, one answer, one connection.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gitproc {

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // decoded, without the query
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string peer;  // the address of the other end, without its port

  // The value of the header of that name (letters of either case), nullopt where there is none. The first of several.
  std::optional<std::string_view> header(std::string_view name) const;

  bool operator==(const HttpRequest&) const = default;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers;

  bool operator==(const HttpResponse&) const = default;
};

// Answers one request, at once or later; on the HTTP thread. A call after the peer has gone does nothing.
using HttpAnswer = std::function<void(HttpResponse)>;
using HttpHandler = std::function<void(const HttpRequest&, HttpAnswer)>;

}  // namespace gitproc
