#include "agent/http/routes.h"

#include "testing/catch.h"

using namespace gitproc;

namespace {

const Instant noon = Instant{} + std::chrono::hours(12);

// An agent that answers when it is told to.
struct Agent {
  std::vector<std::function<void(NodeFacts)>> node_questions;
  std::vector<std::function<void(MetricsFacts)>> metrics_questions;
  std::vector<std::string> pushes;

  HttpBackend backend() {
    return {.node = [this](auto done) { node_questions.push_back(std::move(done)); },
            .metrics = [this](auto done) { metrics_questions.push_back(std::move(done)); },
            .on_push = [this](std::string by) { pushes.push_back(std::move(by)); }};
  }
};

struct World {
  Agent agent;
  HttpRoutes routes{agent.backend(), "s3cret"};
  std::vector<HttpResponse> answers;

  void ask(const std::string& path, Instant now = noon, const std::string& method = "GET") {
    routes.serve(
        {.method = method, .path = path},
        [this](HttpResponse answer) { answers.push_back(std::move(answer)); }, now);
  }
};

}  // namespace

TEST_CASE("the loop is asked once for all who want to know at the same time") {
  World world;
  for (int i = 0; i < 100; ++i)
    world.ask(i % 2 == 0 ? "/healthz" : "/readyz");
  REQUIRE(world.agent.node_questions.size() == 1);
  CHECK(world.answers.empty());
  world.agent.node_questions[0]({.sync = "degraded", .error = "web (failed)"});
  REQUIRE(world.answers.size() == 100);
  CHECK(world.answers[0] == HttpResponse{.body = "ok\n"});
  CHECK(world.answers[1] == HttpResponse{.status = 503, .body = "degraded: web (failed)\n"});
  // The next one wants to know what is now.
  world.ask("/readyz");
  REQUIRE(world.agent.node_questions.size() == 2);
  world.agent.node_questions[1]({.sync = "synced", .error = ""});
  CHECK(world.answers.back() == HttpResponse{.body = "synced\n"});
}

TEST_CASE("a loop that did not answer is asked again, and its late answer is nobody's any more") {
  World world;
  world.ask("/healthz");
  world.ask("/healthz", noon + std::chrono::seconds(5));
  CHECK(world.agent.node_questions.size() == 1);
  world.ask("/healthz", noon + std::chrono::seconds(10));
  REQUIRE(world.agent.node_questions.size() == 2);
  world.agent.node_questions[0]({});
  CHECK(world.answers.empty());
  world.agent.node_questions[1]({});
  CHECK(world.answers.size() == 1);
}

TEST_CASE("figures are gathered once a second at most") {
  World world;
  world.ask("/metrics");
  REQUIRE(world.agent.metrics_questions.size() == 1);
  world.agent.metrics_questions[0]({.version = "1"});
  world.ask("/metrics", noon + std::chrono::milliseconds(900));
  CHECK(world.answers.size() == 2);
  CHECK(world.answers[0] == world.answers[1]);
  world.ask("/metrics", noon + std::chrono::seconds(1));
  CHECK(world.agent.metrics_questions.size() == 2);
}

TEST_CASE("a webhook is answered before the push is told") {
  World world;
  HttpRequest push{.method = "POST", .path = "/webhook", .body = "{}", .peer = "192.0.2.1"};
  push.headers = {{"X-Gitlab-Event", "Push Hook"}, {"X-Gitlab-Token", "s3cret"}};
  world.routes.serve(
      push,
      [&](HttpResponse answer) {
        CHECK(answer.status == 202);
        CHECK(world.agent.pushes.empty());
      },
      noon);
  CHECK(world.agent.pushes == std::vector<std::string>{"webhook from 192.0.2.1"});
  push.headers[1].second = "wrong";
  world.routes.serve(push, [&](HttpResponse answer) { CHECK(answer.status == 403); }, noon);
  CHECK(world.agent.pushes.size() == 1);
}
