#include "cli/machine_checks.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::array phases = {ExecPhase::condition,  ExecPhase::start_pre, ExecPhase::start,
                               ExecPhase::start_post, ExecPhase::reload,    ExecPhase::stop,
                               ExecPhase::stop_post};

std::string_view directive_of(ExecPhase phase) {
  switch (phase) {
    case ExecPhase::condition: return "ExecCondition";
    case ExecPhase::start_pre: return "ExecStartPre";
    case ExecPhase::start: return "ExecStart";
    case ExecPhase::start_post: return "ExecStartPost";
    case ExecPhase::reload: return "ExecReload";
    case ExecPhase::stop: return "ExecStop";
    case ExecPhase::stop_post: return "ExecStopPost";
  }
  __builtin_unreachable();
}

// systemd's fixed search path for names without a slash.
bool is_executable(const std::string& path) {
  auto is_file = [](const std::string& candidate) {
    struct stat status{};
    return ::stat(candidate.c_str(), &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0;
  };
  if (path.find('/') != std::string::npos) return is_file(path);
  for (const char* folder :
       {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"}) {
    if (is_file(folder + path)) return true;
  }
  return false;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

bool has_user(const std::string& name) { return is_number(name) || ::getpwnam(name.c_str()) != nullptr; }

bool has_group(const std::string& name) { return is_number(name) || ::getgrnam(name.c_str()) != nullptr; }

// The place where `directive` is given `value`: the last such line of the last file that has one.
struct Place {
  std::string file;
  unsigned line = 0;
};

Place find_place(const Unit& unit, const SourceReader& read, std::string_view directive,
                 std::string_view value) {
  Place place{.file = unit.sources.empty() ? unit.name + ".service" : unit.sources.front().path};
  for (const UnitSource& source : unit.sources) {
    std::string text = read(source.path);
    unsigned number = 0;
    for (std::string_view line : split(text, '\n')) {
      ++number;
      std::size_t equals = line.find('=');
      if (equals == std::string_view::npos || trim(line.substr(0, equals)) != directive) continue;
      if (line.substr(equals).find(value) != std::string_view::npos) place = {source.path, number};
    }
  }
  return place;
}

}  // namespace

Diagnostics check_against_machine(const Unit& unit, const SourceReader& read, bool runs_as_root) {
  Diagnostics warnings;
  auto warn = [&](std::string_view directive, const std::string& value, const std::string& message) {
    Place place = find_place(unit, read, directive, value);
    warnings.push_back({place.file, place.line, 0, Severity::warning, message});
  };
  for (ExecPhase phase : phases) {
    for (const ExecCommand& command : unit.commands(phase)) {
      if (is_executable(command.program())) continue;
      std::string name(directive_of(phase));
      warn(name, command.program(),
           name + "= names '" + printable(command.program()) + "', which is no executable on this machine");
    }
  }
  if (const std::optional<ExecCommand>& probe = unit.health->command;
      probe && !is_executable(probe->program())) {
    warn("HealthCheckExec", probe->program(),
         "HealthCheckExec= names '" + printable(probe->program()) +
             "', which is no executable on this machine");
  }
  if (!unit.exec->user.empty() && !has_user(unit.exec->user)) {
    warn("User", unit.exec->user, "there is no user '" + printable(unit.exec->user) + "' on this machine");
  }
  if (!unit.exec->group.empty() && !has_group(unit.exec->group)) {
    warn("Group", unit.exec->group,
         "there is no group '" + printable(unit.exec->group) + "' on this machine");
  }
  for (const std::string& group : unit.exec->supplementary_groups) {
    if (!has_group(group)) {
      warn("SupplementaryGroups", group, "there is no group '" + printable(group) + "' on this machine");
    }
  }
  if (unit.exec->user.empty() && runs_as_root) {
    warnings.push_back(
        {find_place(unit, read, "", "").file, 0, 0, Severity::warning, "User= is unset: it runs as root"});
  }
  return warnings;
}

}  // namespace gitproc
