#include <fstream>
#include <sstream>
#include <string>

#include "reconcile/sim/simulation.h"
#include "testing/catch.h"

using namespace gitproc::sim;

namespace {

void check_seed(std::uint64_t seed) {
  INFO("play it again: gitproc_sim --verbose --seed " << seed);
  CHECK(simulate(seed).failure == "");
}

}  // namespace

TEST_CASE("the same seed gives the same world, to the last event") {
  for (std::uint64_t seed : {1u, 7u, 9u}) {
    Verdict first = simulate(seed), second = simulate(seed, true);
    CHECK(first.trace_hash == second.trace_hash);
    CHECK(first.steps == second.steps);
    CHECK(first.words.empty());
    CHECK_FALSE(second.words.empty());
  }
  CHECK(simulate(1).trace_hash != simulate(2).trace_hash);
}

TEST_CASE("some hundred worlds: with faults nothing forbidden happens, and without they come to rest") {
  for (std::uint64_t seed = 1; seed <= 800; ++seed)
    check_seed(seed);
}

TEST_CASE("worlds that once found something do so no more") {
  std::ifstream file(std::string(GITPROC_SOURCE_DIR) + "/reconcile/sim/seeds.txt");
  REQUIRE(file);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::uint64_t seed = 0;
    if (words >> seed) check_seed(seed);
  }
}
