#include "reconcile/durable.h"

namespace gitproc {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::progressing: return "progressing";
    case Outcome::healthy: return "healthy";
    case Outcome::degraded: return "degraded";
    case Outcome::superseded: return "superseded";
    case Outcome::rejected: return "rejected";
  }
  __builtin_unreachable();
}

std::optional<Outcome> parse_outcome(std::string_view word) {
  for (Outcome outcome :
       {Outcome::progressing, Outcome::healthy, Outcome::degraded, Outcome::superseded, Outcome::rejected}) {
    if (to_string(outcome) == word) return outcome;
  }
  return std::nullopt;
}

std::optional<DurableState> left_by_clone(const DurableState& state, const std::string& machine) {
  bool is_known = !state.machine.empty() && !machine.empty();
  if (!is_known || state.machine == machine) return std::nullopt;
  DurableState left;
  left.applied = state.applied;
  left.verified = state.verified;
  left.machine = machine;
  return left;
}

}  // namespace gitproc
