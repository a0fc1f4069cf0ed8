#include "agent/http/http_server.h"

#include <array>
#include <asio.hpp>
#include <asio/ssl.hpp>
#include <charconv>
#include <list>
#include <set>
#include <thread>
#include <type_traits>
#include <utility>

#include "agent/http/request_head.h"

namespace gitproc {
namespace {

using Tcp = asio::ip::tcp;
using PlainStream = Tcp::socket;
using TlsStream = asio::ssl::stream<Tcp::socket>;

constexpr std::size_t read_step_bytes = 4u << 10;
// What a peer still sends after it was answered is read away, so that it sees the answer and not a reset.
constexpr std::size_t drain_limit_bytes = 2u << 20;
constexpr std::chrono::seconds drain_deadline{1};
// Accepting goes on after this where descriptors ran out.
constexpr std::chrono::milliseconds accept_pause{100};

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 202: return "Accepted";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 411: return "Length Required";
    case 413: return "Payload Too Large";
    case 414: return "URI Too Long";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    default: return "Status";
  }
}

std::string encode(const HttpResponse& response, bool has_body) {
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " ";
  text += reason_phrase(response.status);
  text += "\r\nContent-Type: " + response.content_type +
          "\r\nContent-Length: " + std::to_string(response.body.size()) +
          "\r\nConnection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
  for (const auto& [name, value] : response.headers)
    text += name + ": " + value + "\r\n";
  text += "\r\n";
  if (has_body) text += response.body;
  return text;
}

class Connection;

// What the connections of one server share; only the HTTP thread touches it, but for `loop`.
struct Shared {
  HttpHandler handler;
  std::list<std::weak_ptr<Connection>> reading;     // the one that has been at it for longest comes first
  std::set<std::shared_ptr<Connection>> answering;  // that the handler has
  std::size_t connections = 0;
  std::size_t buffered_bytes = 0;  // of requests
  std::size_t answer_bytes = 0;
  asio::io_context loop{1};  // goes first: its handlers hold connections, which use the rest
};

// The part of a connection that others see.
class Connection {
 public:
  virtual ~Connection() = default;
  virtual void start() = 0;
  virtual void close() = 0;
};

// The length of the body, or why it cannot be taken.
std::variant<std::size_t, HttpResponse> body_length(const HttpRequest& request) {
  if (request.header("Transfer-Encoding"))
    return HttpResponse{.status = 411, .body = "send a Content-Length\n"};
  std::optional<std::string_view> text = request.header("Content-Length");
  if (!text) return std::size_t{0};
  std::size_t length = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), length);
  if (error == std::errc::result_out_of_range || length > http_body_limit_bytes) {
    return HttpResponse{.status = 413, .body = "a body may be 1 MiB long at most\n"};
  }
  if (text->empty() || error != std::errc{} || end != text->data() + text->size())
    return HttpResponse{.status = 400, .body = "malformed Content-Length\n"};
  return length;
}

template <typename Stream>
class StreamConnection : public Connection, public std::enable_shared_from_this<StreamConnection<Stream>> {
 public:
  StreamConnection(Shared& shared, Stream stream)
      : shared_(shared), stream_(std::move(stream)), deadline_(shared.loop) {
    ++shared_.connections;
  }
  ~StreamConnection() override {
    leave_reading();
    shared_.buffered_bytes -= buffered_bytes_;
    shared_.answer_bytes -= output_.size();
    --shared_.connections;
  }

