#include <curl/curl.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "drivers/base/lazy_library.h"
#include "drivers/base/system_call.h"
#include "drivers/health/probe_address.h"
#include "drivers/health/probe_driver.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;

// A probe that curl works on.
struct Transfer {
  ServiceId service;
  HealthCheck check;
  std::size_t header_bytes = 0;
  std::size_t body_bytes = 0;
  Easy easy;
};

// A socket of curl's that the loop watches. Closing it is curl's.
struct Watched {
  explicit Watched(asio::io_context& loop) : descriptor(loop) {}
  ~Watched() { let_go(); }
  // To be called before curl closes the socket: its number may be another one's at once.
  void let_go() {
    if (descriptor.is_open()) descriptor.release();
  }

  asio::posix::stream_descriptor descriptor;
  int wanted = 0;  // CURL_POLL_IN, CURL_POLL_OUT or both
  bool is_waiting_to_read = false;
  bool is_waiting_to_write = false;
};

std::string milliseconds_text(Duration span) {
  auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(span).count();
  if (milliseconds % 1000 == 0) return std::to_string(milliseconds / 1000) + " s";
  return std::to_string(milliseconds) + " ms";
}

bool is_healthy_status(const HealthCheck& check, long status) {
  if (check.healthy_statuses.empty()) return status >= 200 && status <= 299;
  return std::any_of(check.healthy_statuses.begin(), check.healthy_statuses.end(),
                     [status](const auto& range) { return range.first <= status && status <= range.second; });
}

// curl's own words begin with a capital, unlike ours.
std::string curl_text(CURLcode code) {
  std::string text = curl_easy_strerror(code);
  if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a')
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

// What came of a transfer that has ended with `code`.
ProbeFinished judge(const Transfer& transfer, CURLcode code) {
  auto finished = [&](bool is_healthy, std::string detail) {
    return ProbeFinished{transfer.service, is_healthy, std::move(detail)};
  };
  long status = 0;
  long error_number = 0;
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_OS_ERRNO, &error_number);
  if (transfer.header_bytes > probe_response_limit_bytes)
    return finished(false, "the response's headers are too long");
  // The rest of a long body is of no interest.
  if (code == CURLE_WRITE_ERROR && transfer.body_bytes > probe_response_limit_bytes) code = CURLE_OK;
  switch (code) {
    case CURLE_OK:
      if (transfer.check.kind == HealthCheckKind::tcp) return finished(true, "connected");
      return finished(is_healthy_status(transfer.check, status), "HTTP " + std::to_string(status));
    case CURLE_OPERATION_TIMEDOUT:
      return finished(false, "no answer within " + milliseconds_text(transfer.check.timeout));
    case CURLE_COULDNT_CONNECT:
      return finished(false,
                      error_number != 0 ? error_text(static_cast<int>(error_number)) : "cannot connect");
    case CURLE_GOT_NOTHING: return finished(false, "connection closed without an answer");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY: return finished(false, "the answer is not HTTP");
    default: return finished(false, printable(curl_text(code)));
  }
}

class CurlProbeDriver : public ProbeDriver {
 public:
  CurlProbeDriver(asio::io_context& loop, std::function<void(Event)> on_event)
      : loop_(loop), timer_(loop), on_event_(std::move(on_event)), multi_(curl_multi_init()) {}
  ~CurlProbeDriver() override;

  Result<void> set_up();
  void start(ServiceId service, const HealthCheck& check) override;
  void cancel(ServiceId service) override;

 private:
  void begin_waiting();
  Result<void> begin(ServiceId service, const HealthCheck& check);
  void report_later(ProbeFinished finished);
  void report();
  void collect();
  void act(curl_socket_t socket, int events);
  void watch(curl_socket_t socket, int wanted);
  void wait(curl_socket_t socket, const std::shared_ptr<Watched>& watched);
  void arm(long milliseconds);

  static int on_socket(CURL*, curl_socket_t socket, int wanted, void* self, void*);
  static int on_timer(CURLM*, long milliseconds, void* self);
  static std::size_t on_header(char*, std::size_t size, std::size_t count, void* transfer);
  static std::size_t on_body(char*, std::size_t size, std::size_t count, void* transfer);

  asio::io_context& loop_;
  asio::steady_timer timer_;
  std::function<void(Event)> on_event_;
  // Handlers that are still in the loop when the driver goes hold a copy, and look first.
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
  std::map<curl_socket_t, std::shared_ptr<Watched>> watched_;
  std::unique_ptr<CURLM, MultiDeleter> multi_;
  std::map<ServiceId, std::unique_ptr<Transfer>> transfers_;
  std::deque<std::pair<ServiceId, HealthCheck>> waiting_;  // beyond probes_in_flight_limit
  std::map<ServiceId, ProbeFinished> finished_;            // to be reported from the loop
  bool is_report_posted_ = false;
};

