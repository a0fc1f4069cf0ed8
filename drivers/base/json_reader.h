// JSON from the outside, which is hostile until it is read here: its depth is bounded before any value is built
// (nlohmann/json copies and prints recursively, so that deep nesting would overflow the stack), and it must be
// UTF-8. Its size is bounded by the caller. No exception leaves this.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "reconcile/base/error.h"

namespace gitproc {

// One whole document (RFC 8259) of at most `depth_limit` objects and arrays in each other. An `invalid` error says what
// is wrong and, of what is malformed, at which line and column (from 1; the column in bytes).
Result<nlohmann::json> read_json(std::string_view text, std::size_t depth_limit);

}  // namespace gitproc
