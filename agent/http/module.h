// HTTP as a module of its own: the libraries behind it (cpp-httplib, Prometheus, TLS) take two megabytes of memory by
// being loaded alone, which an agent without HTTP should not pay. So all of this folder is one shared object, carried
// inside the program as data, and loaded when `http.listen` is set (agent/http_service.cpp).
//
// Program and module are built together, by the same compiler; nothing else is meant to load it.
#pragma once

#include <memory>
#include <string>

#include "agent/http/http_server.h"
#include "agent/http/routes.h"
#include "reconcile/base/error.h"

namespace gitproc {

class HttpModule {
 public:
  struct Options {
    HttpServer::Options server;
    std::string webhook_secret;  // empty: no webhook is taken
  };
  virtual ~HttpModule() = default;
  virtual ListenAddress address() const = 0;
  // Runs `function` on the HTTP thread; for the backend's answers.
  virtual void post(std::function<void()> function) = 0;
};

// The one symbol that the module exports.
inline constexpr const char* http_module_symbol = "gitproc_start_http";
using StartHttp = void(const HttpModule::Options& options, HttpBackend backend,
                       Result<std::unique_ptr<HttpModule>>& result);

}  // namespace gitproc