  void start() override {
    place_ = shared_.reading.insert(shared_.reading.end(), this->weak_from_this());
    is_reading_ = true;
    asio::error_code ignored;
    socket().set_option(Tcp::no_delay(true), ignored);
    arm(http_request_deadline, [](StreamConnection& self) { self.close(); });
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](const asio::error_code& error) {
                                error ? self->close() : self->read_head();
                              });
    } else {
      read_head();
    }
  }

  void close() override {
    asio::error_code ignored;
    deadline_.cancel();
    socket().close(ignored);
  }

 private:
  Tcp::socket& socket() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }

  // One deadline at a time: for the request, the answer, the writing of it, the rest.
  void arm(std::chrono::steady_clock::duration span, void (*expire)(StreamConnection&)) {
    deadline_.expires_after(span);
    deadline_.async_wait([weak = this->weak_from_this(), expire](const asio::error_code& stopped) {
      if (auto self = weak.lock(); self && !stopped) expire(*self);
    });
  }

  void leave_reading() {
    if (std::exchange(is_reading_, false)) shared_.reading.erase(place_);
  }

  // Appends to the head or the body, unless all requests together take too much.
  bool buffer(std::string& text, std::string_view bytes) {
    if (shared_.buffered_bytes + bytes.size() > http_buffered_limit_bytes) return false;
    buffered_bytes_ += bytes.size();
    shared_.buffered_bytes += bytes.size();
    text += bytes;
    return true;
  }

  void read_head() {
    stream_.async_read_some(asio::buffer(step_), [self = this->shared_from_this()](
                                                     const asio::error_code& error, std::size_t count) {
      if (error) return self->close();
      self->take_head(count);
    });
  }

  void take_head(std::size_t count) {
    std::size_t searched = input_.size() < 3 ? 0 : input_.size() - 3;
    if (!buffer(input_, {step_.data(), count})) return answer({.status = 503, .body = "too busy\n"});
    std::size_t end = input_.find("\r\n\r\n", searched);
    if (end == std::string::npos ? input_.size() > http_head_limit_bytes : end > http_head_limit_bytes)
      return answer({.status = 431, .body = "the head may be 16 KiB long at most\n"});
    if (end == std::string::npos) return read_head();

    auto parsed = parse_request_head(std::string_view(input_).substr(0, end + 4));
    if (auto* refusal = std::get_if<HttpResponse>(&parsed)) return answer(std::move(*refusal));
    request_ = std::get<HttpRequest>(std::move(parsed));
    asio::error_code ignored;
    request_.peer = socket().remote_endpoint(ignored).address().to_string();
    auto length = body_length(request_);
    if (auto* refusal = std::get_if<HttpResponse>(&length)) return answer(std::move(*refusal));
    missing_ = std::get<std::size_t>(length);
    take_body(std::string_view(input_).substr(end + 4));
    if (missing_ == 0 || is_answered_) return;
    if (request_.header("Expect")) {
      asio::async_write(stream_, asio::buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\n")),
                        [self = this->shared_from_this()](const asio::error_code& error, std::size_t) {
                          error ? self->close() : self->read_body();
                        });
    } else {
      read_body();
    }
  }

  void read_body() {
    stream_.async_read_some(asio::buffer(step_), [self = this->shared_from_this()](
                                                     const asio::error_code& error, std::size_t count) {
      if (error) return self->close();
      self->take_body({self->step_.data(), count});
      if (self->missing_ != 0 && !self->is_answered_) self->read_body();
    });
  }

  // What comes after the body is not looked at: there is one request on a connection.
  void take_body(std::string_view bytes) {
    std::size_t count = std::min(bytes.size(), missing_);
    if (!buffer(request_.body, bytes.substr(0, count))) return answer({.status = 503, .body = "too busy\n"});
    missing_ -= count;
    if (missing_ == 0) handle();
  }

  void handle() {
    leave_reading();
    arm(http_answer_deadline,
        [](StreamConnection& self) { self.answer({.status = 503, .body = "the agent does not answer\n"}); });
    shared_.handler(request_, [weak = this->weak_from_this()](HttpResponse response) {
      if (auto self = weak.lock()) self->answer(std::move(response));
    });
    if (!is_answered_) shared_.answering.insert(this->shared_from_this());
  }

  void answer(HttpResponse response) {
    if (std::exchange(is_answered_, true)) return;
    leave_reading();
    auto self = this->shared_from_this();
    shared_.answering.erase(self);
    bool is_small = response.body.size() <= http_small_answer_bytes;
    if (!is_small && shared_.answer_bytes + response.body.size() > http_answers_limit_bytes)
      response = {.status = 503, .body = "too busy\n"};
    output_ = encode(response, request_.method != "HEAD");
    shared_.answer_bytes += output_.size();
    arm(http_write_deadline, [](StreamConnection& late) { late.close(); });
    asio::async_write(stream_, asio::buffer(output_), [self](const asio::error_code& error, std::size_t) {
      error ? self->close() : self->shut_down();
    });
  }

  void shut_down() {
    arm(drain_deadline, [](StreamConnection& late) { late.close(); });
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      stream_.async_shutdown([self = this->shared_from_this()](const asio::error_code&) { self->close(); });
    } else {
      asio::error_code ignored;
      socket().shutdown(Tcp::socket::shutdown_send, ignored);
      drain();
    }
  }

  void drain() {
    stream_.async_read_some(asio::buffer(step_), [self = this->shared_from_this()](
                                                     const asio::error_code& error, std::size_t count) {
      self->drained_bytes_ += count;
      (error || self->drained_bytes_ > drain_limit_bytes) ? self->close() : self->drain();
    });
  }

  Shared& shared_;
  Stream stream_;
  asio::steady_timer deadline_;
  std::list<std::weak_ptr<Connection>>::iterator place_;  // in shared_.reading, while is_reading_
  std::array<char, read_step_bytes> step_;
  std::string input_;  // the head, and what came with it
  HttpRequest request_;
  std::size_t missing_ = 0;         // of the body
  std::size_t buffered_bytes_ = 0;  // its part of shared_.buffered_bytes
  std::string output_;
  std::size_t drained_bytes_ = 0;
  bool is_reading_ = false;
  bool is_answered_ = false;
};

