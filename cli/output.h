// Where a command prints to: a stream, and what the other end understands. On a terminal there are colours
// (unless NO_COLOR is set, no-color.org), aligned tables and relative times; elsewhere plain fields for programs.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace gitproc {

enum class Style { plain, bold, faint, red, green, yellow };

class Output {
 public:
  Output(std::ostream& stream, bool is_terminal, bool has_colour)
      : stream_(stream), is_terminal_(is_terminal), has_colour_(has_colour) {}

  // Standard output or error (1 or 2): isatty(3), NO_COLOR and TERM=dumb decide.
  static Output of_descriptor(int fd, std::ostream& stream);

  std::ostream& stream() { return stream_; }
  bool is_terminal() const { return is_terminal_; }
  bool has_colour() const { return has_colour_; }

  // `text` in that style, where there are colours.
  std::string paint(std::string_view text, Style style) const;

  // One line; `text` must be safe for a terminal already.
  void line(std::string_view text) { stream_ << text << '\n'; }

 private:
  std::ostream& stream_;
  bool is_terminal_;
  bool has_colour_;
};

struct Cell {
  std::string text;  // made safe for the terminal when it is printed
  Style style = Style::plain;
};

// Rows under a heading, aligned, on a terminal; else one line per row, fields separated by tabs, no heading.
class Table {
 public:
  explicit Table(std::vector<std::string> heading) : heading_(std::move(heading)) {}
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  void print(Output& output) const;

 private:
  std::vector<std::string> heading_;
  std::vector<std::vector<Cell>> rows_;
};

// "   Label: value" lines with the colons below each other; a value of several lines goes on below its first.
class Fields {
 public:
  // Values must be safe for a terminal; an empty one is left out.
  void add(std::string label, std::string value) {
    add(std::move(label), std::vector<std::string>{std::move(value)});
  }
  void add(std::string label, std::vector<std::string> lines);
  void print(Output& output) const;

 private:
  struct Field {
    std::string label;
    std::vector<std::string> lines;
  };
  std::vector<Field> fields_;
};

}  // namespace gitproc
