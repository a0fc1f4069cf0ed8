// What must hold of the webhook for any input, for the fuzzer and for the replay of its corpus.
#pragma once

#include <string>
#include <string_view>

#include "agent/http/webhook.h"

namespace gitproc {

// `input`: a header "Name: value", a line's end, and the body. The secret is not in it, so nobody could have signed.
inline bool webhook_holds(std::string_view input) {
  // Of 256 random bits: a fuzzer does not come by it.
  constexpr std::string_view secret = "c3a1f6f0b2f54d0d8f1de7f3a3b8f5a6e21be6be0d7b4e6ab1a06cbcde5d7a11";
  std::size_t end = input.find('\n');
  std::string_view line = input.substr(0, end);
  std::size_t colon = line.find(": ");
  HttpRequest request{.method = "POST", .path = "/webhook", .peer = "192.0.2.1"};
  request.headers.emplace_back("X-GitHub-Event", "push");
  if (colon != std::string_view::npos)
    request.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  if (end != std::string_view::npos) request.body = input.substr(end + 1);

  WebhookGate gate{std::string(secret)};
  WebhookVerdict verdict = gate.judge(request, Instant{} + std::chrono::hours(1));
  if (verdict != WebhookVerdict::unsigned_ && verdict != WebhookVerdict::refused) return false;
  // Signed, the same body is taken once, or is no push event.
  HttpRequest signed_request = request;
  signed_request.headers = {{"X-GitHub-Event", "push"},
                            {"X-Hub-Signature-256", "sha256=" + hmac_sha256(secret, request.body)}};
  WebhookVerdict first = gate.judge(signed_request, Instant{} + std::chrono::hours(1));
  WebhookVerdict second = gate.judge(signed_request, Instant{} + std::chrono::hours(1));
  if (first == WebhookVerdict::push) return second == WebhookVerdict::replayed;
  return first == WebhookVerdict::malformed && second == WebhookVerdict::malformed;
}

}  // namespace gitproc
