#include "reconcile/unit/loader.h"

#include <algorithm>

#include "reconcile/base/strings.h"
#include "reconcile/unit/directives.h"
#include "reconcile/unit/draft.h"
#include "reconcile/unit/finish.h"
#include "reconcile/unit/known_directives.h"
#include "reconcile/unit/names.h"
#include "reconcile/unit/suggestion.h"
#include "reconcile/unit/syntax.h"

namespace gitproc {
namespace {

// Applies one file's assignments to the draft.
class FileLoader : public SyntaxVisitor {
 public:
  FileLoader(Draft& draft, const std::string& file) : draft_(draft), file_(file) {}

  void section(const SectionHeader& header) override {
    is_ignored_ = !is_known_section(header.name);
    if (!is_ignored_ || header.name.starts_with("X-")) return;
    draft_.report(
        file_, header.position, Severity::warning,
        "unknown section [" + printable(header.name, 60) + "]" + suggestion(header.name, known_sections()));
  }

  void assignment(const Assignment& assignment) override {
    if (is_ignored_) return;
    Reader reader(draft_, file_, assignment);
    if (const Directive* directive = find_directive(assignment.section, assignment.key))
      return directive->parse(reader);
    not_in_table(assignment, reader);
  }

  void mistake(TextPosition position, Severity severity, std::string message) override {
    draft_.report(file_, position, severity, std::move(message));
  }

 private:
  void not_in_table(const Assignment& assignment, Reader& reader) {
    const std::string_view key = assignment.key;
    const DirectiveFate fate = fate_of(assignment.section, key);
    const bool is_assert = key.starts_with("Assert");
    const bool is_condition = assignment.section == "Unit" && (is_assert || key.starts_with("Condition"));
    if (is_condition && assignment.value.empty() && fate != DirectiveFate::unknown) {
      return reset_conditions(draft_.unit, is_assert);
    }
    switch (fate) {
      case DirectiveFate::acted_on:
      case DirectiveFate::no_effect: return;
      case DirectiveFate::not_acted_on:
        return reader.warning(assignment.key + "= has no effect: GitProc does not act on it");
      case DirectiveFate::unknown: break;
    }
    if (key.starts_with("X-")) return;
    // Comparing with all names takes time that a file of mistakes alone does not deserve.
    std::string hint =
        draft_.diagnostics.size() < max_diagnostics ? suggestion(key, known_keys(assignment.section)) : "";
    reader.warning("unknown directive " + printable(key, 60) + "= in [" + assignment.section + "]" + hint);
  }

  Draft& draft_;
  const std::string& file_;
  bool is_ignored_ = true;
};

// Whether the file is within its bounds; reports why not.
bool check_size(Draft& draft, const SourceText& source) {
  std::string_view fault;
  if (source.text.size() > max_unit_file_bytes) {
    fault = "the file is larger than 1 MiB";
  } else if (std::count(source.text.begin(), source.text.end(), '\n') > max_unit_file_lines) {
    fault = "the file has more than 20000 lines";
  }
  if (fault.empty()) return true;
  draft.report(source.path, {}, Severity::error, std::string(fault));
  return false;
}

}  // namespace

UnitLoad load_unit(std::string_view name, const std::vector<SourceText>& sources,
                   const SpecifierContext& machine) {
  Draft draft;
  draft.machine = &machine;
  draft.unit.name = name;
  draft.names.name = name;
  const std::string main_path = sources.empty() ? std::string(name) + ".service" : sources.front().path;
  draft.names.fragment_path = main_path;

  if (!is_valid_service_name(name) || is_template(name)) {
    draft.report(main_path, {}, Severity::error,
                 is_template(name) ? "a template cannot run: it needs an instance's name after the '@'"
                                   : "'" + printable(name) + "' is not a valid service name");
  } else if (sources.empty() || sources.front().text.empty()) {
    draft.report(main_path, {}, Severity::error, "the unit is masked: its file is empty");
  } else {
    draft.unit.sources.reserve(sources.size());
    for (const SourceText& source : sources) {
      draft.unit.sources.push_back({.path = source.path, .blob = source.blob});
      if (!check_size(draft, source)) continue;
      FileLoader file(draft, source.path);
      parse_syntax(source.text, file);
    }
    finish_unit(draft, main_path);
  }

  UnitLoad load;
  load.node_selector = std::move(draft.node_selector);
  load.aliases = std::move(draft.aliases);
  load.diagnostics = std::move(draft.diagnostics);
  std::sort(load.diagnostics.begin(), load.diagnostics.end());
  load.diagnostics.erase(std::unique(load.diagnostics.begin(), load.diagnostics.end()),
                         load.diagnostics.end());
  if (!draft.has_error) load.unit = std::make_shared<const Unit>(std::move(draft.unit));
  return load;
}

std::string print_unit(const Unit& unit) {
  Lines lines;
  std::string text;
  std::string_view section;
  for (const Directive* directive : all_directives()) {
    if (!directive->print) continue;
    lines.begin(directive->key);
    directive->print(unit, lines);
    if (lines.text().empty()) continue;
    if (section != directive->section) {
      section = directive->section;
      if (!text.empty()) text += '\n';
      text += '[';
      text += section;
      text += "]\n";
    }
    text += lines.take();
  }
  return text;
}

}  // namespace gitproc
