// What systemd 252 knows and GitProc does not act on: so that a warning can tell a directive that has no
// effect here from one that nobody knows.
#pragma once

#include <string_view>
#include <vector>

namespace gitproc {

enum class DirectiveFate {
  acted_on,      // in the table of directives.h
  no_effect,     // accepted without a word: it says nothing that a service here could miss
  not_acted_on,  // a warning names it
  unknown,
};

DirectiveFate fate_of(std::string_view section, std::string_view key);

bool is_known_section(std::string_view section);

// All names that a section knows, for suggestions.
const std::vector<std::string_view>& known_keys(std::string_view section);
// The sections of a service's unit file.
const std::vector<std::string_view>& known_sections();

}  // namespace gitproc
