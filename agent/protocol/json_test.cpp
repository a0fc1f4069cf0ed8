#include "agent/protocol/json.h"

#include <nlohmann/json.hpp>

#include "testing/catch.h"

using namespace gitproc;

namespace {

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

TEST_CASE("JSON is read to the depth of the protocol and no deeper") {
  CHECK(parse_json(nested(max_json_depth)).has_value());
  CHECK(parse_json(nested(max_json_depth + 1)).error() ==
        Error{"JSON is nested deeper than 64", ErrorCode::invalid});
}

TEST_CASE("bytes that are no UTF-8 are printed as the replacement character") {
  CHECK(dump_json(Json{{"line", "caf\xE9"}}) == "{\"line\":\"caf\xEF\xBF\xBD\"}");
}
