// From a commit to the units of this node: diffs the commit's tree against the one that the Catalog holds,
// looking only into folders that matter here, and feeds the Catalog with what differs. Everything that goes
// wrong is one of three outcomes: what was loaded before stays loaded. Where the tree before cannot be read any more
// (the repository was made anew in the same place), the commit is read as a whole and compared unit by unit.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "drivers/git/repository.h"
#include "reconcile/desired/catalog.h"
#include "reconcile/event.h"

namespace gitproc {

// The Events that LoadCommit may end in.
using LoadOutcome = std::variant<CommitLoaded, CommitRejected, CommitUnreadable>;

class CommitLoader {
 public:
  CommitLoader(Repository repository, Catalog::Options options);

  LoadOutcome load(const ObjectId& commit);

  Repository& repository() { return repository_; }
  UnitMap units() const { return catalog_.units(); }
  std::string real_name(const std::string& name) const { return catalog_.real_name(name); }

 private:
  LoadOutcome load_anew(CommitInfo info);
  LoadOutcome loaded(CommitInfo info, std::vector<UnitChange> changes, Diagnostics warnings);
  bool enters(std::string_view folder) const;
  bool is_wanted(std::string_view path) const;
  void note_watched_paths(const std::vector<UnitChange>& changes);

  Repository repository_;
  Catalog::Options options_;
  Catalog catalog_;
  std::optional<ObjectId> tree_;  // what catalog_ holds; nullopt before the first commit
  std::map<std::string, std::vector<std::string>> watched_by_unit_;
  std::vector<std::string> watched_;  // all of them, sorted, each once
};

// One commit for one node, without any history: for the offline commands.
std::expected<Snapshot, CatalogFailure> load_snapshot(Repository& repository, const ObjectId& commit,
                                                      Catalog::Options options);

// The same for a plain folder of units, which need not be a repository: `gitproc verify PATH`. Blob and tree
// ids are those that git would give; ".git" is left out. The Snapshot's commit is empty.
std::expected<Snapshot, CatalogFailure> load_directory(const std::string& path, Catalog::Options options);

}  // namespace gitproc
