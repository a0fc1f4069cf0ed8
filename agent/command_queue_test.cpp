#include "agent/command_queue.h"

#include "testing/catch.h"

namespace gitproc {
namespace {

std::string taken(CommandQueue& queue) { return std::get<Announce>(queue.take()).kind; }

TEST_CASE("commands come out in the order in which they were given, batch by batch") {
  CommandQueue queue;
  CHECK(queue.empty());
  queue.add({});
  CHECK(queue.empty());
  queue.add({Announce{.kind = "a"}, Announce{.kind = "b"}});
  CHECK(taken(queue) == "a");
  queue.add({Announce{.kind = "c"}});
  CHECK(taken(queue) == "b");
  CHECK_FALSE(queue.empty());
  CHECK(taken(queue) == "c");
  CHECK(queue.empty());
}

}  // namespace
}  // namespace gitproc
