#include "agent/http_service.h"

#include <dlfcn.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>

#include <asio.hpp>
#include <utility>

#include "agent/http/module.h"
#include "agent/http_image.h"
#include "agent/metrics_view.h"
#include "drivers/base/clock.h"
#include "drivers/base/system_call.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

// The module, loaded from the program's own data. It stays loaded: nothing of it could be taken out safely.
Result<StartHttp*> load_module() {
  UniqueFd file(::memfd_create("gitproc-http", MFD_CLOEXEC));
  if (!file) return fail_with_errno("cannot make a file for the HTTP module");
  if (int error = write_all(file.get(), http_module_image()); error != 0)
    return fail_with_errno("cannot write the HTTP module", error);
  std::string path = "/proc/self/fd/" + std::to_string(file.get());
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) return fail("cannot load the HTTP module: " + printable(::dlerror()));
  void* symbol = ::dlsym(module, http_module_symbol);
  if (symbol == nullptr) return fail("cannot load the HTTP module: " + printable(::dlerror()));
  return reinterpret_cast<StartHttp*>(symbol);
}

// What a person or a tool wrote into it, less the end of the line.
Result<std::string> read_secret(const std::string& file) {
  Result<std::string> text = read_file(file, max_secret_bytes);
  if (!text) return fail("'webhook.secret_file': " + text.error().message, text.error().code);
  std::string secret(trim(*text));
  if (secret.empty()) return fail("'webhook.secret_file': '" + file + "' is empty", ErrorCode::invalid);
  return secret;
}

class LoadedHttpService : public HttpService {
 public:
  LoadedHttpService(asio::io_context& loop, Daemon& daemon, const Notices* notices, OnPush on_push)
      : loop_(loop),
        daemon_(daemon),
        on_push_(std::move(on_push)),
        metrics_(daemon, notices),
        push_timer_(loop) {}

  Result<void> open(const Options& options) {
    HttpModule::Options module_options{.server = {.address = options.address,
                                                  .tls_certificate = options.tls_certificate,
                                                  .tls_key = options.tls_key},
                                       .webhook_secret = ""};
    if (!options.secret_file.empty()) {
      Result<std::string> secret = read_secret(options.secret_file);
      if (!secret) return std::unexpected(secret.error());
      module_options.webhook_secret = *std::move(secret);
    }
    Result<StartHttp*> start_http = load_module();
    if (!start_http) return std::unexpected(start_http.error());
    Result<std::unique_ptr<HttpModule>> module;
    (*start_http)(module_options, backend(), module);
    if (!module) return std::unexpected(module.error());
    module_ = *std::move(module);
    return {};
  }

  ListenAddress address() const override { return module_->address(); }

 private:
  // Called on the HTTP thread; the answers go back to it.
  HttpBackend backend() {
    return {.node =
                [this](std::function<void(NodeFacts)> done) {
                  asio::post(loop_, [this, done = std::move(done)] {
                    const Reconciler& reconciler = daemon_.reconciler();
                    NodeFacts facts{.sync = std::string(to_string(reconciler.sync())),
                                    .error = reconciler.sync_error()};
                    module_->post([done, facts = std::move(facts)] { done(facts); });
                  });
                },
            .metrics =
                [this](std::function<void(MetricsFacts)> done) {
                  asio::post(loop_, [this, done = std::move(done)] {
                    module_->post([done, facts = metrics_.facts()] { done(facts); });
                  });
                },
            .on_push =
                [this](std::string by) {
                  asio::post(loop_, [this, by = std::move(by)]() mutable { push(std::move(by)); });
                }};
  }

  // The first push of a burst counts at once, all others of it together at its end.
  void push(std::string by) {
    if (is_push_recent_) {
      waiting_push_ = std::move(by);
      return;
    }
    is_push_recent_ = true;
    spdlog::info("{} asks for a fetch", by);
    spdlog::default_logger()->flush();
    on_push_(std::move(by));
    push_timer_.expires_after(push_interval);
    push_timer_.async_wait([this](const asio::error_code& stopped) {
      if (stopped) return;
      is_push_recent_ = false;
      if (auto waiting = std::exchange(waiting_push_, std::nullopt)) push(*std::move(waiting));
    });
  }

  asio::io_context& loop_;
  Daemon& daemon_;
  const OnPush on_push_;
  MetricsView metrics_;
  asio::steady_timer push_timer_;
  bool is_push_recent_ = false;
  std::optional<std::string> waiting_push_;
  std::unique_ptr<HttpModule> module_;  // goes first: its thread uses the rest
};

}  // namespace

Result<std::unique_ptr<HttpService>> HttpService::start(asio::io_context& loop, Daemon& daemon,
                                                        const Notices* notices, const Options& options,
                                                        OnPush on_push) {
  auto service = std::make_unique<LoadedHttpService>(loop, daemon, notices, std::move(on_push));
  if (Result<void> opened = service->open(options); !opened) return std::unexpected(opened.error());
  return service;
}

}  // namespace gitproc
