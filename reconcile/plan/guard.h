// The prune guard: a move of the branch that would take most of a node's services away is more often a mistake (a
// wrong merge, an emptied folder, a renamed node) than a wish, so it waits for an operator.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "reconcile/desired/snapshot.h"

namespace gitproc {

// The kind of its hold.
inline constexpr const char* prune_guard_kind = "prune";

// Why going from `units` units to a commit without those in `removed` has to be approved: it would take every unit
// of a node that runs more than one, or more than half of five or more. nullopt: it may go ahead.
std::optional<std::string> prune_guard(std::size_t units, const std::vector<std::string>& removed);

// The same for two commits.
std::optional<std::string> prune_guard(const UnitMap& from, const UnitMap& to);

// "a, b and 3 more"; at most five are named.
std::string list_of_names(const std::vector<std::string>& names);

}  // namespace gitproc
