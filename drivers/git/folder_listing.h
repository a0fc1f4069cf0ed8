// What lies in a folder of the file system, without following symlinks.
#pragma once

#include <string>
#include <vector>

#include "reconcile/base/error.h"

namespace gitproc {

enum class ListedKind { file, folder, symlink, other };

struct ListedEntry {
  std::string name;
  ListedKind kind = ListedKind::other;

  auto operator<=>(const ListedEntry&) const = default;
};

// All entries but "." and "..", sorted by name. Errors: cannot be opened (not_found where there is no such
// folder), is a symlink, or holds more than `limit` entries.
Result<std::vector<ListedEntry>> list_folder(const std::string& path, unsigned limit);
// The same for an open folder, whose descriptor stays the caller's; `path` is for messages.
Result<std::vector<ListedEntry>> list_folder(int directory_fd, const std::string& path, unsigned limit);

}  // namespace gitproc
