// The units of a commit by name. Each holds its name itself, so that no key is held beside it.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "reconcile/unit/unit.h"

namespace gitproc {

struct UnitNameOrder {
  using is_transparent = void;
  static std::string_view name_of(const UnitPtr& unit) { return unit->name; }
  static std::string_view name_of(std::string_view name) { return name; }
  bool operator()(const auto& a, const auto& b) const { return name_of(a) < name_of(b); }
};

// To be changed as a std::map from names to units is.
class UnitSet : public std::set<UnitPtr, UnitNameOrder> {
 public:
  // `unit` is called `name`.
  void insert_or_assign(std::string_view name, UnitPtr unit) {
    auto found = find(name);
    if (found == end()) {
      insert(std::move(unit));
      return;
    }
    node_type node = extract(found);
    node.value() = std::move(unit);
    insert(std::move(node));
  }
  void erase(std::string_view name) {
    auto found = find(name);
    if (found != end()) std::set<UnitPtr, UnitNameOrder>::erase(found);
  }
};

}  // namespace gitproc
