#include "agent/http/webhook.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "agent/protocol/json.h"

namespace gitproc {
namespace {

constexpr std::string_view github_prefix = "sha256=";

// Both are digests of the same length, so the length tells nothing.
bool is_equal(std::string_view left, std::string_view right) {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lowered;
}

// The first of these headers that is there.
std::optional<std::string_view> first_header(const HttpRequest& request,
                                             std::initializer_list<std::string_view> names) {
  for (std::string_view name : names) {
    if (auto value = request.header(name)) return value;
  }
  return std::nullopt;
}

bool is_form(const HttpRequest& request) {
  return request.header("Content-Type").value_or("").starts_with("application/x-www-form-urlencoded");
}

}  // namespace

std::string hmac_sha256(std::string_view secret, std::string_view message) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  ::HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(message.data()), message.size(), digest, &length);
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < length; ++i) {
    text += digits[digest[i] >> 4];
    text += digits[digest[i] & 15];
  }
  return text;
}

Proof check_proof(const HttpRequest& request, std::string_view secret) {
  std::optional<std::string> signature;  // made when it is needed first
  unsigned proofs = 0;
  bool are_good = true;
  auto check_signature = [&](std::string_view given) {
    if (!signature) signature = hmac_sha256(secret, request.body);
    are_good = is_equal(lower(given), *signature) && are_good;
    ++proofs;
  };
  if (auto given = request.header("X-Hub-Signature-256")) {
    bool has_prefix = given->starts_with(github_prefix);
    check_signature(has_prefix ? given->substr(github_prefix.size()) : "");
  }
  for (std::string_view name : {"X-Gitea-Signature", "X-Forgejo-Signature"}) {
    if (auto given = request.header(name)) check_signature(*given);
  }
  if (auto given = request.header("X-Gitlab-Token")) {
    // Digests of both, so that the time tells not even the length of the secret.
    are_good = is_equal(hmac_sha256(secret, *given), hmac_sha256(secret, secret)) && are_good;
    ++proofs;
  }
  if (proofs == 0) return Proof::missing;
  return are_good ? Proof::good : Proof::wrong;
}

WebhookEvent webhook_event(const HttpRequest& request) {
  std::string name =
      lower(first_header(request, {"X-Forgejo-Event", "X-Gitea-Event", "X-GitHub-Event", "X-Gitlab-Event"})
                .value_or(""));
  if (name == "push" || name == "push hook") return WebhookEvent::push;
  return name == "ping" ? WebhookEvent::ping : WebhookEvent::other;
}

std::string_view to_string(WebhookVerdict verdict) {
  switch (verdict) {
    case WebhookVerdict::push: return "push";
    case WebhookVerdict::ping: return "ping";
    case WebhookVerdict::ignored: return "ignored";
    case WebhookVerdict::replayed: return "replayed";
    case WebhookVerdict::unsigned_: return "unsigned";
    case WebhookVerdict::refused: return "refused";
    case WebhookVerdict::malformed: return "malformed";
    case WebhookVerdict::limited: return "limited";
  }
  __builtin_unreachable();
}

// --- rate ---

RateLimit& WebhookGate::failures_of(const std::string& peer) {
  auto found = failures_.find(peer);
  if (found != failures_.end()) return found->second;
  // Whoever has that many addresses is not held up by forgetting one of them.
  if (failures_.size() >= webhook_peer_limit) failures_.erase(failures_.begin());
  return failures_.emplace(peer, RateLimit(webhook_failure_burst, webhook_failure_interval)).first->second;
}

// --- replays ---

bool WebhookGate::is_replay(const HttpRequest& request, bool names_its_push) {
  std::string key = hmac_sha256(secret_, request.body);
  if (!names_its_push) {
    key += first_header(request, {"X-Forgejo-Delivery", "X-Gitea-Delivery", "X-GitHub-Delivery",
                                  "X-Gitlab-Event-UUID", "Idempotency-Key"})
               .value_or("");
  }
  if (!seen_.insert(key).second) return true;
  seen_in_order_.push_back(std::move(key));
  if (seen_in_order_.size() > webhook_replay_limit) {
    seen_.erase(seen_in_order_.front());
    seen_in_order_.pop_front();
  }
  return false;
}

WebhookVerdict WebhookGate::judge(const HttpRequest& request, Instant now) {
  Proof proof = check_proof(request, secret_);
  // A token can be guessed at, a signature cannot: whoever signs is not held up by others behind the same address.
  if (proof != Proof::good || request.header("X-Gitlab-Token")) {
    RateLimit& failures = failures_of(request.peer);
    if (!failures.has_one(now)) return WebhookVerdict::limited;
    if (proof != Proof::good) failures.take(now);
  }
  if (proof == Proof::missing) return WebhookVerdict::unsigned_;
  if (proof == Proof::wrong) return WebhookVerdict::refused;
  if (!deliveries_.has_one(now)) return WebhookVerdict::limited;
  deliveries_.take(now);

  WebhookEvent event = webhook_event(request);
  if (event == WebhookEvent::ping) return WebhookVerdict::ping;
  if (event == WebhookEvent::other) return WebhookVerdict::ignored;
  bool names_its_push = false;
  if (!is_form(request)) {
    Result<Json> body = parse_json(request.body);
    if (!body || !body->is_object()) return WebhookVerdict::malformed;
    auto after = body->find("after");
    names_its_push = after != body->end() && after->is_string();
  }
  return is_replay(request, names_its_push) ? WebhookVerdict::replayed : WebhookVerdict::push;
}

HttpResponse webhook_response(WebhookVerdict verdict) {
  auto answer = [](int status, std::string_view word, std::string_view message) {
    return HttpResponse{.status = status,
                        .body = dump_json({{"status", word}, {"message", message}}) + "\n",
                        .content_type = "application/json"};
  };
  switch (verdict) {
    case WebhookVerdict::push: return answer(202, "accepted", "the repository is fetched");
    case WebhookVerdict::ping: return answer(200, "ok", "the secret is right");
    case WebhookVerdict::ignored: return answer(202, "ignored", "only push events are of interest");
    case WebhookVerdict::replayed: return answer(200, "ignored", "this push was delivered before");
    case WebhookVerdict::unsigned_: return answer(401, "error", "the request is not signed");
    case WebhookVerdict::refused: return answer(403, "error", "the signature or token is wrong");
    case WebhookVerdict::malformed: return answer(400, "error", "the body is not the JSON of a push event");
    case WebhookVerdict::limited: {
      HttpResponse response = answer(429, "error", "too many requests");
      response.headers.emplace_back("Retry-After", "60");
      return response;
    }
  }
  __builtin_unreachable();
}

}  // namespace gitproc
