#include "drivers/logs/disk_space.h"
#include "reconcile/base/numbers.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace gitproc {
namespace {

// The number of "NAME.log.N"; 0 for any other name.
unsigned archive_number(std::string_view file_name) {
  std::size_t dot = file_name.rfind('.');
  if (dot == std::string_view::npos || !service_of_log_file(file_name.substr(0, dot))) return 0;
  unsigned number = parse_number<unsigned>(file_name.substr(dot + 1)).value_or(0);
  return number <= archive_limit ? number : 0;
}

struct FoundArchive {
  timespec modified{};
  unsigned number = 0;
  std::string name;

  // Of one service's that were made in one instant, the higher number is older.
  bool is_older_than(const FoundArchive& other) const {
    return std::tuple(modified.tv_sec, modified.tv_nsec, other.number) <
           std::tuple(other.modified.tv_sec, other.modified.tv_nsec, number);
  }
};

std::vector<FoundArchive> find_archives(const LogDirectory& directory) {
  std::vector<FoundArchive> found;
  int fd = ::openat(directory.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return found;
  std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(fd), &::closedir);
  if (!listing) {
    ::close(fd);
    return found;
  }
  while (const dirent* entry = ::readdir(listing.get())) {
    unsigned number = archive_number(entry->d_name);
    struct stat status;
    if (number == 0 || ::fstatat(directory.fd(), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISREG(status.st_mode)) found.push_back({status.st_mtim, number, entry->d_name});
  }
  return found;
}

}  // namespace

bool is_disk_full(const LogDirectory& directory) {
  struct statvfs disk;
  if (::fstatvfs(directory.fd(), &disk) != 0) return false;
  std::uint64_t unit = disk.f_frsize;
  return disk.f_bavail * unit < std::min(full_disk_bytes, disk.f_blocks * unit / 64);
}

std::size_t remove_oldest_archives(const LogDirectory& directory) {
  std::vector<FoundArchive> archives = find_archives(directory);
  std::ranges::sort(archives, [](const auto& a, const auto& b) { return a.is_older_than(b); });
  std::size_t removed = 0;
  for (const FoundArchive& archive : archives) {
    if (removed > 0 && !is_disk_full(directory)) break;
    if (::unlinkat(directory.fd(), archive.name.c_str(), 0) == 0) ++removed;
  }
  return removed;
}

bool remove_oldest_archive(const LogDirectory& directory, std::string_view service) {
  unsigned oldest = 0;
  struct stat status;
  for (unsigned number = 1; number <= archive_limit; ++number) {
    std::string name = archive_file_name(service, number);
    if (::fstatat(directory.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) break;
    oldest = number;
  }
  return oldest > 0 && ::unlinkat(directory.fd(), archive_file_name(service, oldest).c_str(), 0) == 0;
}

}  // namespace gitproc
