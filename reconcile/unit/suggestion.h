// "did you mean": the known word that somebody who mistyped most likely meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gitproc {

// The candidate with the fewest single-character edits from `word`, if there are few enough for its length;
// "" otherwise. Upper and lower case count as equal. Candidates are views of static text.
std::string_view closest(std::string_view word, const std::vector<std::string_view>& candidates);

// " (did you mean 'X'?)", or "" when nothing is close.
std::string suggestion(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace gitproc
