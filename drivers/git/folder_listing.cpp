#include "drivers/git/folder_listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "drivers/base/system_call.h"
#include "drivers/base/unique_fd.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

// Not every file system fills in d_type.
ListedKind kind_of(int directory_fd, const dirent& entry) {
  switch (entry.d_type) {
    case DT_REG: return ListedKind::file;
    case DT_DIR: return ListedKind::folder;
    case DT_LNK: return ListedKind::symlink;
    case DT_UNKNOWN: break;
    default: return ListedKind::other;
  }
  struct stat status;
  if (fstatat(directory_fd, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) return ListedKind::other;
  if (S_ISREG(status.st_mode)) return ListedKind::file;
  if (S_ISDIR(status.st_mode)) return ListedKind::folder;
  return S_ISLNK(status.st_mode) ? ListedKind::symlink : ListedKind::other;
}

}  // namespace

Result<std::vector<ListedEntry>> list_folder(const std::string& path, unsigned limit) {
  auto directory = open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!directory) return std::unexpected(directory.error());
  return list_folder(directory->get(), path, limit);
}

Result<std::vector<ListedEntry>> list_folder(int directory_fd, const std::string& path, unsigned limit) {
  auto own = open_file_at(directory_fd, ".", O_RDONLY | O_DIRECTORY);
  if (!own) return std::unexpected(own.error());
  std::unique_ptr<DIR, CloseDirectory> directory(fdopendir(own->get()));
  if (!directory) return fail_with_errno("cannot list '" + printable(path) + "'");
  own->release();  // closedir closes it
  std::vector<ListedEntry> entries;
  errno = 0;
  while (const dirent* entry = readdir(directory.get())) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") {
      if (entries.size() == limit) {
        return fail("'" + printable(path) + "' holds more than " + std::to_string(limit) + " entries",
                    ErrorCode::invalid);
      }
      ListedKind kind = kind_of(directory_fd, *entry);
      entries.push_back({std::move(name), kind});
    }
    errno = 0;
  }
  if (errno != 0) return fail_with_errno("cannot list '" + printable(path) + "'");
  std::ranges::sort(entries);
  return entries;
}

}  // namespace gitproc
