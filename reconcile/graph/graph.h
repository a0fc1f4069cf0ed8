// The dependency resolver: who must be before whom, in both directions, by name. Kept up to date unit by
// unit; an order, or the cycle that prevents one, is computed on demand: the order by Kahn's algorithm
// (Kahn 1962), the cycles by Tarjan's (1972).
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/defaulted.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// A cycle of ordering, first element repeated at the end: {"a", "b", "a"}: a is after b, b is after a.
using Cycle = std::vector<std::string>;

// "a -> b -> a", for messages; the middle of a very long one is left out.
std::string to_string(const Cycle& cycle);

// Units that all wait for each other, so that none of them can be first.
struct Knot {
  std::vector<std::string> members;  // sorted
  Cycle cycle;                       // a shortest one through members.front()

  bool operator==(const Knot&) const = default;
};

// All knots among what `roots` reach over `after` (the names that one starts after, itself left out), by
// their first member. Cost: the names reached and their edges.
std::vector<Knot> find_knots(const std::vector<std::string>& roots,
                             const std::function<std::vector<std::string>(const std::string&)>& after);

class DependencyGraph {
 public:
  // Adds a unit or replaces the relations of the one with its name. Relations to names that are not (yet)
  // there are kept and count as soon as they are. An ordering of a unit with itself is ignored, as systemd
  // does.
  void set(const Unit& unit);
  void remove(std::string_view name);

  // Direct neighbours that exist, sorted. `after(x)`: those x starts after (its After=, and their Before=).
  std::vector<std::string> after(std::string_view name) const;
  std::vector<std::string> before(std::string_view name) const;  // those that start after `name`

  // All existing names in an order in which each comes after those it is ordered after; among equals by name.
  // Cost: (names + edges) * log(names).
  std::expected<std::vector<std::string>, Cycle> order() const;
  // The same for a subset, edges between its members only.
  std::expected<std::vector<std::string>, Cycle> order(const std::set<std::string>& subset) const;
  // A cycle among `changed` and what they are (indirectly) after, if there is one. Where there was none
  // before they changed, every new one is found. Looks only at what they reach.
  std::expected<void, Cycle> check(const std::vector<std::string>& changed) const;

 private:
  // Most units have no ordering: they cost no more than their name. Each edge is known at both ends.
  struct Edges {
    std::vector<std::string> declared_after, declared_before;  // sorted, as the unit itself says
    std::vector<std::string> after, before;                    // resolved, both directions, sorted

    bool operator==(const Edges&) const = default;
  };
  struct Node {
    bool exists = false;
    Defaulted<Edges> edges;
  };
  using Nodes = std::map<std::string, Node, std::less<>>;

  void unlink(const std::string& name);
  void drop_if_empty(const std::string& name);
  bool is_declared(const std::string& later, const std::string& earlier) const;
  std::vector<std::string> existing(const std::vector<std::string>& names) const;
  std::expected<std::vector<std::string>, Cycle> order_of(
      const std::vector<Nodes::const_iterator>& members) const;

  Nodes nodes_;
};

}  // namespace gitproc
