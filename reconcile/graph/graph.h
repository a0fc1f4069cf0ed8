// The dependency resolver: who must be before whom, who pulls or stops whom, in both directions, by name.
// Kept up to date unit by unit; an order, or the cycle that prevents one, is computed on demand by Kahn's
// algorithm (Kahn 1962).
#pragma once

#include <expected>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/unit/unit.h"

namespace gitproc {

// A cycle of ordering, first element repeated at the end: {"a", "b", "a"}: a is after b, b is after a.
using Cycle = std::vector<std::string>;

class DependencyGraph {
 public:
  // Adds a unit or replaces the relations of the one with its name. Relations to names that are not (yet)
  // there are kept and count as soon as they are.
  void set(const Unit& unit);
  void remove(std::string_view name);

  // Direct neighbours that exist, sorted. `after(x)`: those x starts after (its After=, and their Before=).
  std::vector<std::string> after(std::string_view name) const;
  std::vector<std::string> before(std::string_view name) const;  // those that start after `name`

  // All existing names in an order in which each comes after those it is ordered after; among equals by name.
  // Cost: names + edges.
  std::expected<std::vector<std::string>, Cycle> order() const;
  // The same for a subset, edges between its members only.
  std::expected<std::vector<std::string>, Cycle> order(const std::set<std::string>& subset) const;
  // A cycle through one of `changed`, if there is one: looks only at what they reach.
  std::expected<void, Cycle> check(const std::vector<std::string>& changed) const;

 private:
  struct Node {
    bool exists = false;
    std::vector<std::string> declared_after, declared_before;
    std::vector<std::string> after, before;  // resolved, both directions, sorted
  };
  std::map<std::string, Node, std::less<>> nodes_;
};

}  // namespace gitproc
