// Webhooks of the forges: a push event, signed with a secret that both sides know, means "fetch now". Pure: the time
// is an argument, and what follows is the caller's.
//
//     GitHub           X-Hub-Signature-256: sha256=HMAC   X-GitHub-Event: push
//     Gitea, Forgejo   X-Gitea-Signature: HMAC, X-Forgejo-Signature: HMAC (both send GitHub's headers, too)
//     GitLab           X-Gitlab-Token: the secret itself  X-Gitlab-Event: Push Hook
//
// A request says who sent it by one proof at least, and every proof that it carries must be right. HMAC is SHA-256 of the
// body. Nothing of the body is looked at before that, and all comparisons take the same time for any value.
//
// The name of a delivery is not signed, so it cannot tell a replay alone: a push that says what it moved (`after`) counts
// once, however often and under whatever name its body arrives; any other body once for each name.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "agent/http/http_message.h"
#include "reconcile/base/rate_limit.h"
#include "reconcile/base/time.h"

namespace gitproc {

// --- who sent it ---

enum class Proof { missing, wrong, good };
// Whether the request was made by somebody who knows `secret`, which is never empty.
Proof check_proof(const HttpRequest& request, std::string_view secret);

// HMAC-SHA256 (RFC 2104), 64 hexadecimal digits.
std::string hmac_sha256(std::string_view secret, std::string_view message);

// --- what it says ---

enum class WebhookEvent { push, ping, other };
WebhookEvent webhook_event(const HttpRequest& request);

// --- whether it is acted upon ---

enum class WebhookVerdict { push, ping, ignored, replayed, unsigned_, refused, malformed, limited };
inline constexpr std::size_t webhook_verdicts = 8;
std::string_view to_string(WebhookVerdict verdict);

// Signed deliveries, from all forges together: that many at once, and then one each interval.
inline constexpr unsigned webhook_burst = 120;
inline constexpr Duration webhook_interval = std::chrono::milliseconds(500);
// Attempts of one address that could not prove who they are.
inline constexpr unsigned webhook_failure_burst = 30;
inline constexpr Duration webhook_failure_interval = std::chrono::seconds(1);
inline constexpr std::size_t webhook_peer_limit = 1024;  // addresses that are remembered
inline constexpr std::size_t webhook_replay_limit = 4096;

// Judges the requests of one agent, and remembers what that needs.
class WebhookGate {
 public:
  explicit WebhookGate(std::string secret) : secret_(std::move(secret)) {}

  WebhookVerdict judge(const HttpRequest& request, Instant now);

 private:
  RateLimit& failures_of(const std::string& peer);
  bool is_replay(const HttpRequest& request, bool names_its_push);

  const std::string secret_;
  RateLimit deliveries_{webhook_burst, webhook_interval};
  std::map<std::string, RateLimit, std::less<>> failures_;  // by address
  std::set<std::string, std::less<>> seen_;                 // keys of what was acted upon
  std::deque<std::string> seen_in_order_;                   // the same, oldest first
};

// What the peer is told.
HttpResponse webhook_response(WebhookVerdict verdict);

}  // namespace gitproc
