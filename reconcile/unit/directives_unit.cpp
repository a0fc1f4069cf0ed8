// [Unit]: systemd.unit(5).
#include <algorithm>
#include <optional>

#include "reconcile/base/strings.h"
#include "reconcile/unit/fields.h"
#include "reconcile/unit/names.h"
#include "reconcile/unit/paths.h"

namespace gitproc {
namespace {

constexpr std::string_view unit_types[] = {".service", ".socket",    ".target", ".device",
                                           ".mount",   ".automount", ".swap",   ".timer",
                                           ".path",    ".slice",     ".scope"};

bool names_other_type(std::string_view name) {
  return std::any_of(std::begin(unit_types) + 1, std::end(unit_types), [&](std::string_view type) {
    return name.size() > type.size() && name.ends_with(type);
  });
}

// A template as a dependency means its instance for our own instance, or else for our own prefix.
std::string resolve_template(std::string_view name, std::string_view own_name) {
  std::string resolved(name);
  if (!is_template(name)) return resolved;
  std::string_view instance = instance_of(own_name);
  return resolved += instance.empty() ? prefix_of(own_name) : instance;
}

// Relations add up: an empty assignment does not take back what another line or file asks for.
template <auto Field>
void read_dependencies(Reader& reader) {
  for (const Word& word : reader.expanded_words()) {
    if (names_other_type(word.text)) continue;
    if (!word.text.ends_with(".service")) {
      reader.bad_value(word.text, "is not the name of a unit: it has no type such as '.service'",
                       word.offset);
      continue;
    }
    std::string name = resolve_template(without_service_suffix(word.text), reader.draft().names.name);
    if (!is_valid_service_name(name)) {
      reader.bad_value(word.text, "is not a valid name of a service", word.offset);
      continue;
    }
    if (name == reader.draft().names.name) continue;
    (reader.unit().dependencies.edit().*Field).push_back(std::move(name));
  }
}

template <auto Field>
void print_dependencies(const Unit& unit, Lines& lines) {
  const std::vector<std::string>& names = (*unit.dependencies).*Field;
  if (names.empty()) return;
  std::string line;
  for (const std::string& name : names) {
    if (!line.empty()) line += ' ';
    line += quote_plain_word(protect_specifiers(name + ".service"));
  }
  lines.add(line);
}

template <auto Field>
constexpr Directive relation(std::string_view key) {
  return {"Unit", key, read_dependencies<Field>, print_dependencies<Field>, ChangeEffect::later};
}

// "|" and "!" in front of a condition's path, with blanks after each.
void skip_mark(std::string_view& text, char mark, bool& is_set) {
  if (!text.starts_with(mark)) return;
  is_set = true;
  text = trim(text.substr(1));
}

template <ConditionKind Kind, bool IsAssert>
void read_condition(Reader& reader) {
  if (reader.value().empty()) return reset_conditions(reader.unit(), IsAssert);
  auto value = reader.expanded_value();
  if (!value) return;
  Condition condition{.kind = Kind, .parameter = {}, .is_assert = IsAssert};
  std::string_view path = *value;
  skip_mark(path, '|', condition.is_triggering);
  skip_mark(path, '!', condition.is_negated);
  if (!is_absolute_path(path)) return reader.bad_value(reader.value(), "is not an absolute path");
  condition.parameter = simplify_path_value(path);
  reader.unit().conditions.edit().push_back(std::move(condition));
}

template <ConditionKind Kind, bool IsAssert>
void print_conditions(const Unit& unit, Lines& lines) {
  for (const Condition& condition : *unit.conditions) {
    if (condition.kind != Kind || condition.is_assert != IsAssert) continue;
    std::string line;
    if (condition.is_triggering) line += '|';
    if (condition.is_negated) line += '!';
    lines.add(line + protect_specifiers(condition.parameter));
  }
}

template <ConditionKind Kind, bool IsAssert>
constexpr Directive condition(std::string_view key) {
  return {"Unit", key, read_condition<Kind, IsAssert>, print_conditions<Kind, IsAssert>, ChangeEffect::later};
}

void read_description(Reader& reader) {
  if (auto text = reader.expanded_value()) reader.unit().description = std::move(*text);
}

void print_description(const Unit& unit, Lines& lines) {
  if (!unit.description.empty()) lines.add(protect_specifiers(unit.description.str()));
}

using StartLimitInterval = GroupField<&Unit::restart, &RestartPolicy::start_limit_interval>;
using StartLimitBurst = GroupField<&Unit::restart, &RestartPolicy::start_limit_burst>;
using BurstValue = NumberValue<unsigned, 0, UINT32_MAX>;

constexpr Directive directives[] = {
    {"Unit", "Description", read_description, print_description, ChangeEffect::later},
    relation<&Dependencies::requires_>("Requires"),
    relation<&Dependencies::requisite>("Requisite"),
    relation<&Dependencies::binds_to>("BindsTo"),
    relation<&Dependencies::wants>("Wants"),
    relation<&Dependencies::part_of>("PartOf"),
    relation<&Dependencies::conflicts>("Conflicts"),
    relation<&Dependencies::before>("Before"),
    relation<&Dependencies::after>("After"),
    condition<ConditionKind::path_exists, false>("ConditionPathExists"),
    condition<ConditionKind::path_exists_glob, false>("ConditionPathExistsGlob"),
    condition<ConditionKind::path_is_directory, false>("ConditionPathIsDirectory"),
    condition<ConditionKind::path_is_symbolic_link, false>("ConditionPathIsSymbolicLink"),
    condition<ConditionKind::path_is_mount_point, false>("ConditionPathIsMountPoint"),
    condition<ConditionKind::path_is_read_write, false>("ConditionPathIsReadWrite"),
    condition<ConditionKind::directory_not_empty, false>("ConditionDirectoryNotEmpty"),
    condition<ConditionKind::file_not_empty, false>("ConditionFileNotEmpty"),
    condition<ConditionKind::file_is_executable, false>("ConditionFileIsExecutable"),
    condition<ConditionKind::path_exists, true>("AssertPathExists"),
    condition<ConditionKind::path_exists_glob, true>("AssertPathExistsGlob"),
    condition<ConditionKind::path_is_directory, true>("AssertPathIsDirectory"),
    condition<ConditionKind::path_is_symbolic_link, true>("AssertPathIsSymbolicLink"),
    condition<ConditionKind::path_is_mount_point, true>("AssertPathIsMountPoint"),
    condition<ConditionKind::path_is_read_write, true>("AssertPathIsReadWrite"),
    condition<ConditionKind::directory_not_empty, true>("AssertDirectoryNotEmpty"),
    condition<ConditionKind::file_not_empty, true>("AssertFileNotEmpty"),
    condition<ConditionKind::file_is_executable, true>("AssertFileIsExecutable"),
    field<StartLimitInterval, TimeSpanValue>("Unit", "StartLimitIntervalSec", ChangeEffect::later),
    field<StartLimitBurst, BurstValue>("Unit", "StartLimitBurst", ChangeEffect::later),
    {"Unit", "StartLimitInterval", read_field<StartLimitInterval, TimeSpanValue>, nullptr},
    {"Service", "StartLimitInterval", read_field<StartLimitInterval, TimeSpanValue>, nullptr},
    {"Service", "StartLimitBurst", read_field<StartLimitBurst, BurstValue>, nullptr},
};

}  // namespace

void reset_conditions(Unit& unit, bool is_assert) {
  if (unit.conditions->empty()) return;
  std::erase_if(unit.conditions.edit(), [&](const Condition& known) { return known.is_assert == is_assert; });
}

std::span<const Directive> unit_directives() { return directives; }

}  // namespace gitproc
