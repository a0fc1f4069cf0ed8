// The Catalog turns the files of one commit into the units of one node, and keeps up with new commits at a
// cost that follows what changed: it is given the files that differ, parses the units they belong to again,
// and answers with the units that differ. It is all or nothing: a commit with an error leaves it as it was.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/diagnostic.h"
#include "reconcile/base/error.h"
#include "reconcile/base/object_id.h"
#include "reconcile/desired/snapshot.h"
#include "reconcile/unit/specifiers.h"

namespace gitproc {

// The kinds of a git tree entry (its mode).
enum class EntryKind { file, executable, symlink, submodule, folder };

struct TreeEntry {
  EntryKind kind = EntryKind::file;
  ObjectId id;

  bool operator==(const TreeEntry&) const = default;
};

// A path whose entry differs between two trees. Never a folder: its leaves are listed one by one.
struct FileChange {
  std::string path;
  std::optional<TreeEntry> before;  // nullopt: it was not there
  std::optional<TreeEntry> after;   // nullopt: it is gone
};

// Which folders of a tree can hold units for this node: the top, NAME.service.d, nodes/<node>, groups/<k>=<v>
// that match, their NAME.service.d, and what these are in; also a folder that is called NAME.service, so that
// it is noticed as the mistake it is. The git driver asks it before it opens a folder, so that a thousand
// nodes' folders cost one node nothing.
bool may_hold_units(std::string_view folder, const NodeIdentity& node);

// *.service, *.service.d, service.d, nodes and groups at the top, and what is below them, are not data;
// everything else in the tree is (and is exported). For folders and files alike.
bool is_data(std::string_view path);

// How the Catalog reads the commit it is given. Implemented by drivers/git; in tests by a map.
class CommitFiles {
 public:
  virtual ~CommitFiles() = default;
  // The content of a blob; an error when it is missing, corrupt or, ErrorCode::invalid, larger than
  // `limit_bytes`: only the last is a mistake of the commit's author and reported as a Diagnostic.
  virtual Result<std::string> read(const ObjectId& blob, std::size_t limit_bytes) = 0;
  // The entry at a path of the commit being loaded; nullopt when there is none.
  virtual Result<std::optional<TreeEntry>> entry(std::string_view path) = 0;
};

// At most so many Diagnostics are reported at once; the last then says how many more there are.
inline constexpr std::size_t max_reported_diagnostics = 1000;

struct CatalogUpdate {
  std::vector<UnitChange> changes;  // by name
  Diagnostics warnings;  // of all units as they are now; with skips_invalid also the errors of those left out
};

// Why a commit was not taken: mistakes in it, or that it could not be read.
struct CatalogFailure {
  Diagnostics errors;
  std::optional<Error> unreadable;
};

class Catalog {
 public:
  struct Options {
    NodeIdentity node;
    SpecifierContext specifiers;  // what %H, %t, %S and so on expand to on this machine
    bool skips_invalid = false;   // on_invalid: "skip": leave out what has errors instead of refusing all
  };

  explicit Catalog(Options options);
  ~Catalog();
  Catalog(Catalog&&) noexcept;
  Catalog& operator=(Catalog&&) noexcept;

  // Moves from the commit it holds to the next one. `changes` are all paths that differ in may_hold_units'
  // folders, and at or below the watched paths of units() (more do no harm). The first call starts from an
  // empty tree. Cost: the changed files, the units they belong to, and those units' direct neighbours; what
  // the changed units are (indirectly) ordered after is looked at for cycles.
  std::expected<CatalogUpdate, CatalogFailure> update(const std::vector<FileChange>& changes,
                                                      CommitFiles& files);

  UnitMap units() const;
  // The unit that a name means: the owner of that alias where there is one, else the name itself.
  std::string real_name(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gitproc
