// The table of all directives that a Unit can hold: which exist, how each is read and printed, and what a
// change of it does to a running service. It is the single truth of all four; known_directives.h lists what
// systemd knows besides. Private to this room.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "reconcile/unit/change.h"
#include "reconcile/unit/draft.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

struct Directive {
  std::string_view section;
  std::string_view key;
  void (*parse)(Reader&);
  void (*print)(const Unit&, Lines&);  // null: another directive prints what this one sets
  ChangeEffect effect = ChangeEffect::later;
};

// The parts of the table, each in the order in which it is printed.
std::span<const Directive> unit_directives();      // [Unit]
std::span<const Directive> service_directives();   // [Service]: the process, its commands and its end
std::span<const Directive> exec_directives();      // [Service]: systemd.exec(5)
std::span<const Directive> stdio_directives();     // [Service]: standard input, output and error
std::span<const Directive> resource_directives();  // [Service]: systemd.resource-control(5)
std::span<const Directive> gitproc_directives();   // [X-GitProc] and [Install]

// All parts, in the order in which they are printed: no section appears twice.
const std::vector<const Directive*>& all_directives();

// Null when GitProc does not act on it.
const Directive* find_directive(std::string_view section, std::string_view key);

// An empty Condition...= takes back all conditions of the unit, whatever their kind, and an empty Assert...=
// all asserts.
void reset_conditions(Unit& unit, bool is_assert);

}  // namespace gitproc
