#include "reconcile/trust/armor.h"

#include <cstdint>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::string_view block_begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
constexpr std::string_view block_end = "-----END PGP PUBLIC KEY BLOCK-----";

std::optional<std::uint32_t> digit_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return std::nullopt;
}

// What is between the armour's headers ("Version: ...", up to an empty line) and its checksum ("=AbCd").
std::string_view data_of(std::string_view block) {
  std::size_t at = block.find('\n');
  while (at != std::string_view::npos) {
    std::size_t end = block.find('\n', at + 1);
    bool is_blank = end != std::string_view::npos && trim(block.substr(at, end - at)).empty();
    if (is_blank) {
      std::string_view data = block.substr(end);
      return data.substr(0, data.find("\n="));
    }
    at = end;
  }
  return {};
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  unsigned digits = 0, padding = 0;
  for (char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    std::optional<std::uint32_t> digit = digit_of(c);
    if (!digit || padding != 0) return std::nullopt;
    group = group << 6 | *digit;
    if (++digits % 4 != 0) continue;
    for (int shift : {16, 8, 0})
      bytes += static_cast<char>(group >> shift & 0xff);
    group = 0;
  }
  unsigned left = digits % 4;
  if (left == 1 || padding > 2 || (padding != 0 && left + padding != 4)) return std::nullopt;
  if (left == 2) bytes += static_cast<char>(group >> 4 & 0xff);
  if (left == 3) {
    bytes += static_cast<char>(group >> 10 & 0xff);
    bytes += static_cast<char>(group >> 2 & 0xff);
  }
  return bytes;
}

bool is_armored_keyring(std::string_view text) { return text.find(block_begin) != std::string_view::npos; }

Result<std::string> without_armor(std::string_view text) {
  std::string keys;
  std::size_t begin = text.find(block_begin);
  if (begin == std::string_view::npos) return fail("it holds no public key block", ErrorCode::invalid);
  while (begin != std::string_view::npos) {
    std::size_t end = text.find(block_end, begin);
    if (end == std::string_view::npos) return fail("a public key block in it has no end", ErrorCode::invalid);
    auto decoded = decode_base64(data_of(text.substr(begin, end - begin)));
    if (!decoded || decoded->empty()) {
      return fail("a public key block in it cannot be decoded", ErrorCode::invalid);
    }
    keys += *decoded;
    begin = text.find(block_begin, end);
  }
  return keys;
}

}  // namespace gitproc
