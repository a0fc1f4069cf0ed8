// What the Catalog remembers of the commit it holds: enough to know which units a changed file matters for,
// and no texts. Every map is journaled, so that an update is all or nothing.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "reconcile/base/diagnostic.h"
#include "reconcile/desired/catalog.h"
#include "reconcile/desired/journaled_map.h"
#include "reconcile/desired/layout.h"
#include "reconcile/desired/unit_set.h"

namespace gitproc {

// Why a unit looks at something else.
enum class ConcernKind {
  watches,    // RestartOn=, ReloadOn=: `subject` is a path
  links,      // its file is a symbolic link that names `subject`
  demands,    // Requires=, Requisite=, BindsTo=
  conflicts,  // Conflicts=
  before,     // Before=
  mentions,   // any other relation; also the aliases that were written for real names
};

// `by` must be looked at again when something about `subject` changes.
struct Concern {
  ConcernKind kind = ConcernKind::mentions;
  std::string subject;
  std::string by;

  auto operator<=>(const Concern&) const = default;
};

// `alias` is another name of `owner`, says the file of `via`: of the owner itself (Alias=), or the symbolic
// link that is called like the alias.
struct AliasClaim {
  std::string alias;
  std::string via;

  auto operator<=>(const AliasClaim&) const = default;
};

// What is known of a name besides its Unit. Kept only where there is something.
struct Note {
  std::string link_target;              // its file is a link to this one; another name of it, if well
  std::vector<std::string> aliases;     // Alias=
  std::vector<std::string> alias_uses;  // aliases that its relations were written with
  Diagnostics diagnostics;

  bool operator==(const Note&) const = default;
};

// A unit that is well by itself and cannot be among the others (skips_invalid). A link has no unit.
struct LeftOut {
  UnitPtr unit;
  Diagnostics errors;
};

struct CatalogIndex {
  std::vector<Layer> layers;

  JournaledMap<std::string, TreeEntry> entries;  // all unit files and drop-ins of the layers, by path
  JournaledMap<std::string, UnitPtr, UnitSet> units;
  JournaledMap<std::string, LeftOut> left_out;
  JournaledMap<std::string, Note> notes;  // by name; what is wrong with a path alone by "/" + path
  JournaledMap<Concern, std::monostate> concerns;
  JournaledMap<AliasClaim, std::string> claims;  // -> owner

  void commit();
  void rollback();

  // The unit of that name that is well by itself, left out or not; null where there is none.
  const UnitPtr& candidate(std::string_view name) const;
  bool has_candidate(std::string_view name) const { return candidate(name) != nullptr; }
  // As of the last commit().
  UnitPtr committed_candidate(const std::string& name) const;

  // Those concerned by `subject`, sorted.
  std::vector<std::string> concerned(ConcernKind kind, const std::string& subject) const;
  // Names of unit files of any layer that begin with `prefix`, templates and links too.
  std::set<std::string> names_with_prefix(const std::string& prefix) const;

  // The unit that a name means: the name itself, or the owner of that alias where it is the only one.
  std::string real_name(const std::string& name) const;

  // The names it directly starts after, existing ones only, sorted.
  std::vector<std::string> starts_after(const std::string& name) const;

  void set_note(const std::string& key, Note note);
  bool has_errors_of_its_own(const std::string& name) const;
};

// What a unit with this note is concerned by.
std::set<Concern> concerns_of(const std::string& name, const Unit* unit, const Note* note);

// Bounds a list for people: the first `limit` - 1 and one that counts the rest.
Diagnostics bounded(Diagnostics diagnostics, std::size_t limit);

}  // namespace gitproc
