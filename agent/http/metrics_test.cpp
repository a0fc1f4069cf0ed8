#include "agent/http/metrics.h"

#include <algorithm>

#include "testing/catch.h"

using namespace gitproc;

namespace {

bool has(const std::string& text, const std::string& line) {
  return text.find(line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("figures as Prometheus reads them") {
  MetricsFacts facts{
      .version = "1.2", .sync = "degraded", .sync_states = {"synced", "degraded"}, .branch = "ma\"in"};
  facts.applied_commit = "abc";
  facts.services.push_back(
      {.name = "web", .state = "backoff", .is_healthy = false, .restarts = 3, .since = 1.5});
  facts.services.push_back({.name = "db", .state = "running", .is_up = true});
  facts.apply_durations.observe(std::chrono::milliseconds(20));
  facts.apply_durations.observe(std::chrono::hours(1));
  std::string text = metrics_text(facts, {{"push", 7}});
  for (const char* line :
       {"# TYPE gitproc_sync_state gauge", "gitproc_sync_state{state=\"synced\"} 0",
        "gitproc_sync_state{state=\"degraded\"} 1",
        "gitproc_commit_info{branch=\"ma\\\"in\",commit=\"abc\",kind=\"applied\"} 1",
        "gitproc_service_up{service=\"web\"} 0", "gitproc_service_up{service=\"db\"} 1",
        "gitproc_service_state{service=\"web\",state=\"backoff\"} 1",
        "gitproc_service_restarts_total{service=\"web\"} 3", "gitproc_service_healthy{service=\"web\"} 0",
        "gitproc_apply_duration_seconds_bucket{le=\"0.01\"} 0",
        "gitproc_apply_duration_seconds_bucket{le=\"0.025\"} 1",
        "gitproc_apply_duration_seconds_bucket{le=\"+Inf\"} 2", "gitproc_apply_duration_seconds_count 2",
        "gitproc_webhook_requests_total{result=\"push\"} 7"}) {
    INFO(line);
    INFO(text);
    CHECK(has(text, line));
  }
  CHECK(text.find("gitproc_service_healthy{service=\"db\"}") == std::string::npos);
}

TEST_CASE("as many series as there may be are about ten thousand") {
  MetricsFacts facts;
  for (std::size_t i = 0; i < metrics_service_limit; ++i)
    facts.services.push_back({.name = "service-" + std::to_string(i),
                              .state = "running",
                              .is_healthy = true,
                              .since = 1,
                              .pid = 1});
  std::string text = metrics_text(facts, {});
  std::size_t series = 0;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    if (text[at] != '#') ++series;
  CHECK(series <= 10'000);
}
