// The version of agent and command line, which are one binary.
#pragma once

#include <string_view>

namespace gitproc {

// As the project() line of CMakeLists.txt says; a test compares the two.
inline constexpr std::string_view program_version = "0.1.0";

}  // namespace gitproc
