// Reads what one name means in the commit that is being loaded: which file it is, what drop-ins apply, and
// the Unit they make. Looks at nothing of other units.
#pragma once

#include <map>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>

#include "reconcile/desired/index.h"

namespace gitproc {

inline constexpr std::size_t max_link_bytes = 4096;  // PATH_MAX
inline constexpr std::size_t max_drop_ins_per_unit = 256;
inline constexpr std::size_t max_diagnostics_per_unit = 100;  // kept; the last says how many more there are
inline constexpr std::size_t max_cached_bytes =
    16u << 20;  // texts that several units share, and those read ahead

struct ReadUnit {
  UnitPtr unit;  // null: not run on this node, a link, or wrong
  Note note;
};

class UnitReader {
 public:
  // `scratch`: for what is not needed any more after the update.
  UnitReader(const CatalogIndex& index, const Catalog::Options& options, CommitFiles& files,
             std::pmr::memory_resource* scratch)
      : index_(index), options_(options), files_(files), texts_ahead_(scratch) {}

  // Has the unit file of `name` at hand when it is read, unless there is too much already. To be called for all before
  // the first is read: what the repository keeps in its caches then lies apart from the units, and leaves no holes
  // between them when these are given back.
  void read_ahead(const std::string& name);

  // What is wrong in the files is in the note's diagnostics; an Error means that they could not be read.
  Result<ReadUnit> read(const std::string& name);

  // The text of a blob, of a unit file's size at most, for looking something up again.
  Result<std::string> text_of(const ObjectId& blob);

 private:
  struct Fragment {
    std::string path;
    TreeEntry entry;
  };

  std::optional<TreeEntry> entry_at(const std::string& path) const;
  std::optional<Fragment> find_fragment(const std::string& name, Diagnostics& diagnostics) const;
  std::vector<Fragment> find_drop_ins(const std::string& name) const;
  Result<std::optional<std::string>> read_text(const Fragment& fragment, std::size_t limit_bytes,
                                               bool is_shared, Diagnostics& diagnostics);
  Result<std::optional<Fragment>> follow(const std::string& name, const Fragment& link, Note& note);
  Result<bool> is_null_link(const Fragment& link, Diagnostics& diagnostics);
  Result<ReadUnit> load(const std::string& name, const Fragment& main, Note note);
  Result<void> fill_in(Unit& unit);

  const CatalogIndex& index_;
  const Catalog::Options& options_;
  CommitFiles& files_;
  std::pmr::map<ObjectId, std::pmr::string> texts_ahead_;
  std::size_t bytes_ahead_ = 0;
  std::map<ObjectId, std::string> shared_texts_;
  std::size_t shared_bytes_ = 0;
  UnitPtr last_;  // that was read: the next one shares with it what they have in common
};

}  // namespace gitproc
