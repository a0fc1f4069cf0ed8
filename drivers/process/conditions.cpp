#include "drivers/process/conditions.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "drivers/base/system_call.h"
#include "drivers/process/environment_files.h"

namespace gitproc {
namespace {

bool is_directory_not_empty(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return false;
  bool has_entry = false;
  while (const dirent* entry = ::readdir(directory)) {
    std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    has_entry = true;
    break;
  }
  ::closedir(directory);
  return has_entry;
}

bool is_mount_point(const std::string& path) {
  struct statx status{};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &status) != 0)
    return false;
  return (status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

bool holds(const Condition& condition) {
  const std::string& path = condition.parameter;
  struct stat status{};
  switch (condition.kind) {
    case ConditionKind::path_exists: return ::access(path.c_str(), F_OK) == 0;
    case ConditionKind::path_exists_glob: return !match_paths(path).empty();
    case ConditionKind::path_is_directory:
      return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    case ConditionKind::path_is_symbolic_link:
      return ::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode);
    case ConditionKind::path_is_mount_point: return is_mount_point(path);
    case ConditionKind::path_is_read_write: {
      struct statvfs file_system{};
      return ::statvfs(path.c_str(), &file_system) == 0 && (file_system.f_flag & ST_RDONLY) == 0;
    }
    case ConditionKind::directory_not_empty: return is_directory_not_empty(path);
    case ConditionKind::file_not_empty:
      return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
    case ConditionKind::file_is_executable:
      return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0;
  }
  __builtin_unreachable();
}

std::string_view name_of(ConditionKind kind) {
  switch (kind) {
    case ConditionKind::path_exists: return "PathExists";
    case ConditionKind::path_exists_glob: return "PathExistsGlob";
    case ConditionKind::path_is_directory: return "PathIsDirectory";
    case ConditionKind::path_is_symbolic_link: return "PathIsSymbolicLink";
    case ConditionKind::path_is_mount_point: return "PathIsMountPoint";
    case ConditionKind::path_is_read_write: return "PathIsReadWrite";
    case ConditionKind::directory_not_empty: return "DirectoryNotEmpty";
    case ConditionKind::file_not_empty: return "FileNotEmpty";
    case ConditionKind::file_is_executable: return "FileIsExecutable";
  }
  __builtin_unreachable();
}

std::string directive(const Condition& condition) {
  return std::string(condition.is_assert ? "Assert" : "Condition") + std::string(name_of(condition.kind)) +
         "=" + (condition.is_triggering ? "|" : "") + (condition.is_negated ? "!" : "") + condition.parameter;
}

// The condition that makes a list fail (conditions and asserts are two lists), or null.
const Condition* first_unmet(const std::vector<Condition>& conditions, bool of_asserts) {
  const Condition* untriggered = nullptr;
  bool is_triggered = false;
  for (const Condition& condition : conditions) {
    if (condition.is_assert != of_asserts) continue;
    bool is_met = holds(condition) != condition.is_negated;
    if (condition.is_triggering) {
      is_triggered |= is_met;
      if (!is_met && untriggered == nullptr) untriggered = &condition;
    } else if (!is_met) {
      return &condition;
    }
  }
  return is_triggered ? nullptr : untriggered;
}

std::string find_missing_executable(const Unit& unit) {
  static constexpr ExecPhase phases[] = {ExecPhase::condition, ExecPhase::start_pre, ExecPhase::start};
  for (ExecPhase phase : phases) {
    for (const ExecCommand& command : unit.commands(phase)) {
      if (command.ignores_failure) continue;
      Result<std::string> path = find_executable(command.program());
      if (!path) return path.error().message;
      struct stat status{};
      if (::stat(path->c_str(), &status) != 0)
        return system_error("cannot execute '" + *path + "'", errno).message;
      if (S_ISDIR(status.st_mode)) return system_error("cannot execute '" + *path + "'", EISDIR).message;
      if ((status.st_mode & 0111) == 0) return system_error("cannot execute '" + *path + "'", EACCES).message;
    }
  }
  return "";
}

std::string find_missing_output_directory(const OutputTarget& target) {
  if (target.path.empty()) return "";
  std::string directory = target.path.substr(0, std::max<std::size_t>(target.path.rfind('/'), 1));
  if (::access(directory.c_str(), F_OK) == 0) return "";
  return system_error("cannot open standard output '" + target.path + "'", errno).message;
}

// Whether one of the unit's own managed directories will be, or hold, the path.
bool is_made_at_start(const std::string& path, const ExecContext& exec, const ExecFacts& facts) {
  for (const ManagedDirectory& directory : exec.directories) {
    std::string made = facts.base_directory(directory.kind) + "/" + directory.path;
    if (path == made || path.starts_with(made + "/") || made.starts_with(path + "/")) return true;
  }
  return false;
}

}  // namespace

ConditionsChecked check_unit_conditions(ServiceId service, const Unit& unit) {
  for (bool of_asserts : {false, true}) {
    if (const Condition* unmet = first_unmet(*unit.conditions, of_asserts)) {
      return {.service = service, .is_met = false, .is_assert = of_asserts, .unmet = directive(*unmet)};
    }
  }
  return {.service = service};
}

std::string find_missing(const Unit& unit, const ExecFacts& facts, Accounts& accounts, Instant now) {
  const ExecContext& exec = *unit.exec;
  std::string home = facts.home;
  if (Accounts::is_needed(exec)) {
    std::expected<Account, SpawnFault> account = accounts.resolve(exec, now);
    if (!account) return account.error().message;
    home = account->home;
  }
  if (std::string error = find_missing_executable(unit); !error.empty()) return error;

  const std::string& directory = exec.working_directory.path == "~" ? home : exec.working_directory.path;
  if (!directory.empty() && !exec.working_directory.is_optional &&
      !is_made_at_start(directory, exec, facts)) {
    struct stat status{};
    int error_number = ::stat(directory.c_str(), &status) != 0 ? errno
                       : S_ISDIR(status.st_mode)               ? 0
                                                               : ENOTDIR;
    if (error_number != 0)
      return system_error("cannot change to directory '" + directory + "'", error_number).message;
  }
  // An ExecStartPre= may be what makes these.
  if (!unit.auxiliary->start_pre.empty()) return "";
  if (Result<std::vector<EnvironmentVariable>> read = read_environment_files(exec.environment_files); !read) {
    return read.error().message;
  }
  for (const OutputTarget* target : {&exec.standard_output, &exec.standard_error}) {
    if (is_made_at_start(target->path, exec, facts)) continue;
    if (std::string error = find_missing_output_directory(*target); !error.empty()) return error;
  }
  return "";
}

}  // namespace gitproc
