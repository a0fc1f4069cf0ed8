#include "reconcile/unit/environment_file.h"

#include <algorithm>
#include <map>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Reads "NAME = value" after "NAME = value". The states a value goes through are functions: plain text first,
// and quoted text only where a quote is the first thing after '=' or after another quoted part.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::vector<EnvironmentVariable> parse() {
    while (position_ < text_.size()) {
      char c = text_[position_];
      if (is_line_end(c) || is_blank(c)) {
        ++position_;
      } else if (c == '#' || c == ';') {
        skip_comment();
      } else {
        parse_assignment();
      }
    }
    return std::move(variables_);
  }

 private:
  // A backslash continues a comment on the next line, as systemd does.
  void skip_comment() {
    while (position_ < text_.size() && !is_line_end(text_[position_])) {
      position_ += text_[position_] == '\\' ? 2 : 1;
    }
  }

  void parse_assignment() {
    std::size_t end = position_;
    while (end < text_.size() && !is_line_end(text_[end]) && text_[end] != '=')
      ++end;
    std::string_view name = trim(text_.substr(position_, end - position_));
    position_ = end;
    if (end == text_.size() || text_[end] != '=') return;
    ++position_;
    std::string value = parse_value();
    if (is_environment_name(name)) set(name, std::move(value));
  }

  std::string parse_value() {
    std::string value;
    while (position_ < text_.size() && is_blank(text_[position_]))
      ++position_;
    while (position_ < text_.size()) {
      char c = text_[position_];
      if (c == '\'') {
        parse_single_quoted(value);
      } else if (c == '"') {
        parse_double_quoted(value);
      } else if (is_blank(c)) {
        ++position_;
      } else {
        parse_plain(value);
        break;
      }
    }
    return value;
  }

  void parse_single_quoted(std::string& value) {
    std::size_t end = std::min(text_.find('\'', position_ + 1), text_.size());
    value += text_.substr(position_ + 1, end - position_ - 1);
    position_ = end + 1;
  }

  void parse_double_quoted(std::string& value) {
    for (++position_; position_ < text_.size(); ++position_) {
      char c = text_[position_];
      if (c == '"') {
        ++position_;
        return;
      }
      if (c != '\\') {
        value += c;
        continue;
      }
      if (++position_ == text_.size()) return;
      char escaped = text_[position_];
      if (escaped == '\n') continue;
      if (std::string_view("\"\\`$").find(escaped) == std::string_view::npos) value += '\\';
      value += escaped;
    }
  }

  // To the end of the line, without the blanks before it.
  void parse_plain(std::string& value) {
    std::size_t kept = value.size();
    for (; position_ < text_.size() && !is_line_end(text_[position_]); ++position_) {
      char c = text_[position_];
      if (c == '\\') {
        if (++position_ == text_.size()) break;
        // CR LF is one line end, also when it is escaped.
        if (text_.substr(position_, 2) == "\r\n") ++position_;
        if (is_line_end(text_[position_])) continue;
        value += text_[position_];
        kept = value.size();
      } else {
        value += c;
        if (!is_blank(c)) kept = value.size();
      }
    }
    value.resize(kept);
  }

  void set(std::string_view name, std::string value) {
    auto [known, is_new] = places_.try_emplace(std::string(name), variables_.size());
    if (is_new) {
      variables_.emplace_back(name, std::move(value));
    } else {
      variables_[known->second].second = std::move(value);
    }
  }

  std::string_view text_;
  std::size_t position_ = 0;
  std::vector<EnvironmentVariable> variables_;
  std::map<std::string, std::size_t> places_;
};

}  // namespace

bool is_environment_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

Result<std::vector<EnvironmentVariable>> parse_environment_file(std::string_view text) {
  if (text.find('\0') != std::string_view::npos)
    return fail("the environment file holds a NUL byte", ErrorCode::invalid);
  if (!is_utf8(text)) return fail("the environment file is not valid UTF-8", ErrorCode::invalid);
  return Parser(text).parse();
}

}  // namespace gitproc
