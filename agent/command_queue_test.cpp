#include "agent/command_queue.h"

#include "testing/catch.h"

namespace gitproc {
namespace {

std::string text_of(const std::optional<Command>& command) {
  if (!command) return "-";
  if (const auto* announcement = std::get_if<Announce>(&*command)) return announcement->kind;
  if (const auto* answer = std::get_if<Answer>(&*command)) return answer->message;
  if (const auto* record = std::get_if<RunRecord>(&*command)) return record->name;
  return "end";
}

std::string deeds_of(CommandQueue& queue) {
  std::string text;
  while (std::optional<Command> deed = queue.take_deed())
    text += text_of(deed) + " ";
  return text;
}

std::string words_of(CommandQueue& queue) {
  std::string text;
  while (std::optional<Command> word = queue.take_word())
    text += text_of(word) + " ";
  return text;
}

TEST_CASE("what is done and what is told come out in the order in which they were given") {
  CommandQueue queue;
  CHECK(queue.empty());
  queue.add({});
  CHECK(queue.empty());
  queue.add({Announce{.kind = "1"}, RunRecord{.name = "a"}, Answer{.message = "2"}, RunRecord{.name = "b"},
             Announce{.kind = "3"}});
  queue.add({ExitAgent{}, RunRecord{.name = "c"}});
  CHECK(deeds_of(queue) == "a b c ");
  CHECK(words_of(queue) == "1 2 3 end ");
  CHECK(queue.empty());
}

TEST_CASE("nothing is told before all that was given with it is done") {
  CommandQueue queue;
  queue.add({RunRecord{.name = "a"}, Announce{.kind = "1"}});
  queue.add({Announce{.kind = "2"}, RunRecord{.name = "b"}, RunRecord{.name = "c"}});
  CHECK(text_of(queue.take_deed()) == "a");
  CHECK(words_of(queue).empty());
  CHECK(text_of(queue.take_deed()) == "b");
  CHECK(words_of(queue) == "1 ");
  CHECK_FALSE(queue.empty());
  queue.add({RunRecord{.name = "d"}, Announce{.kind = "3"}});
  CHECK(deeds_of(queue) == "c d ");
  CHECK(words_of(queue) == "2 3 ");
  CHECK(queue.empty());
  CHECK(text_of(queue.take_deed()) == "-");
}

}  // namespace
}  // namespace gitproc
