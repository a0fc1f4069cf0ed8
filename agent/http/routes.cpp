#include "agent/http/routes.h"

#include <utility>

namespace gitproc {
namespace {

// A scrape builds figures of every service: no more often than this, whoever asks.
constexpr Duration metrics_lifetime = std::chrono::seconds(1);

HttpResponse method_not_allowed(std::string allowed) {
  HttpResponse response{.status = 405, .body = "use " + allowed + "\n"};
  response.headers.emplace_back("Allow", std::move(allowed));
  return response;
}

}  // namespace

HttpRoutes::HttpRoutes(HttpBackend backend, const std::string& webhook_secret)
    : backend_(std::move(backend)),
      node_(backend_.node, Duration::zero()),
      metrics_(backend_.metrics, metrics_lifetime) {
  if (!webhook_secret.empty()) gate_.emplace(webhook_secret);
}

void HttpRoutes::serve(const HttpRequest& request, const HttpAnswer& answer, Instant now) {
  bool is_read = request.method == "GET" || request.method == "HEAD";
  if (request.path == "/webhook") {
    if (request.method != "POST") return answer(method_not_allowed("POST"));
    return webhook(request, answer, now);
  }
  if (request.path != "/healthz" && request.path != "/readyz" && request.path != "/metrics")
    return answer({.status = 404, .body = "there are /healthz, /readyz, /metrics and /webhook\n"});
  if (!is_read) return answer(method_not_allowed("GET, HEAD"));
  if (request.path == "/healthz") {
    // That it answers is all there is to know; what it answers is of no interest.
    return node_.want(now, [answer](const NodeFacts&) { answer({.body = "ok\n"}); });
  }
  if (request.path == "/readyz") {
    return node_.want(now, [answer](const NodeFacts& node) {
      bool is_ready = node.sync == "synced";
      answer({.status = is_ready ? 200 : 503,
              .body = node.sync + (node.error.empty() ? "" : ": " + node.error) + "\n"});
    });
  }
  metrics_.want(now, [this, answer, now](const MetricsFacts& facts) {
    answer({.body = text_of(facts, now), .content_type = "text/plain; version=0.0.4; charset=utf-8"});
  });
}

// Made once for all who ask within the same second: it reads files of every service.
const std::string& HttpRoutes::text_of(const MetricsFacts& facts, Instant now) {
  if (!metrics_made_at_ || now - *metrics_made_at_ >= metrics_lifetime) {
    metrics_text_ = metrics_text(facts, webhook_counts());
    metrics_made_at_ = now;
  }
  return metrics_text_;
}

void HttpRoutes::webhook(const HttpRequest& request, const HttpAnswer& answer, Instant now) {
  if (!gate_)
    return answer({.status = 403, .body = "no webhook is taken: 'webhook.secret_file' is not set\n"});
  WebhookVerdict verdict = gate_->judge(request, now);
  ++webhooks_[static_cast<std::size_t>(verdict)];
  // The forge is answered first: what a fetch brings is none of its business.
  answer(webhook_response(verdict));
  if (verdict == WebhookVerdict::push) backend_.on_push("webhook from " + request.peer);
}

std::vector<Count> HttpRoutes::webhook_counts() const {
  std::vector<Count> counts;
  counts.reserve(webhooks_.size());
  for (std::size_t i = 0; i < webhooks_.size(); ++i)
    counts.push_back({to_string(static_cast<WebhookVerdict>(i)), webhooks_[i]});
  return counts;
}

}  // namespace gitproc
