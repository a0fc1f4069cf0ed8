#include "agent/notice.h"

#include <algorithm>

#include "testing/catch.h"

using namespace gitproc;
using Found = NoticeFilter::Found;

namespace {

Announce node_event(std::string kind, std::string reason = "") {
  return {"", std::move(kind), "", "", std::move(reason), std::nullopt};
}

}  // namespace

TEST_CASE("what happens to the node is a notice, what happens to one service is none") {
  NoticeFilter filter;
  CHECK(filter.announced(node_event("applied")) == Found{"applied", "", std::nullopt});
  CHECK(filter.announced(node_event("pinned", "too slow")) == Found{"rolled_back", "too slow", std::nullopt});
  CHECK_FALSE(filter.announced(node_event("applying")));
  CHECK_FALSE(filter.announced({"web", "state", "running", "failed", "", std::nullopt}));
}

TEST_CASE("a trouble is told once, and so is its end") {
  NoticeFilter filter;
  auto changed = [&](SyncState state, std::string error = "") {
    return filter.sync_changed(state, error, std::nullopt);
  };
  CHECK_FALSE(changed(SyncState::synced));
  CHECK(changed(SyncState::degraded, "web (failed)") == Found{"degraded", "web (failed)", std::nullopt});
  CHECK_FALSE(changed(SyncState::progressing));
  CHECK_FALSE(changed(SyncState::degraded, "web (failed)"));
  CHECK(changed(SyncState::error, "gone") == Found{"error", "gone", std::nullopt});
  CHECK(changed(SyncState::synced) == Found{"recovered", "", std::nullopt});
  CHECK_FALSE(changed(SyncState::synced));
  CHECK(filter.announced(node_event("rejected", "web.service:3: ..."))->event == "rejected");
  CHECK_FALSE(changed(SyncState::rejected));
  CHECK(changed(SyncState::synced)->event == "recovered");
}

TEST_CASE("a notice as JSON, for Slack, and as an environment") {
  Notice notice{.event = "rejected",
                .at = WallTime{},
                .node = "vm",
                .branch = "main",
                .commit = std::string(40, 'a'),
                .subject = "Break <it>",
                .message = "web.service:9: error"};
  CHECK(notice_json(notice) ==
        R"({"at":"1970-01-01T00:00:00Z","branch":"main","commit":")" + std::string(40, 'a') +
            R"(","event":"rejected","left_out":0,"message":"web.service:9: error","node":"vm",)" +
            R"("subject":"Break <it>"})");
  CHECK(slack_json(notice) ==
        R"({"text":"vm: rejected aaaaaaaaaaaa \"Break &lt;it&gt;\": web.service:9: error"})");
  notice.message = std::string("a\0b", 3);
  notice.left_out = 12;
  std::vector<std::string> environment = notice_environment(notice);
  CHECK(std::ranges::count(environment, "GITPROC_MESSAGE=a") == 1);
  CHECK(environment.back() == "GITPROC_LEFT_OUT=12");
  notice.message = "m";
  CHECK(slack_json(notice).ends_with(": m (12 like it before were left out)\"}"));
}

TEST_CASE("who takes Slack's form") {
  CHECK(takes_slack("https://hooks.slack.com/services/T/B/x"));
  CHECK(takes_slack("https://discord.com/api/webhooks/1/x/slack"));
  CHECK(takes_slack("https://chat.example/hooks/x#slack"));
  CHECK_FALSE(takes_slack("https://example.com/slack/x"));
  CHECK_FALSE(takes_slack("https://example.com/?to=hooks.slack.com"));
}

TEST_CASE("a command of notices") {
  CHECK(parse_notice_command("/bin/sh -c 'echo $GITPROC_EVENT'") ==
        std::vector<std::string>{"/bin/sh", "-c", "echo $GITPROC_EVENT"});
  CHECK(parse_notice_command("'").error().message == "has an unbalanced quote '");
}
