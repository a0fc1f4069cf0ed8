// The lines of a unit file, systemd.syntax(7): sections, assignments, comments and continuations, without any
// knowledge of what a key means.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/diagnostic.h"

namespace gitproc {

// Where something stands in a file; both from 1, columns in bytes.
struct TextPosition {
  unsigned line = 0;
  unsigned column = 0;

  auto operator<=>(const TextPosition&) const = default;
};

// One KEY=VALUE, without the blanks around both. A value that continues over several physical lines is one
// text, with a space for each backslash and line end.
struct Assignment {
  std::string section;
  std::string key;
  std::string value;
  TextPosition key_position;

  // Where byte `offset` of the value stands in the file.
  TextPosition position_of(std::size_t offset) const;

  // Which part of the value comes from which physical line: ascending, at least one.
  struct Piece {
    std::size_t offset = 0;
    TextPosition position;

    bool operator==(const Piece&) const = default;
  };
  std::vector<Piece> pieces;

  bool operator==(const Assignment&) const = default;
};

struct SectionHeader {
  std::string_view name;
  TextPosition position;
};

// What parse_syntax finds, in the order of the file. Assignments outside of any section are not reported.
class SyntaxVisitor {
 public:
  virtual ~SyntaxVisitor() = default;
  virtual void section(const SectionHeader& header) = 0;
  virtual void assignment(const Assignment& assignment) = 0;
  // The file is not as it should be; an error means that systemd would refuse the whole file.
  virtual void mistake(TextPosition position, Severity severity, std::string message) = 0;
};

// Reads all of `text`. Errors: text after ']', invalid UTF-8 or NUL outside of comments. Warnings, as systemd
// ignores them: a line without '=', an assignment before the first section.
void parse_syntax(std::string_view text, SyntaxVisitor& visitor);

}  // namespace gitproc
