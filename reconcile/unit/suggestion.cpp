#include "reconcile/unit/suggestion.h"

#include <algorithm>
#include <array>

namespace gitproc {
namespace {

// Longer words than any directive's name are not worth a comparison.
constexpr std::size_t max_word_bytes = 48;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Insertions, deletions, replacements and swaps of neighbours (the restricted Damerau-Levenshtein distance);
// `enough` or more as soon as it cannot be less.
unsigned edit_distance(std::string_view a, std::string_view b, unsigned enough) {
  std::array<std::array<unsigned, max_word_bytes + 1>, 3> rows{};
  for (unsigned j = 0; j <= b.size(); ++j)
    rows[0][j] = j;
  unsigned least_above = 0;
  for (unsigned i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& two_above = rows[(i + 1) % 3];
    row[0] = i;
    unsigned least = i;
    for (unsigned j = 1; j <= b.size(); ++j) {
      const bool is_equal = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (is_equal ? 0 : 1)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1])) {
        row[j] = std::min(row[j], two_above[j - 2] + 1);
      }
      least = std::min(least, row[j]);
    }
    // Every later row grows from the last two.
    if (least >= enough && least_above >= enough) return enough;
    least_above = least;
  }
  return rows[a.size() % 3][b.size()];
}

}  // namespace

std::string_view closest(std::string_view word, const std::vector<std::string_view>& candidates) {
  if (word.empty() || word.size() > max_word_bytes) return {};
  const unsigned most_edits = word.size() <= 3 ? 1 : word.size() <= 8 ? 2 : 3;
  unsigned fewest = most_edits + 1;
  std::string_view best;
  for (std::string_view candidate : candidates) {
    if (candidate.size() > max_word_bytes) continue;
    const std::size_t difference =
        std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size());
    if (difference >= fewest) continue;
    unsigned distance = edit_distance(word, candidate, fewest);
    if (distance < fewest) {
      fewest = distance;
      best = candidate;
    }
  }
  return best;
}

std::string suggestion(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::string_view best = closest(word, candidates);
  return best.empty() ? std::string() : " (did you mean '" + std::string(best) + "'?)";
}

}  // namespace gitproc
