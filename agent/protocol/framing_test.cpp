#include "agent/protocol/framing.h"

#include <random>
#include <vector>

#include "testing/catch.h"

using namespace gitproc;

namespace {

struct Outcome {
  std::vector<std::string> lines;
  bool is_overlong = false;

  bool operator==(const Outcome&) const = default;
};

// Feeds the stream in pieces that end at the given positions, and once more at its end.
Outcome frame(std::string_view stream, const std::vector<std::size_t>& cuts, std::size_t limit) {
  LineFramer framer(limit);
  Outcome outcome;
  auto feed = [&](std::string_view piece) {
    framer.feed(piece);
    while (std::optional<std::string> line = framer.next())
      outcome.lines.push_back(*line);
  };
  std::size_t start = 0;
  for (std::size_t cut : cuts) {
    feed(stream.substr(start, cut - start));
    start = cut;
  }
  feed(stream.substr(start));
  outcome.is_overlong = framer.is_overlong();
  return outcome;
}

}  // namespace

TEST_CASE("a stream is cut into lines, carriage returns dropped and empty ones kept") {
  CHECK(frame("one\n\ntwo\r\n\r\nthree", {}, 100) == Outcome{{"one", "", "two", ""}, false});
}

TEST_CASE("a line at the limit passes, and one byte more ends the stream after what came before") {
  CHECK(frame("1234\n", {}, 4) == Outcome{{"1234"}, false});
  CHECK(frame("ok\n12345\nlost\n", {}, 4) == Outcome{{"ok"}, true});
  CHECK(frame("ok\n12345", {}, 4) == Outcome{{"ok"}, true});
}

TEST_CASE("the bytes of an unfinished line are counted") {
  LineFramer framer;
  framer.feed("done\nhalf");
  CHECK(framer.next() == "done");
  CHECK(framer.pending_bytes() == 4);
}

TEST_CASE("any split of the stream gives the same lines") {
  std::mt19937 random(20261122);  // fixed, so that a failure can be repeated
  constexpr std::string_view alphabet = "ab\n\r{}";
  for (int round = 0; round < 2000; ++round) {
    std::string stream;
    for (std::size_t length = random() % 60; length > 0; --length)
      stream += alphabet[random() % alphabet.size()];
    std::vector<std::size_t> cuts;
    for (std::size_t at = 0; at < stream.size(); ++at) {
      if (random() % 3 == 0) cuts.push_back(at);
    }
    std::size_t limit = 1 + random() % 12;
    INFO("stream " << stream << " limit " << limit);
    CHECK(frame(stream, cuts, limit) == frame(stream, {}, limit));
  }
}

TEST_CASE("a megabyte fed byte by byte costs what it weighs") {
  LineFramer framer;
  std::string line(max_request_bytes, 'x');
  for (char byte : line) {
    framer.feed(std::string_view(&byte, 1));
    REQUIRE_FALSE(framer.next());
  }
  framer.feed("\n");
  CHECK(framer.next() == line);
}
