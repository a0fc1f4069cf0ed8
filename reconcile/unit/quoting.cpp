#include "reconcile/unit/quoting.h"

#include <cstdint>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::string_view blanks = " \t\r\n";

bool is_blank(char c) { return blanks.find(c) != std::string_view::npos; }

void append_utf8(std::string& text, std::uint32_t point) {
  auto put = [&text](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3F));
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  }
}

// The number that `count` digits of base 2^`bits` make; nullopt when there are fewer digits.
std::optional<std::uint32_t> read_digits(std::string_view text, std::size_t count, unsigned bits) {
  if (text.size() < count) return std::nullopt;
  std::uint32_t value = 0;
  for (char c : text.substr(0, count)) {
    std::uint32_t digit = c >= '0' && c <= '9'   ? static_cast<std::uint32_t>(c - '0')
                          : c >= 'a' && c <= 'f' ? static_cast<std::uint32_t>(c - 'a' + 10)
                          : c >= 'A' && c <= 'F' ? static_cast<std::uint32_t>(c - 'A' + 10)
                                                 : 16;
    if (digit >= 1u << bits) return std::nullopt;
    value = value << bits | digit;
  }
  return value;
}

// Appends what the escape at the front of `text` (after its backslash) stands for. How many bytes it took; 0
// when it is no C escape. NUL is none: it would end an argument early.
std::size_t unescape(std::string_view text, std::string& word) {
  static constexpr std::string_view letters = "abfnrtv\\\"'s";
  static constexpr std::string_view meanings = "\a\b\f\n\r\t\v\\\"' ";
  if (std::size_t at = letters.find(text[0]); at != std::string_view::npos) {
    word += meanings[at];
    return 1;
  }
  auto numeric = [&](std::size_t skipped, std::size_t count, unsigned bits) -> std::size_t {
    auto value = read_digits(text.substr(skipped), count, bits);
    if (!value || *value == 0) return 0;
    if (count <= 3) {
      if (*value > 0xFF) return 0;
      word += static_cast<char>(*value);
    } else {
      if (*value > 0x10FFFF || (*value >= 0xD800 && *value <= 0xDFFF)) return 0;
      append_utf8(word, *value);
    }
    return skipped + count;
  };
  switch (text[0]) {
    case 'x': return numeric(1, 2, 4);
    case 'u': return numeric(1, 4, 4);
    case 'U': return numeric(1, 8, 4);
    default: return numeric(0, 3, 3);
  }
}

bool is_plain(std::string_view word, std::string_view marks) {
  if (word.empty()) return false;
  for (char c : word) {
    bool is_word_character = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!is_word_character && marks.find(c) == std::string_view::npos) return false;
  }
  return true;
}

}  // namespace

bool WordSplitter::at_end() {
  while (position_ < text_.size() && is_blank(text_[position_]))
    ++position_;
  return position_ == text_.size();
}

std::expected<Word, SplitError> WordSplitter::next() {
  Word word{.text = {}, .offset = position_};
  char quote = 0;
  std::size_t quote_offset = 0;
  // Only an argument of an Exec...= line or the value of a variable may end in a backslash.
  const bool keeps_unknown = backslash_ != Backslash::escape_or_fail;
  while (position_ < text_.size()) {
    char c = text_[position_];
    if (c == '\\' && backslash_ != Backslash::ordinary) {
      std::string_view after = text_.substr(position_ + 1);
      if (after.empty() && !keeps_unknown)
        return std::unexpected(SplitError{"ends in a lone backslash", position_});
      if (backslash_ == Backslash::protects) {
        if (!after.empty()) word.text += after[0];
        position_ += after.empty() ? 1 : 2;
        continue;
      }
      std::size_t taken = after.empty() ? 0 : unescape(after, word.text);
      if (taken == 0) {
        if (!keeps_unknown) {
          std::string shown = printable(after.substr(0, 1));
          return std::unexpected(SplitError{"holds the unknown escape '\\" + shown + "'", position_});
        }
        word.text += '\\';
        if (!after.empty()) word.text += after[0];
        taken = after.empty() ? 0 : 1;
      }
      position_ += 1 + taken;
      continue;
    }
    if (quote != 0 && c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
      quote_offset = position_;
    } else if (quote == 0 && is_blank(c)) {
      break;
    } else {
      word.text += c;
    }
    ++position_;
  }
  // A variable's value is the user's data, not the unit's text: there an open quote ends with the value.
  if (quote != 0 && backslash_ != Backslash::protects) {
    return std::unexpected(SplitError{std::string("has an unbalanced quote ") + quote, quote_offset});
  }
  return word;
}

