// JSON from and for the outside. What comes in is hostile until it is parsed here: its size is bounded by the
// caller, its depth by max_json_depth before any value is built (nlohmann/json copies and prints recursively,
// so that deep nesting would overflow the stack), and it must be UTF-8. No exception leaves these functions.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "reconcile/base/diagnostic.h"
#include "reconcile/base/error.h"

namespace gitproc {

using Json = nlohmann::json;

inline constexpr std::size_t max_json_depth = 64;

// One whole document (RFC 8259); an `invalid` error says what is wrong and at which byte (from 1).
Result<Json> parse_json(std::string_view text);

// On one line; bytes that are no UTF-8 (file names, log lines) become U+FFFD.
std::string dump_json(const Json& value);

// A list of {"file","line","severity","message"}.
Json diagnostics_json(const Diagnostics& diagnostics);

// For people: indented by two spaces.
std::string dump_json_indented(const Json& value);

}  // namespace gitproc
