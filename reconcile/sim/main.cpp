// gitproc_sim: simulates worlds and says which seeds found something wrong.
//
//   gitproc_sim [--seeds N] [--first SEED] [--seed S] [--kept FILE] [--verbose]
//
// Exit status: 0 nothing found, 1 something found, 2 usage.
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/numbers.h"
#include "reconcile/sim/simulation.h"

namespace {

using gitproc::sim::simulate;
using gitproc::sim::Verdict;

struct Arguments {
  std::uint64_t seeds = 1000;
  std::uint64_t first = 1;
  std::optional<std::uint64_t> only;
  std::string kept;
  bool is_verbose = false;
};

std::optional<Arguments> parse(int count, char** words) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    std::string_view word = words[i];
    if (word == "--verbose") {
      arguments.is_verbose = true;
      continue;
    }
    if (i + 1 == count) return std::nullopt;
    std::string_view value = words[++i];
    if (word == "--kept") {
      arguments.kept = value;
      continue;
    }
    std::optional<std::uint64_t> number = gitproc::parse_number<std::uint64_t>(value);
    if (!number) return std::nullopt;
    if (word == "--seeds") {
      arguments.seeds = *number;
    } else if (word == "--first") {
      arguments.first = *number;
    } else if (word == "--seed") {
      arguments.only = number;
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

// Seeds that once found something: one on each line, "#" begins a comment.
std::vector<std::uint64_t> kept_seeds(const std::string& path) {
  std::vector<std::uint64_t> seeds;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    line = line.substr(0, line.find_first_of("# \t"));
    if (std::optional<std::uint64_t> seed = gitproc::parse_number<std::uint64_t>(line))
      seeds.push_back(*seed);
  }
  return seeds;
}

bool is_found_wrong(std::uint64_t seed, bool is_verbose) {
  Verdict verdict = simulate(seed, is_verbose);
  if (verdict.failure.empty() && !is_verbose) return false;
  // Only who failed is played again with words: they cost time.
  if (!is_verbose) verdict = simulate(seed, true);
  for (const std::string& words : verdict.words)
    std::printf("  %s\n", words.c_str());
  std::fflush(stdout);
  std::printf("seed %llu: %s (%llu steps, trace %016llx)\n", static_cast<unsigned long long>(seed),
              verdict.failure.empty() ? "nothing wrong" : verdict.failure.c_str(),
              static_cast<unsigned long long>(verdict.steps),
              static_cast<unsigned long long>(verdict.trace_hash));
  return !verdict.failure.empty();
}

}  // namespace

int main(int count, char** words) {
  std::optional<Arguments> arguments = parse(count, words);
  if (!arguments) {
    std::fprintf(stderr,
                 "usage: gitproc_sim [--seeds N] [--first SEED] [--seed S] [--kept FILE] [--verbose]\n");
    return 2;
  }
  std::vector<std::uint64_t> seeds;
  if (!arguments->kept.empty()) seeds = kept_seeds(arguments->kept);
  if (arguments->only) {
    seeds = {*arguments->only};
  } else {
    for (std::uint64_t i = 0; i < arguments->seeds; ++i)
      seeds.push_back(arguments->first + i);
  }
  std::uint64_t failed = 0;
  for (std::uint64_t seed : seeds)
    failed += is_found_wrong(seed, arguments->is_verbose) ? 1 : 0;
  std::printf("%zu seeds, %llu found something wrong\n", seeds.size(),
              static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}
