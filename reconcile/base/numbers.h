// Numbers written in digits.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace gitproc {

// All of `text` as a number: digits, behind a '-' where the type is signed, and nothing else, not even blanks. nullopt for
// any other text, and for a number that does not fit.
template <typename Number>
std::optional<Number> parse_number(std::string_view text, int base = 10) {
  Number value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace gitproc
