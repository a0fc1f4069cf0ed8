#include "reconcile/unit/names.h"

#include <algorithm>

namespace gitproc {
namespace {

constexpr std::size_t max_name_bytes = 247;

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_name_character(char c) {
  return is_alphanumeric(c) || std::string_view(":_.-@\\").find(c) != std::string_view::npos;
}

int hexadecimal_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_escaped(std::string& text, char c) {
  static constexpr char digits[] = "0123456789abcdef";
  auto byte = static_cast<unsigned char>(c);
  text += "\\x";
  text += digits[byte >> 4];
  text += digits[byte & 15];
}

}  // namespace

bool is_valid_service_name(std::string_view name) {
  return !name.empty() && name.size() <= max_name_bytes && name != "daemon" && name.front() != '.' &&
         name.front() != '@' && std::all_of(name.begin(), name.end(), is_name_character);
}

bool is_template(std::string_view name) { return !name.empty() && name.find('@') == name.size() - 1; }

std::optional<std::string> template_of(std::string_view instance_name) {
  std::size_t at = instance_name.find('@');
  if (at == std::string_view::npos || at + 1 == instance_name.size()) return std::nullopt;
  return std::string(instance_name.substr(0, at + 1));
}

std::string_view instance_of(std::string_view name) {
  std::size_t at = name.find('@');
  return at == std::string_view::npos ? std::string_view() : name.substr(at + 1);
}

std::string_view prefix_of(std::string_view name) { return name.substr(0, name.find('@')); }

std::string unescape_name(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '-') {
      plain += '/';
    } else if (text[i] == '\\' && i + 3 < text.size() && text[i + 1] == 'x' &&
               hexadecimal_digit(text[i + 2]) >= 0 && hexadecimal_digit(text[i + 3]) >= 0) {
      plain += static_cast<char>(hexadecimal_digit(text[i + 2]) << 4 | hexadecimal_digit(text[i + 3]));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string escape_name(std::string_view text) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '/') {
      escaped += '-';
    } else if (is_alphanumeric(c) || c == ':' || c == '_' || (c == '.' && i != 0)) {
      escaped += c;
    } else {
      append_escaped(escaped, c);
    }
  }
  return escaped;
}

}  // namespace gitproc
