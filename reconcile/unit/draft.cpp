#include "reconcile/unit/draft.h"

#include <algorithm>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7F;
  });
}

constexpr std::string_view control_message =
    "holds a control character or invalid UTF-8 when its specifiers are expanded";

}  // namespace

void Draft::report(const std::string& file, TextPosition position, Severity severity, std::string message) {
  if (severity == Severity::error) has_error = true;
  if (diagnostics.size() > max_diagnostics) return;
  if (diagnostics.size() == max_diagnostics) {
    message = "there are more mistakes than are listed here";
    position = {};
  }
  diagnostics.push_back({file, position.line, position.column, severity, std::move(message)});
}

Result<std::string> Draft::expand(std::string_view text) {
  if (text.find('%') == std::string_view::npos) return std::string(text);
  if (expanded_bytes > max_expanded_bytes) {
    return fail("specifiers make the unit larger than 8 MiB", ErrorCode::invalid);
  }
  auto result = expand_specifiers(text, names, *machine);
  if (result) expanded_bytes += result->size();
  return result;
}

void Reader::error(std::string message, std::size_t offset) {
  std::string text = assignment_.key + "=: " + std::move(message);
  draft_.report(file_, assignment_.position_of(offset), Severity::error, std::move(text));
}

void Reader::warning(std::string message) {
  draft_.report(file_, assignment_.key_position, Severity::warning, std::move(message));
}

void Reader::bad_value(std::string_view text, std::string_view message, std::size_t offset) {
  error("'" + printable(text) + "' " + std::string(message), offset);
}

std::optional<std::string> Reader::expanded(std::string_view text, std::size_t offset) {
  auto result = draft_.expand(text);
  if (!result) {
    bad_value(text, "holds an " + result.error().message, offset);
    return std::nullopt;
  }
  if (result->find('\0') != std::string::npos) {
    bad_value(text, "holds a NUL byte when its specifiers are expanded", offset);
    return std::nullopt;
  }
  return std::move(*result);
}

std::optional<std::string> Reader::expanded_value() {
  auto text = expanded(value(), 0);
  if (!text) return std::nullopt;
  if (has_control_character(*text) || !is_utf8(*text)) {
    bad_value(value(), control_message);
    return std::nullopt;
  }
  std::string_view trimmed = trim(*text);
  if (trimmed.size() != text->size()) return std::string(trimmed);
  return text;
}

std::optional<std::vector<Word>> Reader::words(Backslash backslash) {
  auto split = split_words(value(), backslash);
  if (split) return std::move(*split);
  bad_value(value(), split.error().message, split.error().offset);
  return std::nullopt;
}

std::vector<Word> Reader::expanded_words() {
  std::vector<Word> result;
  auto split = words(Backslash::ordinary);
  if (!split) return result;
  for (Word& word : *split) {
    auto text = expanded(word.text, word.offset);
    if (!text) continue;
    if (has_control_character(*text) || !is_utf8(*text)) {
      bad_value(word.text, control_message, word.offset);
      continue;
    }
    result.push_back({std::move(*text), word.offset});
  }
  return result;
}

void Lines::add(std::string_view value) {
  text_ += key_;
  text_ += '=';
  text_ += value;
  // A lone backslash at the end would join the next line; a blank behind it does not belong to the value.
  std::size_t last = value.find_last_not_of('\\');
  if ((value.size() - (last == std::string_view::npos ? 0 : last + 1)) % 2 == 1) text_ += ' ';
  text_ += '\n';
}

std::string protect_specifiers(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (char c : text) {
    safe += c;
    if (c == '%') safe += '%';
  }
  return safe;
}

}  // namespace gitproc
