#include "cli/text.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

bool is_continuation(char byte) { return (static_cast<std::uint8_t>(byte) & 0xC0) == 0x80; }

// Bytes of the character that begins `text`; 0 where no valid one begins.
std::size_t character_length(std::string_view text) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(4, text.size()); ++length) {
    if (is_utf8(text.substr(0, length))) return length;
  }
  return 0;
}

bool is_control(std::string_view character) {
  auto first = static_cast<std::uint8_t>(character[0]);
  if (character.size() == 1) return (first < 0x20 && first != '\t') || first == 0x7F;
  return character.size() == 2 && first == 0xC2 && static_cast<std::uint8_t>(character[1]) < 0xA0;  // C1
}

}  // namespace

std::string for_terminal(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    std::size_t length = character_length(text);
    std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
    if (length == 0 || is_control(character)) {
      for (char c : character) {
        auto byte = static_cast<std::uint8_t>(c);
        shown += "\\x";
        shown += digits[byte >> 4];
        shown += digits[byte & 15];
      }
    } else {
      shown += character;
    }
    text.remove_prefix(character.size());
  }
  return shown;
}

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char byte) { return !is_continuation(byte); }));
}

std::string padded(std::string_view text, std::size_t width) {
  std::string result(text);
  std::size_t taken = width_of(text);
  if (taken < width) result.append(width - taken, ' ');
  return result;
}

std::string short_commit(std::string_view hash) { return std::string(hash.substr(0, 12)); }

std::string human_bytes(std::uint64_t bytes) {
  static constexpr std::array units = {"B", "K", "M", "G", "T", "P", "E"};
  std::array<char, 32> text{};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  // 1023.95K would be printed as 1024.0K.
  while (value >= (unit == 0 ? 1024.0 : 1023.95) && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f%s" : "%.1f%s", value, units[unit]);
  return text.data();
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

}  // namespace gitproc
