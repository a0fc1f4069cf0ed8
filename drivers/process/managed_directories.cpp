#include "drivers/process/managed_directories.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "drivers/base/system_call.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr mode_t intermediate_mode = 0755;
constexpr mode_t permission_bits = 07777;
constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

int exit_code_of_kind(DirectoryKind kind) {
  switch (kind) {
    case DirectoryKind::runtime: return 233;
    case DirectoryKind::state: return 238;
    case DirectoryKind::cache: return 239;
    case DirectoryKind::logs: return 240;
    case DirectoryKind::configuration: return 241;
  }
  __builtin_unreachable();
}

Result<UniqueFd> open_or_make(int parent_fd, const std::string& name) {
  Result<UniqueFd> directory = open_file_at(parent_fd, name, directory_flags);
  if (directory || directory.error().code != ErrorCode::not_found) return directory;
  if (::mkdirat(parent_fd, name.c_str(), intermediate_mode) != 0 && errno != EEXIST) {
    return fail_with_errno("cannot make directory '" + name + "'");
  }
  return open_file_at(parent_fd, name, directory_flags);
}

Result<void> make_directory(const std::string& base, const ManagedDirectory& directory,
                            const std::optional<Account>& owner) {
  if (Result<void> made = make_directories(base, intermediate_mode); !made) return made;
  Result<UniqueFd> at = open_file(base, O_RDONLY | O_DIRECTORY);
  if (!at) return std::unexpected(at.error());
  for (std::string_view component : split(directory.path, '/')) {
    if (component.empty() || component == ".") continue;
    if (component == "..")
      return fail("cannot make directory '" + directory.path + "': it leads out of its base");
    Result<UniqueFd> next = open_or_make(at->get(), std::string(component));
    if (!next) return std::unexpected(next.error());
    at = std::move(next);
  }
  struct stat status;
  if (::fstat(at->get(), &status) != 0)
    return fail_with_errno("cannot examine directory '" + directory.path + "'");
  if (owner && directory.kind != DirectoryKind::configuration &&
      (status.st_uid != owner->uid || status.st_gid != owner->gid)) {
    if (::fchown(at->get(), owner->uid, owner->gid) != 0) {
      return fail_with_errno("cannot change the owner of directory '" + directory.path + "'");
    }
  }
  if ((status.st_mode & permission_bits) != directory.mode && ::fchmod(at->get(), directory.mode) != 0) {
    return fail_with_errno("cannot change the mode of directory '" + directory.path + "'");
  }
  return {};
}

void remove_contents(int directory_fd, dev_t device, int depth) {
  UniqueFd copy(::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* directory = copy ? ::fdopendir(copy.get()) : nullptr;
  if (directory == nullptr) return;
  copy.release();
  while (const dirent* entry = ::readdir(directory)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (::unlinkat(directory_fd, name.c_str(), 0) == 0 || (errno != EISDIR && errno != EPERM)) continue;
    if (depth == max_removal_depth) continue;
    Result<UniqueFd> below = open_file_at(directory_fd, name, directory_flags);
    struct stat status;
    // Nothing of another file system: somebody has mounted it here, and wants it back.
    if (!below || ::fstat(below->get(), &status) != 0 || status.st_dev != device) continue;
    remove_contents(below->get(), device, depth + 1);
    ::unlinkat(directory_fd, name.c_str(), AT_REMOVEDIR);
  }
  ::closedir(directory);
}

void remove_directory(const std::string& base, const std::string& path) {
  Result<UniqueFd> parent = open_file(base, O_RDONLY | O_DIRECTORY);
  std::vector<std::string_view> components = split(path, '/');
  for (std::size_t i = 0; parent && i + 1 < components.size(); ++i) {
    parent = open_file_at(parent->get(), std::string(components[i]), directory_flags);
  }
  std::string last(components.back());
  if (!parent || last.empty() || last == "." || last == "..") return;
  Result<UniqueFd> directory = open_file_at(parent->get(), last, directory_flags);
  struct stat status;
  if (!directory || ::fstat(directory->get(), &status) != 0) return;
  remove_contents(directory->get(), status.st_dev, 0);
  ::unlinkat(parent->get(), last.c_str(), AT_REMOVEDIR);
}

}  // namespace

std::optional<SpawnFault> make_managed_directories(const ExecContext& exec, const ExecFacts& facts,
                                                   const std::optional<Account>& owner) {
  for (const ManagedDirectory& directory : exec.directories) {
    Result<void> made = make_directory(facts.base_directory(directory.kind), directory, owner);
    if (!made) return SpawnFault{exit_code_of_kind(directory.kind), made.error().message};
  }
  return std::nullopt;
}

void remove_runtime_directories(const ExecContext& exec, const ExecFacts& facts, bool will_restart) {
  if (exec.runtime_preserve == RuntimePreserve::yes) return;
  if (exec.runtime_preserve == RuntimePreserve::restart && will_restart) return;
  for (const ManagedDirectory& directory : exec.directories) {
    if (directory.kind == DirectoryKind::runtime) {
      remove_directory(facts.base_directory(DirectoryKind::runtime), directory.path);
    }
  }
}

}  // namespace gitproc