CurlProbeDriver::~CurlProbeDriver() {
  *is_alive_ = false;
  for (auto& [service, transfer] : transfers_)
    curl_multi_remove_handle(multi_.get(), transfer->easy.get());
  transfers_.clear();
  // While its members are still there: closing connections calls on_socket.
  multi_.reset();
}

Result<void> CurlProbeDriver::set_up() {
  if (!multi_) return fail("cannot set up health probes: out of memory");
  curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETFUNCTION, &CurlProbeDriver::on_socket);
  curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_.get(), CURLMOPT_TIMERFUNCTION, &CurlProbeDriver::on_timer);
  curl_multi_setopt(multi_.get(), CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  return {};
}

void CurlProbeDriver::start(ServiceId service, const HealthCheck& check) {
  cancel(service);
  waiting_.emplace_back(service, check);
  begin_waiting();
}

void CurlProbeDriver::cancel(ServiceId service) {
  finished_.erase(service);
  std::erase_if(waiting_, [service](const auto& waiting) { return waiting.first == service; });
  auto found = transfers_.find(service);
  if (found == transfers_.end()) return;
  curl_multi_remove_handle(multi_.get(), found->second->easy.get());
  transfers_.erase(found);
  begin_waiting();
}

void CurlProbeDriver::begin_waiting() {
  while (!waiting_.empty() && transfers_.size() < probes_in_flight_limit) {
    auto [service, check] = std::move(waiting_.front());
    waiting_.pop_front();
    if (Result<void> begun = begin(service, check); !begun)
      report_later({service, false, begun.error().message});
  }
}

Result<void> CurlProbeDriver::begin(ServiceId service, const HealthCheck& check) {
  auto transfer = std::make_unique<Transfer>(Transfer{.service = service, .check = check, .easy = {}});
  transfer->easy.reset(curl_easy_init());
  CURL* easy = transfer->easy.get();
  if (easy == nullptr) return fail("cannot probe: out of memory");
  std::string url = check.url;
  switch (check.kind) {
    case HealthCheckKind::http:
      if (Result<void> checked = check_http_url(url); !checked) return checked;
      break;
    case HealthCheckKind::tcp: {
      Result<ProbeAddress> address = parse_tcp_address(url);
      if (!address) return std::unexpected(address.error());
      bool is_literal = address->host.find(':') != std::string::npos;
      url = "http://" + (is_literal ? "[" + address->host + "]" : address->host) + ":" +
            std::to_string(address->port);
      curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
      break;
    }
    case HealthCheckKind::exec:
    case HealthCheckKind::none: return fail("cannot probe: not a probe over the network", ErrorCode::invalid);
  }
  auto milliseconds =
      std::chrono::ceil<std::chrono::milliseconds>(std::min<Duration>(check.timeout, std::chrono::hours(1)));
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer.get());
  // 0 would mean no limit.
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                   static_cast<long>(std::max<std::int64_t>(milliseconds.count(), 1)));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &CurlProbeDriver::on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &CurlProbeDriver::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "gitproc");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  // The agent's environment has no say in where a probe goes.
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  // Each probe is a new client: a service that no longer accepts connections is not healthy by an old one, and
  // thousands of idle connections cost nobody anything.
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  // README.md tells why certificates are not judged.
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
#if LIBCURL_VERSION_NUM >= 0x075700
  // A cancelled probe does not wait for a resolver that hangs.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
  if (CURLMcode code = curl_multi_add_handle(multi_.get(), easy); code != CURLM_OK) {
    return fail(std::string("cannot probe: ") + curl_multi_strerror(code));
  }
  transfers_[service] = std::move(transfer);
  return {};
}

void CurlProbeDriver::report_later(ProbeFinished finished) {
  ServiceId service = finished.service;
  finished_.insert_or_assign(service, std::move(finished));
  if (std::exchange(is_report_posted_, true)) return;
  asio::post(loop_, [this, is_alive = is_alive_] {
    if (*is_alive) report();
  });
}

// The callback may start and cancel probes, and even end the driver.
void CurlProbeDriver::report() {
  is_report_posted_ = false;
  auto finished = std::exchange(finished_, {});
  std::shared_ptr<bool> is_alive = is_alive_;
  for (auto& [service, event] : finished) {
    // The copy outlives the driver, if it must.
    auto on_event = on_event_;
    on_event(std::move(event));
    if (!*is_alive) return;
  }
}

