// The data of a commit (everything but units, drop-ins, nodes/ and groups/) as files for the services:
//
//     <state-dir>/trees/<tree id>/...   one exported tree; the last two are kept
//     <state-dir>/tree                  symlink to the one in use, swapped by rename(2)
//
// A tree is built under a temporary name and renamed when it is complete. Files that the tree before has too
// are hard links; a tree whose data does not differ at all is a symlink to the one before. Nothing is synced
// to disk: trees/.boot names the boot in which the trees were written, and those of an earlier boot are
// compared with the repository, byte by byte, before they are trusted again.
//
// The tree comes from whoever can commit: names are checked (tree.h), folders are opened without following
// symlinks, files are made with O_EXCL, symlinks are written as they are and never followed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "drivers/git/repository.h"
#include "reconcile/base/error.h"
#include "reconcile/base/object_id.h"

namespace gitproc {

inline constexpr std::size_t max_exported_file_bytes = 256u << 20;

class TreeExport {
 public:
  // `state_dir` exists; trees/ is made in it. Only one TreeExport per state directory.
  explicit TreeExport(const std::string& state_dir);

  // Makes <state-dir>/tree the data of this commit. On an error <state-dir>/tree is what it was.
  Result<void> export_commit(Repository& repository, const ObjectId& commit);

  // Deletes what export_commit put aside: trees that are not kept any more, and what a crash left. Takes long
  // for large trees; the next export_commit does it where the caller, after it has reported, did not.
  void remove_discarded();

  // The folder that <state-dir>/tree leads to in the end, of all the exported ones; "" where it leads elsewhere.
  std::string folder_in_use() const;

  // Puts back what was changed by hand; true when something had to be. Reads all that is exported.
  Result<bool> restore(Repository& repository, const ObjectId& commit);

 private:
  struct Checked {
    bool was_damaged = false;
    bool is_in_doubt = false;  // the tree in use cannot be compared with anything
  };
  std::string path_of(const ObjectId& tree) const;
  std::optional<ObjectId> tree_in_use() const;
  std::optional<ObjectId> folder_of(const ObjectId& tree) const;
  Result<std::vector<ObjectId>> exported_trees() const;
  Result<void> build_in_place(ObjectReader& objects, const ObjectId& tree,
                              const std::optional<ObjectId>& base);
  Result<bool> establish_trust(ObjectReader& objects);
  Result<Checked> check_all(ObjectReader& objects);
  void discard(const ObjectId& tree);
  void prune(const ObjectId& current, const std::optional<ObjectId>& previous);

  std::string link_;   // <state-dir>/tree
  std::string trees_;  // <state-dir>/trees
};

}  // namespace gitproc
