// What it takes to get from one unit to another that has the same name.
#pragma once

#include <string>
#include <vector>

#include "reconcile/unit/unit.h"

namespace gitproc {

// From least to most; the whole change takes the greatest of its directives'.
enum class ChangeEffect {
  none,     // nothing differs
  later,    // matters only later (Description=, Restart=, timeouts, health, relations): use the new unit
  adjust,   // resource control: written to the cgroup of the running process
  reload,   // a ReloadOn= path differs: ExecReload=, or a restart where there is none
  restart,  // what it runs differs
};

struct UnitDifference {
  ChangeEffect effect = ChangeEffect::none;
  std::vector<std::string> directives;  // "ExecStart", "RestartOn=nginx.conf": sorted by place in the table

  bool operator==(const UnitDifference&) const = default;
};

// Both must have the same name. The effect of each directive stands in the directive table (directives.cpp).
UnitDifference difference(const Unit& from, const Unit& to);

}  // namespace gitproc
