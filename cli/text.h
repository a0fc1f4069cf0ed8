// Text as it is shown to a person. What a service, a repository or the agent says may hold escape sequences that
// would move the cursor or retitle the window; nothing reaches a terminal but through for_terminal().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gitproc {

// Control characters (C0 but tabs, DEL, C1) and bytes that are no UTF-8 as \xHH.
std::string for_terminal(std::string_view text);

// Columns that UTF-8 text takes, one for each character; combining marks and wide characters are not looked for.
std::size_t width_of(std::string_view text);

// Padded with blanks on the right to `width` columns; longer text stays as it is.
std::string padded(std::string_view text, std::size_t width);

// "0123456789ab": the first 12 digits of a hash.
std::string short_commit(std::string_view hash);

// "17B", "5.1M", "2.0G": powers of 1024, as ls -h.
std::string human_bytes(std::uint64_t bytes);

// "1 commit", "3 commits"
std::string counted(std::uint64_t count, std::string_view noun);

}  // namespace gitproc
