// A git tree object, read from its bytes with every rule of a well-formed tree checked: libgit2 and git both
// hand out trees that name "..", a file twice, or a symlink and a folder alike, and what is exported or
// watched must never be one of these.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "drivers/git/objects.h"
#include "reconcile/base/error.h"
#include "reconcile/base/object_id.h"
#include "reconcile/desired/catalog.h"

namespace gitproc {

// Bounds of what is read from a repository; beyond them the commit is unreadable, with an error that says so.
inline constexpr unsigned max_tree_depth = 64;
inline constexpr unsigned max_tree_entries = 2'000'000;  // visited in one walk, folders included
inline constexpr std::size_t max_tree_object_bytes = 64u << 20;
inline constexpr std::size_t max_entry_name_bytes = 255;  // NAME_MAX

// One entry; `name` and `id` point into the bytes that were parsed.
struct TreeRecord {
  std::string_view name;
  EntryKind kind = EntryKind::file;
  const std::uint8_t* id = nullptr;  // 20 bytes

  ObjectId object_id() const;
};

// All entries in git's order (folders as if their name ended in '/'). Errors: cut short, an unknown mode, a
// name that is empty, ".", "..", ".git" in any case, too long or with a '/', a wrong order, a name twice.
Result<std::vector<TreeRecord>> parse_tree(std::string_view bytes);

// Which of two entries comes first in git's order: negative, zero or positive. A file and a folder of the
// same name are different entries.
int compare_in_tree_order(const TreeRecord& a, const TreeRecord& b);

// The entry at '/'-separated `path` below `tree`; nullopt when there is none, or a part of the path is no
// folder (symlinks are not followed). The empty path is the tree itself.
Result<std::optional<TreeEntry>> entry_at(ObjectReader& objects, const ObjectId& tree, std::string_view path);

}  // namespace gitproc
