// What the agent says over HTTP:
//
//     GET /healthz   200 while the agent's loop answers, 503 otherwise
//     GET /readyz    200 while the node is as git says ("synced"), 503 otherwise, and why
//     GET /metrics   Prometheus' text
//     POST /webhook  a push event means "fetch now" (webhook.h)
//
// All of it runs on the HTTP thread. What only the loop knows is asked of it, one question of a kind at a time however
// many clients wait for its answer, so that they cost the loop nothing; a figure that is younger than a second is told
// again.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/http/http_message.h"
#include "agent/http/metrics.h"
#include "agent/http/webhook.h"
#include "reconcile/base/time.h"

namespace gitproc {

// What /readyz needs.
struct NodeFacts {
  std::string sync;
  std::string error;
};

// The agent behind the routes. The functions are called on the HTTP thread and return at once; `done` is to be called on
// the HTTP thread, or never where the agent does not answer.
struct HttpBackend {
  template <typename Facts>
  using Ask = std::function<void(std::function<void(Facts)> done)>;

  Ask<NodeFacts> node;
  Ask<MetricsFacts> metrics;
  std::function<void(std::string by)> on_push;
};

// A question to the loop, for all who want to know at the same time.
template <typename Facts>
class SharedQuestion {
 public:
  using Done = std::function<void(const Facts&)>;

  // A loop that did not answer is asked again after this; an answer is told again until it is `lifetime` old.
  SharedQuestion(HttpBackend::Ask<Facts> ask, Duration lifetime)
      : ask_(std::move(ask)), lifetime_(lifetime) {}

  void want(Instant now, Done done) {
    if (known_ && now - known_at_ < lifetime_) return done(*known_);
    // Who waited for an answer that did not come was told so; theirs are dropped with the question.
    if (is_asked_ && now - asked_at_ >= patience) waiting_.clear(), is_asked_ = false;
    waiting_.push_back(std::move(done));
    if (std::exchange(is_asked_, true)) return;
    asked_at_ = now;
    ask_([this, number = ++last_question_, now](Facts facts) {
      if (number != last_question_) return;
      is_asked_ = false;
      known_ = std::move(facts);
      known_at_ = now;
      for (Done& waiting : std::exchange(waiting_, {}))
        waiting(*known_);
    });
  }

 private:
  // Longer than any request waits.
  static constexpr Duration patience = std::chrono::seconds(6);

  const HttpBackend::Ask<Facts> ask_;
  const Duration lifetime_;
  std::vector<Done> waiting_;  // no more than there are connections
  std::optional<Facts> known_;
  Instant known_at_{};
  Instant asked_at_{};
  bool is_asked_ = false;
  std::uint64_t last_question_ = 0;
};

class HttpRoutes {
 public:
  // `webhook_secret`: empty where no webhook is taken.
  HttpRoutes(HttpBackend backend, const std::string& webhook_secret);

  void serve(const HttpRequest& request, const HttpAnswer& answer, Instant now);

 private:
  const std::string& text_of(const MetricsFacts& facts, Instant now);
  void webhook(const HttpRequest& request, const HttpAnswer& answer, Instant now);
  std::vector<Count> webhook_counts() const;

  const HttpBackend backend_;
  std::optional<WebhookGate> gate_;
  SharedQuestion<NodeFacts> node_;
  SharedQuestion<MetricsFacts> metrics_;
  std::string metrics_text_;
  std::optional<Instant> metrics_made_at_;
  std::array<std::uint64_t, webhook_verdicts> webhooks_{};  // by WebhookVerdict
};

}  // namespace gitproc
