// Small text helpers that the standard library of 2022 lacks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gitproc {

// Without leading and trailing spaces, tabs, CR and LF.
std::string_view trim(std::string_view text);

// The pieces between separators, empty ones included; "" gives one empty piece.
std::vector<std::string_view> split(std::string_view text, char separator);

std::string join(const std::vector<std::string>& parts, std::string_view separator);

// Whether `text` is UTF-8 without overlong forms, surrogates or values past U+10FFFF (RFC 3629).
bool is_utf8(std::string_view text);

// For messages: control characters as \xHH, at most `limit` bytes and then "...".
std::string printable(std::string_view text, std::size_t limit = 200);

// "web.service" -> "web"; anything else unchanged.
std::string_view without_service_suffix(std::string_view name);

}  // namespace gitproc
