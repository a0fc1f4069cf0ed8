#include "drivers/base/json_reader.h"

#include <string>

#include <nlohmann/json.hpp>

#include "drivers/base/json_oracle.h"
#include "testing/catch.h"
#include "testing/corpus.h"

using namespace gitproc;

namespace {

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

std::string fault_of(std::string_view text) {
  Result<nlohmann::json> read = read_json(text, 8);
  REQUIRE_FALSE(read);
  CHECK(read.error().code == ErrorCode::invalid);
  return read.error().message;
}

}  // namespace

TEST_CASE("JSON is read to the depth that is allowed and no deeper") {
  CHECK(read_json(nested(3), 3) == nlohmann::json::parse(nested(3)));
  CHECK(read_json("[[],[],{}]", 2).has_value());
  CHECK(read_json(nested(4), 3).error() == Error{"JSON is nested deeper than 3", ErrorCode::invalid});
  CHECK(read_json(std::string(500'000, '['), 64).error() ==
        Error{"JSON is nested deeper than 64", ErrorCode::invalid});
}

TEST_CASE("what is no JSON is refused with the place") {
  CHECK(fault_of("{\"a\":tru}") == "malformed JSON at line 1, column 9, near '\"a\":tru}'");
  CHECK(fault_of("{\n  \"a\": 1\n  \"b\": 2\n}").starts_with("malformed JSON at line 3, column 5, near '"));
  CHECK(fault_of("{\n\"a\": \"open\n}").starts_with("malformed JSON at line 2, column 11, near '"));
  CHECK(fault_of("{} {}").starts_with("malformed JSON at line 1, column 4"));
  CHECK(fault_of("[1e999]").starts_with("malformed JSON at line 1, column"));
  CHECK(fault_of("\"\xFF\"") == "JSON is not valid UTF-8");
  CHECK(fault_of(std::string_view("{}\n\0{", 5)) == "malformed JSON at line 2, column 1: a NUL");
}

TEST_CASE("what ends too early is refused with the place where it ends") {
  CHECK(fault_of("") == "malformed JSON at line 1, column 1");
  CHECK(fault_of("{\"a\":\n[1,").starts_with("malformed JSON at line 2, column 4"));
  CHECK(fault_of("{\n").starts_with("malformed JSON at line 2, column 1"));
}

TEST_CASE("the fuzzer's corpus: read as the library would, to the depth that is allowed") {
  auto corpus = corpus_of("drivers/base");
  CHECK(corpus.size() > 5);
  for (const auto& [name, bytes] : corpus) {
    INFO(name);
    CHECK(json_fault(bytes) == "");
  }
}
