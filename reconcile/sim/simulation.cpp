#include "reconcile/sim/simulation.h"

#include "reconcile/sim/world.h"

namespace gitproc::sim {

Verdict simulate(std::uint64_t seed, bool keeps_words) {
  World world(seed, keeps_words);
  Verdict verdict;
  verdict.failure = world.run();
  verdict.trace_hash = world.trace().hash();
  verdict.steps = world.steps();
  verdict.words.assign(world.trace().words().begin(), world.trace().words().end());
  return verdict;
}

}  // namespace gitproc::sim
