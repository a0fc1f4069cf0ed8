#include "agent/event_log.h"

#include "testing/catch.h"

namespace gitproc {
namespace {

LoggedEvent event_of(const std::string& service, const std::string& reason) {
  return {WallTime(Duration(5)),
          {.service = service, .kind = "state", .from = "a", .to = "b", .reason = reason}};
}

TEST_CASE("an event is kept as it was told") {
  EventLog log;
  LoggedEvent node = event_of("", std::string("with a NUL \0 inside", 18));
  node.event.commit = ObjectId::parse("0123456789abcdef0123456789abcdef01234567");
  log.add(node);
  log.add(event_of("web", ""));
  std::vector<LoggedEvent> all = log.last(10, "");
  REQUIRE(all.size() == 2);
  CHECK(all[0].at == node.at);
  CHECK(all[0].event.service.empty());
  CHECK(all[0].event.kind == "state");
  CHECK(all[0].event.from == "a");
  CHECK(all[0].event.to == "b");
  CHECK(all[0].event.reason == node.event.reason);
  CHECK(all[0].event.commit == node.event.commit);
  CHECK(all[1].event.service == "web");
  CHECK_FALSE(all[1].event.commit.has_value());
}

TEST_CASE("the newest events are kept, and found by their service") {
  EventLog log;
  std::size_t followed = 0;
  std::uint64_t follower = log.follow([&](const LoggedEvent&) { ++followed; });
  for (std::size_t i = 0; i < EventLog::limit + 5; ++i)
    log.add(event_of(i % 2 == 0 ? "even" : "odd", std::to_string(i)));
  log.unfollow(follower);
  log.add(event_of("odd", "last"));
  CHECK(followed == EventLog::limit + 5);
  CHECK(log.last(EventLog::limit * 2, "").size() == EventLog::limit);
  CHECK(log.last(EventLog::limit, "").front().event.reason == "6");
  std::vector<LoggedEvent> odd = log.last(2, "odd");
  REQUIRE(odd.size() == 2);
  CHECK(odd[0].event.reason == "1003");
  CHECK(odd[1].event.reason == "last");
  CHECK(log.last(2, "nobody").empty());
}

TEST_CASE("a text without end is cut off") {
  EventLog log;
  log.add(event_of("web", std::string(EventLog::max_text_bytes + 10, 'x')));
  log.add(event_of("db", "whole"));
  std::vector<LoggedEvent> all = log.last(2, "");
  CHECK(all[0].event.reason.size() == EventLog::max_text_bytes);
  CHECK(all[1].event.reason == "whole");
}

}  // namespace
}  // namespace gitproc