std::expected<std::vector<Word>, SplitError> split_words(std::string_view text, Backslash backslash) {
  WordSplitter splitter(text, backslash);
  std::vector<Word> words;
  while (!splitter.at_end()) {
    auto word = splitter.next();
    if (!word) return std::unexpected(std::move(word.error()));
    words.push_back(std::move(*word));
  }
  return words;
}

std::string quote_word(std::string_view word) {
  if (is_plain(word, "/._-+=:,@%$^*(){}[]<>|&?!~#")) return std::string(word);
  static constexpr char digits[] = "0123456789abcdef";
  const bool escapes_high_bytes = !is_utf8(word);
  std::string quoted = "\"";
  for (char c : word) {
    auto byte = static_cast<std::uint8_t>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && escapes_high_bytes)) {
      quoted += "\\x";
      quoted += digits[byte >> 4];
      quoted += digits[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string quote_plain_word(std::string_view word) {
  if (is_plain(word, "/._-+=:,@%\\~!")) return std::string(word);
  std::string quoted = "\"";
  for (char c : word) {
    if (c == '"') {
      quoted += "\"'\"'\"";
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string expand_variables(std::string_view word, const VariableLookup& lookup) {
  std::string expanded;
  std::size_t i = 0;
  while (i < word.size()) {
    std::size_t dollar = word.find('$', i);
    expanded += word.substr(i, dollar - i);
    if (dollar == std::string_view::npos) break;
    i = dollar + 1;
    if (i < word.size() && word[i] == '$') {
      expanded += '$';
      ++i;
      continue;
    }
    if (i < word.size() && word[i] == '{') {
      std::size_t end = word.find_first_of("}:", i);
      if (end == std::string_view::npos || word[end] == ':') {
        // No end, or ${NAME:-default}, which systemd 252 leaves as it is up to the ':'.
        std::size_t next = end == std::string_view::npos ? word.size() : end + 1;
        expanded += word.substr(dollar, next - dollar);
        i = next;
        continue;
      }
      if (auto value = lookup(word.substr(i + 1, end - i - 1))) expanded += *value;
      i = end + 1;
      if (expanded.size() <= max_expanded_arguments_bytes) continue;
      return expanded;
    }
    expanded += '$';
  }
  return expanded;
}

std::vector<std::string> expand_environment(const PackedStrings& arguments, const VariableLookup& lookup) {
  std::vector<std::string> expanded;
  std::size_t bytes = 0;
  auto add = [&](std::string argument) {
    bytes += argument.size() + 1;
    expanded.push_back(std::move(argument));
  };
  for (std::string_view argument : arguments) {
    if (bytes > max_expanded_arguments_bytes) break;
    const bool is_variable =
        argument.starts_with('$') && !argument.starts_with("${") && !argument.starts_with("$$");
    if (!is_variable) {
      add(expand_variables(argument, lookup));
      continue;
    }
    std::optional<std::string> value = lookup(argument.substr(1));
    if (!value) continue;
    WordSplitter splitter(*value, Backslash::protects);
    while (!splitter.at_end())
      add(std::move(splitter.next()->text));
  }
  return expanded;
}

}  // namespace gitproc
