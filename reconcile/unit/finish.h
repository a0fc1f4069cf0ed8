// What can be judged and decided only when all assignments of a unit are read. Private to this room.
#pragma once

#include <string>

#include "reconcile/unit/draft.h"

namespace gitproc {

// Fills in what depends on other settings, checks the unit as a whole (reports), and brings its lists into
// their fixed order. `main_path` is the file that a fault of the whole unit is reported for.
void finish_unit(Draft& draft, const std::string& main_path);

}  // namespace gitproc
