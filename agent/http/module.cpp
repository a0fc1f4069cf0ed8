#include "agent/http/module.h"

#include "drivers/base/clock.h"

namespace gitproc {
namespace {

class RunningHttp : public HttpModule {
 public:
  explicit RunningHttp(HttpBackend backend, const std::string& webhook_secret)
      : routes_(std::move(backend), webhook_secret) {}

  Result<void> listen(const HttpServer::Options& options) {
    auto server = HttpServer::listen(options, [this](const HttpRequest& request, const HttpAnswer& answer) {
      routes_.serve(request, answer, read_clocks().instant);
    });
    if (!server) return std::unexpected(server.error());
    server_ = *std::move(server);
    return {};
  }

  ListenAddress address() const override { return server_->address(); }
  void post(std::function<void()> function) override { server_->post(std::move(function)); }

 private:
  HttpRoutes routes_;
  std::unique_ptr<HttpServer> server_;  // goes first: its thread uses the routes
};

}  // namespace
}  // namespace gitproc

extern "C" __attribute__((visibility("default"))) void gitproc_start_http(
    const gitproc::HttpModule::Options& options, gitproc::HttpBackend backend,
    gitproc::Result<std::unique_ptr<gitproc::HttpModule>>& result) {
  auto module = std::make_unique<gitproc::RunningHttp>(std::move(backend), options.webhook_secret);
  if (gitproc::Result<void> listening = module->listen(options.server); !listening) {
    result = std::unexpected(listening.error());
  } else {
    result = std::move(module);
  }
}
