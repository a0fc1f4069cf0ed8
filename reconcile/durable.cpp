#include "reconcile/durable.h"

#include <algorithm>
#include <utility>

namespace gitproc {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::progressing: return "progressing";
    case Outcome::healthy: return "healthy";
    case Outcome::degraded: return "degraded";
    case Outcome::superseded: return "superseded";
    case Outcome::rejected: return "rejected";
    case Outcome::rolled_back: return "rolled-back";
  }
  __builtin_unreachable();
}

std::optional<Outcome> parse_outcome(std::string_view word) {
  for (Outcome outcome : {Outcome::progressing, Outcome::healthy, Outcome::degraded, Outcome::superseded,
                          Outcome::rejected, Outcome::rolled_back}) {
    if (to_string(outcome) == word) return outcome;
  }
  return std::nullopt;
}

void append_history(std::vector<HistoryEntry>& history, HistoryEntry entry) {
  bool is_rejected = entry.outcome == Outcome::rejected;
  auto is_alike = [is_rejected](const HistoryEntry& known) {
    return (known.outcome == Outcome::rejected) == is_rejected;
  };
  history.push_back(std::move(entry));
  auto alike = static_cast<std::size_t>(std::ranges::count_if(history, is_alike));
  if (alike > (is_rejected ? rejected_history_limit : history_limit))
    history.erase(std::ranges::find_if(history, is_alike));
}

std::optional<DurableState> left_by_clone(const DurableState& state, const std::string& machine) {
  bool is_known = !state.machine.empty() && !machine.empty();
  if (!is_known || state.machine == machine) return std::nullopt;
  DurableState left;
  left.applied = state.applied;
  left.healthy = state.healthy;
  left.remote_base = state.remote_base;
  left.follows_imports = state.follows_imports;
  left.verified = state.verified;
  left.machine = machine;
  return left;
}

}  // namespace gitproc
