#include "cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "cli/text.h"

namespace gitproc {
namespace {

// SGR parameters, ECMA-48 8.3.117.
std::string_view sgr_of(Style style) {
  switch (style) {
    case Style::plain: return "";
    case Style::bold: return "1";
    case Style::faint: return "2";
    case Style::red: return "31";
    case Style::green: return "32";
    case Style::yellow: return "33";
  }
  __builtin_unreachable();
}

// Off a terminal a tab separates fields, so none may be inside one.
std::string field_text(const std::string& text) {
  std::string shown = for_terminal(text);
  std::ranges::replace(shown, '\t', ' ');
  return shown;
}

}  // namespace

Output Output::of_descriptor(int fd, std::ostream& stream) {
  bool is_terminal = ::isatty(fd) == 1;
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  bool is_dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  return {stream, is_terminal, is_terminal && !is_dumb && (no_color == nullptr || *no_color == '\0')};
}

std::string Output::paint(std::string_view text, Style style) const {
  if (!has_colour_ || style == Style::plain || text.empty()) return std::string(text);
  return "\033[" + std::string(sgr_of(style)) + "m" + std::string(text) + "\033[0m";
}

void Table::print(Output& output) const {
  if (!output.is_terminal()) {
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i)
        line += (i == 0 ? "" : "\t") + field_text(row[i].text);
      output.line(line);
    }
    return;
  }
  std::vector<std::size_t> widths;
  widths.reserve(heading_.size());
  for (const std::string& title : heading_)
    widths.push_back(width_of(title));
  std::vector<std::vector<std::string>> texts;
  for (const auto& row : rows_) {
    auto& cells = texts.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      cells.push_back(field_text(row[i].text));
      if (i < widths.size()) widths[i] = std::max(widths[i], width_of(cells.back()));
    }
  }
  // The last cell of a line is not padded: no blanks at line ends.
  auto aligned = [&](std::string_view text, std::size_t column) {
    return column + 1 < widths.size() ? padded(text, widths[column] + 2) : std::string(text);
  };
  std::string heading;
  for (std::size_t i = 0; i < heading_.size(); ++i)
    heading += aligned(heading_[i], i);
  output.line(output.paint(heading, Style::bold));
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < texts[r].size(); ++i)
      line += output.paint(aligned(texts[r][i], i), rows_[r][i].style);
    output.line(line);
  }
}

void Fields::add(std::string label, std::vector<std::string> lines) {
  std::erase(lines, "");
  if (!lines.empty()) fields_.push_back({std::move(label), std::move(lines)});
}

void Fields::print(Output& output) const {
  std::size_t width = 0;
  for (const Field& field : fields_)
    width = std::max(width, width_of(field.label));
  for (const Field& field : fields_) {
    std::string head = std::string(width - width_of(field.label) + 2, ' ') + field.label + ": ";
    for (const std::string& line : field.lines) {
      output.line(head + line);
      head.assign(width + 4, ' ');
    }
  }
}

}  // namespace gitproc
