// One seed, one world, one verdict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gitproc::sim {

struct Verdict {
  std::string failure;           // "" when nothing was wrong
  std::uint64_t trace_hash = 0;  // of all that happened; equal for equal seeds
  std::uint64_t steps = 0;
  std::vector<std::string> words;  // the last of what happened, where it was asked for
};

Verdict simulate(std::uint64_t seed, bool keeps_words = false);

}  // namespace gitproc::sim
