// The one place of the program that reads clocks; everything else is handed a Now.
#pragma once

#include "reconcile/base/time.h"

namespace gitproc {

// CLOCK_BOOTTIME and CLOCK_REALTIME, read one right after the other.
Now read_clocks();

}  // namespace gitproc
