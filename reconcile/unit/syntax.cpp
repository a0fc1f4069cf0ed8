#include "reconcile/unit/syntax.h"

#include <algorithm>
#include <optional>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

// Physical lines, ended by LF, CR LF or CR as systemd reads them.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : text_(text) {}

  std::optional<std::string_view> next() {
    if (position_ >= text_.size()) return std::nullopt;
    ++line_;
    std::size_t end = std::min(text_.find_first_of("\r\n", position_), text_.size());
    std::string_view line = text_.substr(position_, end - position_);
    position_ = end + 1;
    if (end + 1 < text_.size() && text_[end] == '\r' && text_[end + 1] == '\n') ++position_;
    return line;
  }
  unsigned line() const { return line_; }

 private:
  std::string_view text_;
  std::size_t position_ = 0;
  unsigned line_ = 0;
};

bool is_comment(std::string_view line) {
  std::size_t first = line.find_first_not_of(" \t");
  return first != std::string_view::npos && (line[first] == '#' || line[first] == ';');
}

// A backslash at the end joins the next line, unless it is itself escaped.
bool continues(std::string_view line) {
  std::size_t last = line.find_last_not_of('\\');
  std::size_t backslashes = line.size() - (last == std::string_view::npos ? 0 : last + 1);
  return backslashes % 2 == 1;
}

TextPosition locate(const std::vector<Assignment::Piece>& pieces, std::size_t offset) {
  auto after =
      std::upper_bound(pieces.begin(), pieces.end(), offset,
                       [](std::size_t at, const Assignment::Piece& piece) { return at < piece.offset; });
  const Assignment::Piece& piece = *std::prev(after);
  return {piece.position.line, piece.position.column + static_cast<unsigned>(offset - piece.offset)};
}

// A line as the user means it: one physical line, or several joined.
struct LogicalLine {
  std::string_view text;
  std::string joined;  // what `text` views when there was a continuation
  std::vector<Assignment::Piece> pieces;

  TextPosition position_of(std::size_t offset) const { return locate(pieces, offset); }
};

class Parser {
 public:
  explicit Parser(SyntaxVisitor& visitor) : visitor_(visitor) {}

  void parse(std::string_view text) {
    LineReader reader(text);
    bool continued = false;
    while (auto physical = reader.next()) {
      if (is_comment(*physical)) continue;
      std::string_view line = *physical;
      unsigned column = 1;
      if (reader.line() == 1 && line.starts_with(byte_order_mark)) {
        line.remove_prefix(byte_order_mark.size());
        column += static_cast<unsigned>(byte_order_mark.size());
      }
      const bool goes_on = continues(line);
      if (!continued) line_.pieces.clear();
      line_.pieces.push_back({continued ? line_.joined.size() : 0, {reader.line(), column}});
      if (continued || goes_on) {
        if (!continued) line_.joined.clear();
        line_.joined += line;
        if (goes_on) line_.joined.back() = ' ';
        line_.text = line_.joined;
      } else {
        line_.text = line;
      }
      continued = goes_on;
      if (!continued) parse_logical_line();
    }
    if (continued) parse_logical_line();
  }

 private:
  void parse_logical_line() {
    std::string_view text = trim(line_.text);
    if (text.empty()) return;
    const std::size_t start = static_cast<std::size_t>(text.data() - line_.text.data());
    const TextPosition position = line_.position_of(start);
    if (!is_utf8(text)) return visitor_.mistake(position, Severity::error, "the line is not valid UTF-8");
    if (std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
      return visitor_.mistake(line_.position_of(start + nul), Severity::error, "the line holds a NUL byte");
    }
    if (text.front() == '[') return parse_section(text, start);

    std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) {
      return visitor_.mistake(position, Severity::warning,
                              "'" + printable(text, 60) + "' has no '=' and is ignored");
    }
    if (!is_in_section_) {
      return visitor_.mistake(position, Severity::warning,
                              "'" + printable(text, 60) + "' is outside of any section and is ignored");
    }
    std::string_view value = trim(text.substr(equals + 1));
    assignment_.key.assign(trim(text.substr(0, equals)));
    assignment_.key_position = position;
    assignment_.value.assign(value);
    place_value(value.empty() ? start + equals + 1
                              : static_cast<std::size_t>(value.data() - line_.text.data()));
    visitor_.assignment(assignment_);
  }

  void parse_section(std::string_view text, std::size_t start) {
    if (text.back() != ']') {
      std::size_t bracket = text.find(']');
      bool has_text_after = bracket != std::string_view::npos;
      visitor_.mistake(line_.position_of(start + (has_text_after ? bracket + 1 : 0)), Severity::error,
                       has_text_after ? "text after ']'" : "'" + printable(text, 60) + "' has no ']'");
      is_in_section_ = false;
      return;
    }
    is_in_section_ = true;
    assignment_.section.assign(text.substr(1, text.size() - 2));
    visitor_.section({assignment_.section, line_.position_of(start)});
  }

  // Moves the line's pieces to where the value, which begins at byte `start` of the line, counts from.
  void place_value(std::size_t start) {
    assignment_.pieces.assign(1, {0, line_.position_of(std::min(start, line_.text.size()))});
    for (const Assignment::Piece& piece : line_.pieces) {
      if (piece.offset > start) assignment_.pieces.push_back({piece.offset - start, piece.position});
    }
  }

  SyntaxVisitor& visitor_;
  LogicalLine line_;
  Assignment assignment_;
  bool is_in_section_ = false;
};

}  // namespace

TextPosition Assignment::position_of(std::size_t offset) const { return locate(pieces, offset); }

void parse_syntax(std::string_view text, SyntaxVisitor& visitor) { Parser(visitor).parse(text); }

}  // namespace gitproc
