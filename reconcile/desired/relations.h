// What can only be judged with other units in view: requirements, conflicts, second names, cycles of ordering.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "reconcile/desired/index.h"

namespace gitproc {

// A mistake between units. It is reported in the file of `name` (a unit or a link), where possible at the line
// on which `directive` has `subject` (or one of its aliases).
struct RelationError {
  std::string name;
  std::string directive;  // "Requires", or "" where no line is meant
  std::string subject;
  std::string message;

  auto operator<=>(const RelationError&) const = default;
};

// Writes real names for aliases in the relations of `unit`, each name once and never its own; answers the
// aliases that were replaced, sorted.
std::vector<std::string> resolve_aliases(Unit& unit, const CatalogIndex& index);

// The mistakes that the units `names` and the aliases `aliases` take part in. Where there were none before
// these changed, these are all; but what demands a unit that has errors of its own is one only with
// `tells_left_out`. Looks at their direct neighbours, and for cycles at what they are after.
std::set<RelationError> check_relations(const CatalogIndex& index, const std::vector<std::string>& names,
                                        const std::set<std::string>& aliases, bool tells_left_out);

// For skips_invalid: what must be left out so that the rest is free of mistakes, and why, by name. Depends on
// the candidates alone, not on how they came to be. In turn: links and units whose aliases clash; units that
// conflict with one that is to run too; units in a cycle; after each step those that demand what is not there.
// Cost: all units.
std::map<std::string, std::set<RelationError>> find_left_out(const CatalogIndex& index);

// The line of `text` on which `directive` names `subject` (with or without ".service"); 0 where there is none.
unsigned line_of(const std::string& text, const std::string& directive,
                 const std::vector<std::string>& subjects);

}  // namespace gitproc
