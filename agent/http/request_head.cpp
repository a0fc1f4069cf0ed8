#include "agent/http/request_head.h"

#include <httplib.h>
#include <strings.h>

#include <cstring>
#include <exception>

namespace gitproc {
namespace {

// A connection that is no socket: the head is all that is read, and what would be written is thrown away.
class HeadStream : public httplib::Stream {
 public:
  explicit HeadStream(std::string_view head) : left_(head) {}

  bool is_readable() const override { return !left_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* buffer, std::size_t size) override {
    std::size_t count = std::min(size, left_.size());
    std::memcpy(buffer, left_.data(), count);
    left_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char*, std::size_t size) override { return static_cast<ssize_t>(size); }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }

 private:
  std::string_view left_;
};

// Takes the request before any of the library's own routing, and its status where it never came to that.
class HeadParser : public httplib::Server {
 public:
  HeadParser() {
    // Nothing of the library's thread pool is ever made: nothing listens.
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response&) {
      request_.emplace();
      request_->method = request.method;
      request_->path = request.path;
      for (const auto& [name, value] : request.headers)
        request_->headers.emplace_back(name, value);
      return HandlerResponse::Handled;
    });
    set_logger(
        [this](const httplib::Request&, const httplib::Response& response) { status_ = response.status; });
  }

  std::variant<HttpRequest, HttpResponse> parse(std::string_view head) {
    HeadStream stream(head);
    process(&HeadParser::process_request, stream);
    if (request_) return *std::move(request_);
    return HttpResponse{.status = status_ >= 400 ? status_ : 400, .body = "malformed request\n"};
  }

 private:
  using SetUp = std::function<void(httplib::Request&)>;
  // As cpp-httplib declares it up to version 0.15, and from then on: the compiler takes the one that is there.
  using Process = bool (httplib::Server::*)(httplib::Stream&, bool, bool&, const SetUp&);
  using ProcessWithAddresses = bool (httplib::Server::*)(httplib::Stream&, const std::string&, int,
                                                         const std::string&, int, bool, bool&, const SetUp&);
  void process(Process call, httplib::Stream& stream) {
    bool is_closed = false;
    (this->*call)(stream, true, is_closed, nullptr);
  }
  void process(ProcessWithAddresses call, httplib::Stream& stream) {
    bool is_closed = false;
    (this->*call)(stream, "", 0, "", 0, true, is_closed, nullptr);
  }

  std::optional<HttpRequest> request_;
  int status_ = 0;
};

}  // namespace

std::optional<std::string_view> HttpRequest::header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (known.size() == name.size() && ::strncasecmp(known.data(), name.data(), name.size()) == 0)
      return value;
  }
  return std::nullopt;
}

std::variant<HttpRequest, HttpResponse> parse_request_head(std::string_view head) {
  try {
    HeadParser parser;
    return parser.parse(head);
  } catch (const std::exception&) {
    return HttpResponse{.status = 400, .body = "malformed request\n"};
  }
}

}  // namespace gitproc
