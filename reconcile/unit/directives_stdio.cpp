// [Service]: where standard input, output and error lead to, systemd.exec(5).
#include <algorithm>
#include <iterator>
#include <optional>

#include "reconcile/base/strings.h"
#include "reconcile/unit/fields.h"
#include "reconcile/unit/paths.h"

namespace gitproc {
namespace {

using Input = GroupField<&Unit::exec, &ExecContext::standard_input_file>;
using Output = GroupField<&Unit::exec, &ExecContext::standard_output>;
using ErrorOutput = GroupField<&Unit::exec, &ExecContext::standard_error>;

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// The path after "file:" and its siblings; nullopt when it is not absolute.
std::optional<std::string> path_after(std::string_view text, std::string_view scheme) {
  text.remove_prefix(scheme.size());
  if (!is_absolute_path(text)) return std::nullopt;
  return simplify_path_value(text);
}

// Where GitProc has no such connection, the nearest one takes its place.
void warn_of_stand_in(Reader& reader, std::string_view stand_in) {
  reader.warning(std::string(reader.key()) + "=" + printable(reader.value()) +
                 " is not supported: " + std::string(stand_in) + " takes its place");
}

void read_input(Reader& reader) {
  auto text = reader.expanded_value();
  if (!text) return;
  if (text->starts_with("file:")) {
    auto path = path_after(*text, "file:");
    if (!path) return reader.bad_value(reader.value(), "does not name an absolute path");
    return set<Input>(reader.unit(), std::move(*path));
  }
  if (is_one_of(*text, {"tty", "tty-force", "tty-fail", "socket", "data", "fd"}) ||
      text->starts_with("fd:")) {
    warn_of_stand_in(reader, "/dev/null");
  } else if (!text->empty() && *text != "null") {
    return reader.bad_value(reader.value(), "is none of null, file:PATH, tty, data, socket and fd:NAME");
  }
  set<Input>(reader.unit(), {});
}

void print_input(const Unit& unit, Lines& lines) {
  const std::string& path = Input::get(unit);
  if (!path.empty()) lines.add("file:" + protect_specifiers(path));
}

constexpr EnumWord<OutputKind> file_schemes[] = {
    {"file:", OutputKind::file}, {"append:", OutputKind::append}, {"truncate:", OutputKind::truncate}};

template <typename F>
void read_output(Reader& reader) {
  auto text = reader.expanded_value();
  if (!text) return;
  if (text->empty()) return set<F>(reader.unit(), F::initial());
  for (const auto& scheme : file_schemes) {
    if (!text->starts_with(scheme.word)) continue;
    auto path = path_after(*text, scheme.word);
    if (!path) return reader.bad_value(reader.value(), "does not name an absolute path");
    return set<F>(reader.unit(), {.kind = scheme.value, .path = std::move(*path)});
  }
  if (is_one_of(*text, {"journal", "syslog"}))
    return set<F>(reader.unit(), {.kind = OutputKind::journal, .path = {}});
  if (*text == "kmsg") return set<F>(reader.unit(), {.kind = OutputKind::log, .path = {}});
  if (*text == "null") return set<F>(reader.unit(), {.kind = OutputKind::null, .path = {}});
  if (*text == "inherit") {
    // Standard output would inherit from standard input, which a service never reads a terminal from.
    return set<F>(reader.unit(), F::initial());
  }
  if (*text == "socket") {
    reader.warning(
        std::string(reader.key()) +
        "=socket needs a .socket unit that hands its connection over (socket activation), which is "
        "not supported: the service's log takes its place");
    return set<F>(reader.unit(), {.kind = OutputKind::log, .path = {}});
  }
  if (is_one_of(*text, {"journal+console", "syslog+console"})) {
    warn_of_stand_in(reader, "the journal alone");
    return set<F>(reader.unit(), {.kind = OutputKind::journal, .path = {}});
  }
  if (is_one_of(*text, {"tty", "kmsg+console", "fd"}) || text->starts_with("fd:")) {
    warn_of_stand_in(reader, "the service's log");
    return set<F>(reader.unit(), {.kind = OutputKind::log, .path = {}});
  }
  reader.bad_value(reader.value(),
                   "is none of journal, inherit, null, file:PATH, append:PATH and truncate:PATH");
}

template <typename F>
void print_output(const Unit& unit, Lines& lines) {
  const OutputTarget& target = F::get(unit);
  if (target == F::initial()) return;
  for (const auto& scheme : file_schemes) {
    if (target.kind == scheme.value)
      return lines.add(std::string(scheme.word) + protect_specifiers(target.path));
  }
  switch (target.kind) {
    case OutputKind::null: return lines.add("null");
    case OutputKind::inherit: return lines.add("inherit");
    case OutputKind::journal: return lines.add("journal");
    // No word of systemd's means the log alone; this one has no other meaning here.
    case OutputKind::log: return lines.add("kmsg");
    case OutputKind::file:
    case OutputKind::append:
    case OutputKind::truncate: return;  // printed above
  }
}

constexpr Directive directives[] = {
    {"Service", "StandardInput", read_input, print_input, ChangeEffect::restart},
    {"Service", "StandardOutput", read_output<Output>, print_output<Output>, ChangeEffect::restart},
    {"Service", "StandardError", read_output<ErrorOutput>, print_output<ErrorOutput>, ChangeEffect::restart},
};

}  // namespace

std::span<const Directive> stdio_directives() { return directives; }

}  // namespace gitproc
