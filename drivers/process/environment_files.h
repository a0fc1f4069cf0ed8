// EnvironmentFile=: read anew at every exec, so that an edit takes effect with the next restart.
#pragma once

#include <vector>

#include "reconcile/base/error.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

inline constexpr std::size_t max_environment_file_bytes = 1u << 20;
inline constexpr std::size_t max_environment_files = 256;  // that one pattern may match

// All variables in order, later files last. A path may be a glob(7) pattern, its matches are read in the order of
// their names. Errors: a file that is missing and not optional ("-"), cannot be read, is too large or invalid.
Result<std::vector<EnvironmentVariable>> read_environment_files(const std::vector<EnvironmentFile>& files);

// The paths that match a pattern (its own, where it is none and exists), in the order of their names.
std::vector<std::string> match_paths(const std::string& pattern);

}  // namespace gitproc
