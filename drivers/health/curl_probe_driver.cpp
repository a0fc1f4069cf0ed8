#include <curl/curl.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <cerrno>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "drivers/base/system_call.h"
#include "drivers/health/probe_address.h"
#include "drivers/health/probe_driver.h"
#include "drivers/web/curl_loop.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
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
      : loop_(loop), on_event_(std::move(on_event)) {}
  ~CurlProbeDriver() override;

  Result<void> set_up();
  void start(ServiceId service, const HealthCheck& check) override;
  void cancel(ServiceId service) override;

 private:
  void begin_waiting();
  Result<void> begin(ServiceId service, const HealthCheck& check);
  void report_later(ProbeFinished finished);
  void report();
  void finish(CURL* easy, int code);

  static std::size_t on_header(char*, std::size_t size, std::size_t count, void* transfer);
  static std::size_t on_body(char*, std::size_t size, std::size_t count, void* transfer);

  asio::io_context& loop_;
  std::function<void(Event)> on_event_;
  // Handlers that are still in the loop when the driver goes hold a copy, and look first.
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
  std::unique_ptr<CurlLoop> curl_;
  std::map<ServiceId, std::unique_ptr<Transfer>> transfers_;
  std::deque<std::pair<ServiceId, HealthCheck>> waiting_;  // beyond probes_in_flight_limit
  std::map<ServiceId, ProbeFinished> finished_;            // to be reported from the loop
  bool is_report_posted_ = false;
};

CurlProbeDriver::~CurlProbeDriver() {
  *is_alive_ = false;
  for (auto& [service, transfer] : transfers_)
    curl_->remove(transfer->easy.get());
}

Result<void> CurlProbeDriver::set_up() {
  auto made = CurlLoop::make(loop_, [this](void* easy, int code) { finish(easy, code); });
  if (!made) return std::unexpected(made.error());
  curl_ = *std::move(made);
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
  curl_->remove(found->second->easy.get());
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
  if (Result<void> added = curl_->add(easy); !added) return fail("cannot probe: " + added.error().message);
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

void CurlProbeDriver::finish(CURL* easy, int code) {
  char* data = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &data);
  Transfer* transfer = reinterpret_cast<Transfer*>(data);
  report_later(judge(*transfer, static_cast<CURLcode>(code)));
  transfers_.erase(transfer->service);
  begin_waiting();
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
  auto driver = std::make_unique<CurlProbeDriver>(loop, std::move(on_event));
  if (Result<void> ready = driver->set_up(); !ready) return std::unexpected(ready.error());
  return driver;
}

}  // namespace gitproc
