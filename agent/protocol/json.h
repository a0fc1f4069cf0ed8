// JSON from and for the outside: what comes in is read as drivers/base/json_reader.h does, its size bounded by the
// caller.
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

// One whole document, nested to max_json_depth; the errors are those of read_json.
Result<Json> parse_json(std::string_view text);

// On one line; bytes that are no UTF-8 (file names, log lines) become U+FFFD.
std::string dump_json(const Json& value);

// A list of {"file","line","severity","message"}.
Json diagnostics_json(const Diagnostics& diagnostics);

// For people: indented by two spaces.
std::string dump_json_indented(const Json& value);

}  // namespace gitproc
