// Text with an end, for what comes from outside and may be long.
#pragma once

#include <string_view>

namespace gitproc {

// The first `limit` bytes of UTF-8, less a character that their end cuts off.
std::string_view cut_at_character(std::string_view text, std::size_t limit);

}  // namespace gitproc
