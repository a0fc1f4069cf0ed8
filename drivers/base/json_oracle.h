// What must hold of read_json() for any bytes, for the fuzzer and for the replay of its corpus. Include
// nlohmann/json.hpp before it: that is too heavy for a header.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "drivers/base/json_reader.h"
#include "reconcile/base/strings.h"

namespace gitproc {

// How deep the brackets of a well-formed document are in each other.
inline std::size_t json_depth(std::string_view text) {
  std::size_t depth = 0, deepest = 0;
  bool is_in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (is_in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      is_in_string = !is_in_string;
    } else if (!is_in_string && (c == '[' || c == '{')) {
      deepest = std::max(deepest, ++depth);
    } else if (!is_in_string && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return deepest;
}

// "" or what does not hold; the first byte of `input` tells how deep the document behind it may be. A document is read if and only if the library, asked for no more than a verdict, takes it,
// it is UTF-8 without a NUL, and not too deep; what was read survives being written; a refusal is short text.
inline std::string json_fault(std::string_view input) {
  if (input.empty()) return "";
  std::size_t depth_limit = static_cast<unsigned char>(input.front()) % 16u;
  std::string_view text = input.substr(1);
  bool is_good = is_utf8(text) && !text.contains('\0') && nlohmann::json::accept(text);
  bool is_too_deep = is_good && json_depth(text) > depth_limit;
  Result<nlohmann::json> read = read_json(text, depth_limit);
  if (read.has_value() != (is_good && !is_too_deep)) return read ? "read, but bad" : read.error().message;
  if (!read) {
    const Error& error = read.error();
    if (error.code != ErrorCode::invalid || !is_utf8(error.message) || error.message.size() > 300)
      return "a bad error: " + printable(error.message);
    bool tells_depth = error.message.starts_with("JSON is nested deeper than");
    return is_too_deep && !tells_depth ? "another error: " + error.message : "";
  }
  return read_json(read->dump(), depth_limit) == read ? "" : "changed by being written: " + read->dump();
}

}  // namespace gitproc
