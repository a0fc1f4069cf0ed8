// The name of a git object: a SHA-1, as libgit2 1.5 knows it.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gitproc {

struct ObjectId {
  std::array<std::uint8_t, 20> bytes{};

  auto operator<=>(const ObjectId&) const = default;

  // 40 lower-case hexadecimal digits.
  std::string hex() const;
  // The first 12 digits: enough for a person, in log lines and tables.
  std::string abbreviated() const { return hex().substr(0, 12); }
  // Exactly 40 hexadecimal digits of either case; anything else is nullopt.
  static std::optional<ObjectId> parse(std::string_view hex);
};

}  // namespace gitproc
