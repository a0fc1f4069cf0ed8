#include "reconcile/sim/simulation.h"
#include "testing/catch.h"

using namespace gitproc::sim;

TEST_CASE("the same seed gives the same world, to the last event") {
  for (std::uint64_t seed : {1u, 7u, 9u}) {
    Verdict first = simulate(seed), second = simulate(seed);
    CHECK(first.trace_hash == second.trace_hash);
    CHECK(first.steps == second.steps);
  }
  CHECK(simulate(1).trace_hash != simulate(2).trace_hash);
}