class AsioHttpServer : public HttpServer {
 public:
  explicit AsioHttpServer(HttpHandler handler) : acceptor_(shared_.loop), pause_(shared_.loop) {
    shared_.handler = std::move(handler);
  }

  ~AsioHttpServer() override {
    shared_.loop.stop();
    if (thread_.joinable()) thread_.join();
    shared_.answering.clear();
  }

  Result<void> open(const Options& options) {
    if (!options.tls_certificate.empty()) {
      if (Result<void> read = read_certificate(options); !read) return read;
    }
    asio::error_code error;
    Tcp::endpoint endpoint(asio::ip::make_address(options.address.host, error), options.address.port);
    if (!error) acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return fail("cannot listen on '" + to_string(options.address) + "': " + error.message());
    Tcp::endpoint local = acceptor_.local_endpoint(error);
    address_ = {.host = options.address.host, .port = local.port()};
    accept();
    thread_ = std::thread([this] { run(); });
    return {};
  }

  ListenAddress address() const override { return address_; }
  void post(std::function<void()> function) override { asio::post(shared_.loop, std::move(function)); }

 private:
  void run() {
    while (true) {
      try {
        shared_.loop.run();
        return;
      } catch (const std::exception&) {
        // Out of memory, most likely. The connection in whose handler it happened goes with that handler.
        continue;
      }
    }
  }

  Result<void> read_certificate(const Options& options) {
    tls_.emplace(asio::ssl::context::tls_server);
    asio::error_code error;
    tls_->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                          asio::ssl::context::no_tlsv1_1,
                      error);
    tls_->use_certificate_chain_file(options.tls_certificate, error);
    if (error) return fail("cannot use certificate '" + options.tls_certificate + "': " + error.message());
    tls_->use_private_key_file(options.tls_key, asio::ssl::context::pem, error);
    if (error) return fail("cannot use key '" + options.tls_key + "': " + error.message());
    return {};
  }

  void accept() {
    acceptor_.async_accept([this](const asio::error_code& error, Tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) {
        // Out of descriptors, most likely: go on in a moment instead of spinning.
        make_room();
        pause_.expires_after(accept_pause);
        pause_.async_wait([this](const asio::error_code& stopped) {
          if (!stopped) accept();
        });
        return;
      }
      if (shared_.connections >= http_connection_limit) make_room();
      // Closing takes effect with the handlers of what is closed; until then a few more are bearable.
      if (shared_.connections < 2 * http_connection_limit) serve(std::move(socket));
      accept();
    });
  }

  void make_room() {
    if (shared_.reading.empty()) return;
    std::shared_ptr<Connection> oldest = shared_.reading.front().lock();
    // To the end, so that the next one in need of room does not close it again.
    shared_.reading.splice(shared_.reading.end(), shared_.reading, shared_.reading.begin());
    if (oldest) oldest->close();
  }

  void serve(Tcp::socket socket) {
    if (tls_) {
      std::make_shared<StreamConnection<TlsStream>>(shared_, TlsStream(std::move(socket), *tls_))->start();
    } else {
      std::make_shared<StreamConnection<PlainStream>>(shared_, std::move(socket))->start();
    }
  }

  Shared shared_;
  std::optional<asio::ssl::context> tls_;
  Tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  ListenAddress address_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const Options& options, HttpHandler handler) {
  auto server = std::make_unique<AsioHttpServer>(std::move(handler));
  if (Result<void> opened = server->open(options); !opened) return std::unexpected(opened.error());
  return server;
}

}  // namespace gitproc
