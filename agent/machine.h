// What the agent needs to know of the machine it runs on, read once at the start.
#pragma once

#include <string>

#include "reconcile/unit/specifiers.h"

namespace gitproc {

struct Machine {
  SpecifierContext specifiers;
  // Changes with every boot, and with every new container, for which a kernel's boot id stays the same.
  std::string boot_id;
};

// `tree` is <state-dir>/tree. What cannot be read is left empty, as systemd's specifiers are.
Machine read_machine(const std::string& tree);

}  // namespace gitproc
