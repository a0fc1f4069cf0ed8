// [Service]: systemd.exec(5), what surrounds the process.
#include <algorithm>
#include <optional>

#include "reconcile/base/strings.h"
#include "reconcile/unit/environment_file.h"
#include "reconcile/unit/fields.h"
#include "reconcile/unit/paths.h"

namespace gitproc {
namespace {

constexpr EnumWord<RuntimePreserve> preserve_words[] = {
    {"no", RuntimePreserve::no}, {"restart", RuntimePreserve::restart}, {"yes", RuntimePreserve::yes}};

constexpr EnumWord<ProcVisibility> visibility_words[] = {{"default", ProcVisibility::everything},
                                                         {"noaccess", ProcVisibility::without_access},
                                                         {"invisible", ProcVisibility::invisible},
                                                         {"ptraceable", ProcVisibility::ptraceable}};
constexpr EnumWord<ProcSubset> subset_words[] = {{"all", ProcSubset::all}, {"pid", ProcSubset::pid}};

template <auto Field>
using ExecField = GroupField<&Unit::exec, Field>;

template <auto Field, typename Value>
constexpr Directive exec_field(std::string_view key) {
  return field<ExecField<Field>, Value>("Service", key, ChangeEffect::restart);
}

template <auto Field>
void read_account(Reader& reader) {
  auto name = reader.expanded_value();
  if (!name) return;
  if (!name->empty()) {
    auto checked = check_account_name(*name);
    if (!checked) return reader.bad_value(*name, checked.error().message);
  }
  set<ExecField<Field>>(reader.unit(), std::move(*name));
}

template <auto Field>
void print_text(const Unit& unit, Lines& lines) {
  const std::string& text = (*unit.exec).*Field;
  if (!text.empty()) lines.add(protect_specifiers(text));
}

// A list of words, each of which `check` takes or explains why not. An empty value empties the list.
template <auto Field, Result<void> (*Check)(std::string_view)>
void read_list(Reader& reader) {
  if (reader.value().empty()) return set<ExecField<Field>>(reader.unit(), {});
  for (Word& word : reader.expanded_words()) {
    auto checked = Check(word.text);
    if (checked) {
      ExecField<Field>::edit(reader.unit()).push_back(std::move(word.text));
    } else {
      reader.bad_value(word.text, checked.error().message, word.offset);
    }
  }
}

template <auto Field>
void print_list(const Unit& unit, Lines& lines) {
  const std::vector<std::string>& words = (*unit.exec).*Field;
  if (words.empty()) return;
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    line += quote_plain_word(protect_specifiers(word));
  }
  lines.add(line);
}

template <auto Field, Result<void> (*Check)(std::string_view)>
constexpr Directive list(std::string_view key) {
  return {"Service", key, read_list<Field, Check>, print_list<Field>, ChangeEffect::restart};
}

Result<void> check_variable_name(std::string_view text) {
  if (is_environment_name(text)) return {};
  return fail("is not the name of a variable", ErrorCode::invalid);
}

// UnsetEnvironment= takes "NAME" and "NAME=VALUE".
Result<void> check_variable_pattern(std::string_view text) {
  return check_variable_name(text.substr(0, text.find('=')));
}

using Environment = ExecField<&ExecContext::environment>;

void read_environment(Reader& reader) {
  if (reader.value().empty()) return set<Environment>(reader.unit(), {});
  auto words = reader.words(Backslash::escape_or_fail);
  if (!words) return;
  for (const Word& word : *words) {
    auto text = reader.expanded(word.text, word.offset);
    if (!text) continue;
    std::size_t equals = text->find('=');
    if (equals == std::string::npos) {
      reader.bad_value(word.text, "is not an assignment NAME=VALUE", word.offset);
    } else if (!is_environment_name(std::string_view(*text).substr(0, equals))) {
      reader.bad_value(word.text, "does not begin with the name of a variable", word.offset);
    } else if (!is_utf8(*text)) {
      reader.bad_value(word.text, "is not valid UTF-8", word.offset);
    } else {
      Environment::edit(reader.unit()).emplace_back(text->substr(0, equals), text->substr(equals + 1));
    }
  }
}

void print_environment(const Unit& unit, Lines& lines) {
  for (const auto& [name, value] : unit.exec->environment) {
    lines.add(quote_word(protect_specifiers(name + "=" + value)));
  }
}

using EnvironmentFiles = ExecField<&ExecContext::environment_files>;

void read_environment_file(Reader& reader) {
  if (reader.value().empty()) return set<EnvironmentFiles>(reader.unit(), {});
  auto path = reader.expanded_value();
  if (!path) return;
  const bool is_optional = path->starts_with('-');
  if (is_optional) path->erase(0, 1);
  if (!is_absolute_path(*path)) return reader.bad_value(reader.value(), "is not an absolute path");
  EnvironmentFiles::edit(reader.unit())
      .push_back({.path = simplify_path_value(*path), .is_optional = is_optional});
}

void print_environment_files(const Unit& unit, Lines& lines) {
  for (const EnvironmentFile& file : unit.exec->environment_files) {
    lines.add((file.is_optional ? "-" : "") + protect_specifiers(file.path));
  }
}

using Directory = ExecField<&ExecContext::working_directory>;

void read_working_directory(Reader& reader) {
  auto path = reader.expanded_value();
  if (!path) return;
  WorkingDirectory directory{.path = {}, .is_optional = path->starts_with('-')};
  if (directory.is_optional) path->erase(0, 1);
  if (*path == "~" || (path->empty() && !directory.is_optional)) {
    directory.path = std::move(*path);
  } else if (is_absolute_path(*path) && !climbs(*path)) {
    directory.path = simplify_path_value(*path);
  } else {
    return reader.bad_value(reader.value(), "is neither an absolute path without '..' nor '~'");
  }
  set<Directory>(reader.unit(), std::move(directory));
}

void print_working_directory(const Unit& unit, Lines& lines) {
  const WorkingDirectory& directory = unit.exec->working_directory;
  if (directory.path.empty()) return;
  lines.add((directory.is_optional ? "-" : "") + protect_specifiers(directory.path));
}

using Limits = ExecField<&ExecContext::limits>;

template <ResourceKind Kind>
void read_limit(Reader& reader) {
  auto is_this = [](const ResourceLimit& limit) { return limit.kind == Kind; };
  ResourceLimit parsed;
  if (!reader.value().empty()) {
    auto limit = parse_limit(Kind, reader.value());
    if (!limit) return reader.bad_value(reader.value(), limit.error().message);
    parsed = *limit;
  }
  if (!Limits::get(reader.unit()).empty()) std::erase_if(Limits::edit(reader.unit()), is_this);
  if (!reader.value().empty()) Limits::edit(reader.unit()).push_back(parsed);
}

template <ResourceKind Kind>
void print_limits(const Unit& unit, Lines& lines) {
  for (const ResourceLimit& limit : unit.exec->limits) {
    if (limit.kind == Kind) lines.add(print_limit(limit));
  }
}

template <ResourceKind Kind>
constexpr Directive limit(std::string_view key) {
  return {"Service", key, read_limit<Kind>, print_limits<Kind>, ChangeEffect::restart};
}

constexpr std::size_t max_directories = 256;

using Directories = ExecField<&ExecContext::directories>;

template <DirectoryKind Kind>
void read_directories(Reader& reader) {
  if (reader.value().empty()) {
    if (Directories::get(reader.unit()).empty()) return;
    std::erase_if(Directories::edit(reader.unit()),
                  [](const ManagedDirectory& known) { return known.kind == Kind; });
    return;
  }
  for (const Word& word : reader.expanded_words()) {
    std::string_view text = word.text;
    if (std::size_t colon = text.find(':'); colon != std::string_view::npos) {
      reader.warning(std::string(reader.key()) + "=: the symbolic link in '" + printable(text) +
                     "' is not made");
      text = text.substr(0, colon);
    }
    std::string path = simplify_path(text);
    const bool is_reserved = path == "private" || path.starts_with("private/");
    if (is_absolute_path(path) || climbs(path) || path == "." || is_reserved) {
      reader.bad_value(word.text, "is not a relative path without '..'", word.offset);
      continue;
    }
    if (Directories::get(reader.unit()).size() == max_directories) {
      return reader.error("the unit has more than 256 directories", word.offset);
    }
    Directories::edit(reader.unit()).push_back({.kind = Kind, .path = std::move(path)});
  }
}

template <DirectoryKind Kind>
void print_directories(const Unit& unit, Lines& lines) {
  std::string line;
  for (const ManagedDirectory& directory : unit.exec->directories) {
    if (directory.kind != Kind) continue;
    if (!line.empty()) line += ' ';
    line += quote_plain_word(protect_specifiers(directory.path));
  }
  if (!line.empty()) lines.add(line);
}

template <DirectoryKind Kind>
void read_directory_mode(Reader& reader) {
  auto& mode = reader.draft().directory_modes[static_cast<std::size_t>(Kind)];
  if (reader.value().empty()) {
    mode.reset();
    return;
  }
  auto parsed = parse_mode(reader.value());
  if (!parsed) return reader.bad_value(reader.value(), parsed.error().message);
  mode = *parsed;
}

template <DirectoryKind Kind>
void print_directory_mode(const Unit& unit, Lines& lines) {
  for (const ManagedDirectory& directory : unit.exec->directories) {
    if (directory.kind != Kind) continue;
    if (directory.mode != ManagedDirectory{}.mode) lines.add(print_mode(directory.mode));
    return;
  }
}

template <DirectoryKind Kind>
constexpr Directive directories(std::string_view key) {
  return {"Service", key, read_directories<Kind>, print_directories<Kind>, ChangeEffect::restart};
}

template <DirectoryKind Kind>
constexpr Directive directory_mode(std::string_view key) {
  return {"Service", key, read_directory_mode<Kind>, print_directory_mode<Kind>, ChangeEffect::restart};
}

// They are not enforced; but who writes them has the machine's own /proc in mind, so that they decide about a PID
// namespace.
template <auto Field, const auto& Words>
void read_proc_restriction(Reader& reader) {
  if (!reader.value().empty())
    reader.warning(std::string(reader.key()) + "= has no effect: GitProc does not act on it");
  read_field<ExecField<Field>, WordValue<Words>>(reader);
}

template <auto Field, const auto& Words>
constexpr Directive proc_restriction(std::string_view key) {
  return {"Service", key, read_proc_restriction<Field, Words>,
          print_field<ExecField<Field>, WordValue<Words>>, ChangeEffect::restart};
}

constexpr Directive directives[] = {
    {"Service", "User", read_account<&ExecContext::user>, print_text<&ExecContext::user>,
     ChangeEffect::restart},
    {"Service", "Group", read_account<&ExecContext::group>, print_text<&ExecContext::group>,
     ChangeEffect::restart},
    list<&ExecContext::supplementary_groups, check_account_name>("SupplementaryGroups"),
    {"Service", "Environment", read_environment, print_environment, ChangeEffect::restart},
    {"Service", "EnvironmentFile", read_environment_file, print_environment_files, ChangeEffect::restart},
    list<&ExecContext::pass_environment, check_variable_name>("PassEnvironment"),
    list<&ExecContext::unset_environment, check_variable_pattern>("UnsetEnvironment"),
    {"Service", "WorkingDirectory", read_working_directory, print_working_directory, ChangeEffect::restart},
    exec_field<&ExecContext::umask, ModeValue>("UMask"),
    limit<ResourceKind::cpu>("LimitCPU"),
    limit<ResourceKind::fsize>("LimitFSIZE"),
    limit<ResourceKind::data>("LimitDATA"),
    limit<ResourceKind::stack>("LimitSTACK"),
    limit<ResourceKind::core>("LimitCORE"),
    limit<ResourceKind::rss>("LimitRSS"),
    limit<ResourceKind::nofile>("LimitNOFILE"),
    limit<ResourceKind::as>("LimitAS"),
    limit<ResourceKind::nproc>("LimitNPROC"),
    limit<ResourceKind::memlock>("LimitMEMLOCK"),
    limit<ResourceKind::locks>("LimitLOCKS"),
    limit<ResourceKind::sigpending>("LimitSIGPENDING"),
    limit<ResourceKind::msgqueue>("LimitMSGQUEUE"),
    limit<ResourceKind::nice>("LimitNICE"),
    limit<ResourceKind::rtprio>("LimitRTPRIO"),
    limit<ResourceKind::rttime>("LimitRTTIME"),
    exec_field<&ExecContext::nice, NumberValue<int, -20, 19>>("Nice"),
    exec_field<&ExecContext::oom_score_adjust, NumberValue<int, -1000, 1000>>("OOMScoreAdjust"),
    directories<DirectoryKind::runtime>("RuntimeDirectory"),
    directory_mode<DirectoryKind::runtime>("RuntimeDirectoryMode"),
    directories<DirectoryKind::state>("StateDirectory"),
    directory_mode<DirectoryKind::state>("StateDirectoryMode"),
    directories<DirectoryKind::cache>("CacheDirectory"),
    directory_mode<DirectoryKind::cache>("CacheDirectoryMode"),
    directories<DirectoryKind::logs>("LogsDirectory"),
    directory_mode<DirectoryKind::logs>("LogsDirectoryMode"),
    directories<DirectoryKind::configuration>("ConfigurationDirectory"),
    directory_mode<DirectoryKind::configuration>("ConfigurationDirectoryMode"),
    field<ExecField<&ExecContext::runtime_preserve>, WordValue<preserve_words>>(
        "Service", "RuntimeDirectoryPreserve", ChangeEffect::later),
    exec_field<&ExecContext::ignores_sigpipe, BooleanValue>("IgnoreSIGPIPE"),
    exec_field<&ExecContext::no_new_privileges, BooleanValue>("NoNewPrivileges"),
    exec_field<&ExecContext::private_pids, BooleanValue>("PrivatePIDs"),
    proc_restriction<&ExecContext::protect_proc, visibility_words>("ProtectProc"),
    proc_restriction<&ExecContext::proc_subset, subset_words>("ProcSubset"),
};

}  // namespace

std::span<const Directive> exec_directives() { return directives; }

}  // namespace gitproc
