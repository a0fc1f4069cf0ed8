#include "agent/protocol/json.h"

#include <nlohmann/json.hpp>

#include "testing/catch.h"

using namespace gitproc;

namespace {

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

TEST_CASE("JSON is parsed to the depth that is allowed and no deeper") {
  CHECK(parse_json(nested(max_json_depth)).has_value());
  CHECK(parse_json(nested(max_json_depth + 1)).error() ==
        Error{"JSON is nested deeper than 64", ErrorCode::invalid});
  CHECK(parse_json(std::string(500'000, '[')).error() ==
        Error{"JSON is nested deeper than 64", ErrorCode::invalid});
}

TEST_CASE("what is no JSON is refused with the place") {
  CHECK(parse_json("{\"a\":tru}").error() ==
        Error{"malformed JSON at byte 9, near '\"a\":tru}'", ErrorCode::invalid});
  CHECK(parse_json("").error() == Error{"malformed JSON at byte 1", ErrorCode::invalid});
  CHECK(parse_json("{} {}").error().code == ErrorCode::invalid);
  CHECK(parse_json("1e999").error().code == ErrorCode::invalid);
  CHECK(parse_json("\"\xFF\"").error() == Error{"JSON is not valid UTF-8", ErrorCode::invalid});
  CHECK(parse_json(std::string_view("{}\0{", 4)).error() ==
        Error{"malformed JSON at byte 3: a NUL", ErrorCode::invalid});
}

TEST_CASE("bytes that are no UTF-8 are printed as the replacement character") {
  CHECK(dump_json(Json{{"line", "caf\xE9"}}) == "{\"line\":\"caf\xEF\xBF\xBD\"}");
}
