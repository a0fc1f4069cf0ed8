#include "reconcile/base/cut.h"

#include <algorithm>
#include <cstdint>

namespace gitproc {

std::string_view cut_at_character(std::string_view text, std::size_t limit) {
  constexpr std::size_t longest = 4;
  text = text.substr(0, limit);
  for (std::size_t back = 1; back <= std::min(longest, text.size()); ++back) {
    auto byte = static_cast<std::uint8_t>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return back < length ? text.substr(0, text.size() - back) : text;
  }
  return text;
}

}  // namespace gitproc
