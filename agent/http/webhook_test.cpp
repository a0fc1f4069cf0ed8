#include "agent/http/webhook.h"

#include "agent/http/webhook_oracle.h"
#include "testing/catch.h"
#include "testing/corpus.h"

using namespace gitproc;

namespace {

const std::string secret = "It's a Secret to Everybody";
const std::string push_body =
    R"({"ref":"refs/heads/main","after":"1111111111111111111111111111111111111111"})";
const Instant noon = Instant{} + std::chrono::hours(12);

HttpRequest request(std::vector<std::pair<std::string, std::string>> headers, std::string body = push_body) {
  return {.method = "POST",
          .path = "/webhook",
          .headers = std::move(headers),
          .body = std::move(body),
          .peer = "192.0.2.1"};
}

HttpRequest signed_push(std::string body, std::string delivery = "") {
  std::string signature = "sha256=" + hmac_sha256(secret, body);
  return request(
      {{"X-GitHub-Event", "push"}, {"X-GitHub-Delivery", delivery}, {"X-Hub-Signature-256", signature}},
      body);
}

}  // namespace

TEST_CASE("the signature is the one that GitHub documents and RFC 4231 tests") {
  CHECK(hmac_sha256(secret, "Hello, World!") ==
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
  CHECK(hmac_sha256("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("each forge proves itself in its own way") {
  std::string good = hmac_sha256(secret, push_body);
  CHECK(check_proof(request({{"x-hub-signature-256", "sha256=" + good}}), secret) == Proof::good);
  CHECK(check_proof(request({{"X-Gitea-Signature", good}}), secret) == Proof::good);
  CHECK(check_proof(request({{"X-Forgejo-Signature", good}, {"X-Gitea-Signature", good}}), secret) ==
        Proof::good);
  CHECK(check_proof(request({{"X-Gitlab-Token", secret}}), secret) == Proof::good);
}

TEST_CASE("what is not signed, or wrongly, is no proof") {
  std::string good = hmac_sha256(secret, push_body);
  std::string wrong = hmac_sha256("another secret", push_body);
  CHECK(check_proof(request({}), secret) == Proof::missing);
  CHECK(check_proof(request({{"X-Hub-Signature", "sha1=0000000000000000000000000000000000000000"}}),
                    secret) == Proof::missing);
  for (const auto& headers : std::vector<std::vector<std::pair<std::string, std::string>>>{
           {{"X-Hub-Signature-256", "sha256=" + wrong}},
           {{"X-Hub-Signature-256", good}},
           {{"X-Hub-Signature-256", "sha256=" + good.substr(0, 63)}},
           {{"X-Hub-Signature-256", ""}},
           {{"X-Gitea-Signature", ""}},
           {{"X-Forgejo-Signature", wrong}},
           {{"X-Gitlab-Token", ""}},
           {{"X-Gitlab-Token", secret + "x"}},
           {{"X-Gitlab-Token", good}},
           {{"X-Gitea-Signature", good}, {"X-Gitlab-Token", "wrong"}},
           {{"X-Hub-Signature-256", "sha256=" + wrong}, {"X-Gitea-Signature", good}},
       }) {
    CHECK(check_proof(request(headers), secret) == Proof::wrong);
  }
}

TEST_CASE("only push events are acted upon") {
  auto judged = [](std::string name, std::string value, std::string body = push_body) {
    WebhookGate gate(secret);
    HttpRequest event = signed_push(std::move(body));
    event.headers[0] = {std::move(name), std::move(value)};
    return gate.judge(event, noon);
  };
  CHECK(judged("X-GitHub-Event", "push") == WebhookVerdict::push);
  CHECK(judged("X-Gitea-Event", "push") == WebhookVerdict::push);
  CHECK(judged("X-Forgejo-Event", "push") == WebhookVerdict::push);
  CHECK(judged("X-Gitlab-Event", "Push Hook") == WebhookVerdict::push);
  CHECK(judged("X-GitHub-Event", "ping") == WebhookVerdict::ping);
  CHECK(judged("X-GitHub-Event", "issues") == WebhookVerdict::ignored);
  CHECK(judged("X-Gitlab-Event", "Tag Push Hook") == WebhookVerdict::ignored);
  CHECK(judged("X-Other", "push") == WebhookVerdict::ignored);
  CHECK(judged("X-GitHub-Event", "push", "not json") == WebhookVerdict::malformed);
  CHECK(judged("X-GitHub-Event", "push", "[1]") == WebhookVerdict::malformed);
  CHECK(judged("X-GitHub-Event", "push", std::string(100, '[')) == WebhookVerdict::malformed);
}

TEST_CASE("a form, as GitHub sends it unless told otherwise, is a push as well") {
  WebhookGate gate(secret);
  HttpRequest form = signed_push("payload=%7B%7D", "1");
  form.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  CHECK(gate.judge(form, noon) == WebhookVerdict::push);
  CHECK(gate.judge(form, noon) == WebhookVerdict::replayed);
}

TEST_CASE("a push counts once, under whatever name it is delivered again") {
  WebhookGate gate(secret);
  CHECK(gate.judge(signed_push(push_body, "a"), noon) == WebhookVerdict::push);
  CHECK(gate.judge(signed_push(push_body, "a"), noon) == WebhookVerdict::replayed);
  CHECK(gate.judge(signed_push(push_body, "b"), noon) == WebhookVerdict::replayed);
  CHECK(gate.judge(signed_push(R"({"after":"2222"})", "a"), noon) == WebhookVerdict::push);
  // What does not say what it moved is told apart by its name.
  CHECK(gate.judge(signed_push("{}", "c"), noon) == WebhookVerdict::push);
  CHECK(gate.judge(signed_push("{}", "c"), noon) == WebhookVerdict::replayed);
  CHECK(gate.judge(signed_push("{}", "d"), noon) == WebhookVerdict::push);
}

TEST_CASE("signed deliveries are limited, and time gives some back") {
  WebhookGate gate(secret);
  auto push = [&](unsigned number, Instant now) {
    return gate.judge(signed_push("{}", std::to_string(number)), now);
  };
  for (unsigned i = 0; i < webhook_burst; ++i)
    REQUIRE(push(i, noon) == WebhookVerdict::push);
  CHECK(push(1000, noon) == WebhookVerdict::limited);
  CHECK(push(1000, noon + webhook_interval) == WebhookVerdict::push);
  CHECK(push(1001, noon + webhook_interval) == WebhookVerdict::limited);
}

TEST_CASE("whoever cannot prove itself is limited by its address, and holds up nobody who signs") {
  WebhookGate gate(secret);
  HttpRequest guess = request({{"X-Gitlab-Token", "guess"}, {"X-Gitlab-Event", "Push Hook"}});
  for (unsigned i = 0; i < webhook_failure_burst; ++i)
    REQUIRE(gate.judge(guess, noon) == WebhookVerdict::refused);
  CHECK(gate.judge(guess, noon) == WebhookVerdict::limited);
  HttpRequest right = request({{"X-Gitlab-Token", secret}, {"X-Gitlab-Event", "Push Hook"}}, "{}");
  CHECK(gate.judge(right, noon) == WebhookVerdict::limited);
  CHECK(gate.judge(signed_push(push_body), noon) == WebhookVerdict::push);
  HttpRequest elsewhere = right;
  elsewhere.peer = "192.0.2.2";
  CHECK(gate.judge(elsewhere, noon) == WebhookVerdict::push);
  CHECK(gate.judge(guess, noon + webhook_failure_interval) == WebhookVerdict::refused);
}

TEST_CASE("the fuzzer's corpus: unsigned never triggers") {
  auto corpus = corpus_of("agent/http");
  CHECK(corpus.size() > 5);
  for (const auto& [name, bytes] : corpus) {
    INFO(name);
    CHECK(webhook_holds(bytes));
  }
}
