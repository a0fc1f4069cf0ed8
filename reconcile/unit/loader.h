// From the text of a unit file and its drop-ins to a Unit, with every mistake of all of them in one pass.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/diagnostic.h"
#include "reconcile/base/object_id.h"
#include "reconcile/unit/specifiers.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// One file as it was read: hostile until parsed. Bounds: a file larger than max_unit_file_bytes or with more
// than max_unit_file_lines lines is one error, not parsed further.
struct SourceText {
  std::string path;
  ObjectId blob;
  std::string text;
};
inline constexpr std::size_t max_unit_file_bytes = 1u << 20;
inline constexpr unsigned max_unit_file_lines = 20'000;

struct UnitLoad {
  UnitPtr unit;  // null when there is an error
  Diagnostics diagnostics;
  std::string node_selector;         // NodeSelector=, "" matches all; its syntax was checked
  std::vector<std::string> aliases;  // [Install] Alias=, without ".service"
};

// `sources`: the unit file, then its drop-ins in the order they apply. `name` without ".service"; for a
// template's instance it is the instance's name. The watched paths' contents are left empty and fingerprint
// is not set: the Catalog fills both in.
UnitLoad load_unit(std::string_view name, const std::vector<SourceText>& sources,
                   const SpecifierContext& machine);

// A canonical unit file with the same meaning: what was set, resolved, in a fixed order. Loading it again
// gives an equal Unit (but for sources).
std::string print_unit(const Unit& unit);

}  // namespace gitproc
