// The oracle of the unit parser: a unit that loads prints as a text that loads to the same unit, and prints
// the same. Shared by the property test, the corpus replay and the fuzz target.
#pragma once

#include <string>
#include <string_view>

#include "reconcile/unit/change.h"
#include "reconcile/unit/testing.h"

namespace gitproc {

// "" when it holds, or what went wrong.
inline std::string round_trip_fault(std::string_view text, std::string_view name) {
  UnitLoad first = load_text(text, name);
  if (!first.unit) return has_errors(first.diagnostics) ? "" : "a unit was refused without an error";
  const std::string printed = print_unit(*first.unit);
  if (printed.size() > max_unit_file_bytes) return "";
  UnitLoad second = load_text(printed, name);
  if (!second.unit) return "the printed unit does not load:\n" + printed + listing(second.diagnostics);
  if (*second.unit != *first.unit)
    return "the printed unit is another one:\n" + printed + "\nand then\n" + print_unit(*second.unit);
  if (print_unit(*second.unit) != printed) return "the printed unit prints otherwise:\n" + printed;
  if (difference(*first.unit, *second.unit) != UnitDifference{}) return "equal units differ:\n" + printed;
  return "";
}

}  // namespace gitproc