void CurlProbeDriver::collect() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    CURLcode code = message->data.result;
    char* data = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &data);
    Transfer* transfer = reinterpret_cast<Transfer*>(data);
    report_later(judge(*transfer, code));
    // `message` is gone with this.
    curl_multi_remove_handle(multi_.get(), easy);
    transfers_.erase(transfer->service);
  }
  begin_waiting();
}

void CurlProbeDriver::act(curl_socket_t socket, int events) {
  int running = 0;
  curl_multi_socket_action(multi_.get(), socket, events, &running);
  collect();
}

void CurlProbeDriver::watch(curl_socket_t socket, int wanted) {
  if (wanted == CURL_POLL_REMOVE) {
    auto found = watched_.find(socket);
    if (found == watched_.end()) return;
    found->second->let_go();
    watched_.erase(found);
    return;
  }
  std::shared_ptr<Watched>& watched = watched_[socket];
  if (!watched) {
    watched = std::make_shared<Watched>(loop_);
    asio::error_code error;
    watched->descriptor.assign(socket, error);
    // A socket that cannot be watched is one that does not answer: the probe runs into its time-out.
    if (error) return;
  }
  watched->wanted = wanted;
  wait(socket, watched);
}

// Waits for what curl wants of this socket, unless a wait for it is under way already.
void CurlProbeDriver::wait(curl_socket_t socket, const std::shared_ptr<Watched>& watched) {
  auto wait_for = [&](int direction, int event, auto asio_direction, bool Watched::* is_waiting) {
    if ((watched->wanted & direction) == 0 || (*watched).*is_waiting) return;
    (*watched).*is_waiting = true;
    watched->descriptor.async_wait(asio_direction,
                                   [this, socket, event, direction, is_waiting, is_alive = is_alive_,
                                    weak = std::weak_ptr<Watched>(watched)](const asio::error_code& error) {
                                     std::shared_ptr<Watched> still = weak.lock();
                                     if (!*is_alive || !still) return;
                                     (*still).*is_waiting = false;
                                     if (error) return;
                                     if ((still->wanted & direction) != 0) act(socket, event);
                                     // curl may have closed the socket, and even opened another one of the same number.
                                     if (!*is_alive) return;
                                     auto found = watched_.find(socket);
                                     if (found != watched_.end() && found->second == still)
                                       wait(socket, still);
                                   });
  };
  wait_for(CURL_POLL_IN, CURL_CSELECT_IN, asio::posix::stream_descriptor::wait_read,
           &Watched::is_waiting_to_read);
  wait_for(CURL_POLL_OUT, CURL_CSELECT_OUT, asio::posix::stream_descriptor::wait_write,
           &Watched::is_waiting_to_write);
}

void CurlProbeDriver::arm(long milliseconds) {
  timer_.cancel();
  if (milliseconds < 0) return;
  timer_.expires_after(std::chrono::milliseconds(milliseconds));
  timer_.async_wait([this, is_alive = is_alive_](const asio::error_code& error) {
    if (*is_alive && !error) act(CURL_SOCKET_TIMEOUT, 0);
  });
}

int CurlProbeDriver::on_socket(CURL*, curl_socket_t socket, int wanted, void* self, void*) {
  static_cast<CurlProbeDriver*>(self)->watch(socket, wanted);
  return 0;
}

int CurlProbeDriver::on_timer(CURLM*, long milliseconds, void* self) {
  static_cast<CurlProbeDriver*>(self)->arm(milliseconds);
  return 0;
}

// Answering less than was given ends the transfer with CURLE_WRITE_ERROR.
std::size_t CurlProbeDriver::on_header(char*, std::size_t size, std::size_t count, void* transfer) {
  std::size_t& bytes = static_cast<Transfer*>(transfer)->header_bytes;
  bytes += size * count;
  return bytes > probe_response_limit_bytes ? 0 : size * count;
}

std::size_t CurlProbeDriver::on_body(char*, std::size_t size, std::size_t count, void* transfer) {
  std::size_t& bytes = static_cast<Transfer*>(transfer)->body_bytes;
  bytes += size * count;
  return bytes > probe_response_limit_bytes ? 0 : size * count;
}

}  // namespace

Result<std::unique_ptr<ProbeDriver>> make_probe_driver(asio::io_context& loop,
                                                       std::function<void(Event)> on_event) {
  if (Result<void> loaded = libcurl.load(); !loaded) return std::unexpected(loaded.error());
  // Counted by curl: calling it more than once is fine, and nothing here ends what others of the program use.
  if (CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT); code != CURLE_OK) {
    return fail("cannot set up libcurl: " + curl_text(code));
  }
  auto driver = std::make_unique<CurlProbeDriver>(loop, std::move(on_event));
  if (Result<void> ready = driver->set_up(); !ready) return std::unexpected(ready.error());
  return driver;
}

}  // namespace gitproc
