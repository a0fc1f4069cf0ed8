// What others and a changed unit do to a service: it is started for those that require or want it, and is not stopped for
// a unit that was not tried, or could not start.
#include <algorithm>

#include "reconcile/sim/checks.h"

namespace gitproc::sim {
namespace {

bool is_rival(const Commit& commit, const std::string& name) {
  return std::ranges::any_of(commit.units, [&](const auto& entry) {
    const std::vector<std::string>& conflicts = entry.second->dependencies->conflicts;
    return entry.first == name ? !conflicts.empty() : contains(conflicts, name);
  });
}

bool is_desired(const Commit& commit, const std::string& name) {
  UnitPtr unit = find_unit(commit, name);
  return unit && unit->is_desired_running;
}

bool takes_no_stops(const Commit& commit, const std::string& name) {
  const Dependencies& on = *find_unit(commit, name)->dependencies;
  return on.requires_.empty() && on.requisite.empty() && on.binds_to.empty() && on.part_of.empty();
}

}  // namespace

// --- a changed unit is tried before what runs is stopped ---

void Checks::preflight_asked(const Preflight& preflight, Instant now) {
  Facts& service = facts(preflight.unit->name);
  service.preflight_asked_at = now;
  service.checked = preflight.unit->fingerprint;
}

void Checks::preflight_told(const std::string& name, const std::string& error) {
  unfit_.erase(name);
  if (!error.empty()) unfit_.emplace(name, facts(name).preflight_asked_at);
}

void Checks::check_preflight(const std::string& name) {
  if (auto unfit = unfit_.find(name); unfit != unfit_.end()) {
    Instant asked_at = unfit->second;
    // Others may have come to their turn since without anything having been told: those that are restarted.
    auto has_other_cause = [&](const std::string& each) {
      const Facts* service = find(each);
      bool was_touched = service == nullptr || service->touched_at >= asked_at;
      if (each == name || was_touched) return was_touched;
      return !service->is_up || service->started_at >= asked_at || has_cause(each, never);
    };
    if (!is_explained(name, has_other_cause)) fail(name + " is stopped for a unit that could not start");
  }
  const Facts& service = facts(name);
  // What an operator asked for goes on, whatever comes meanwhile: "restart i".
  bool is_asked_for =
      std::ranges::any_of(unanswered_, [&](const auto& each) { return each.second.ends_with(" " + name); });
  bool is_for_commit =
      service.is_touched_by_commit && !is_asked_for && !service.is_adopted && !service.is_unknown;
  if (!is_for_commit || !applying_ || loaded_.empty()) return;
  bool is_on_its_own = std::ranges::all_of(loaded_, [&](const Commit* commit) {
    return is_desired(*commit, name) && takes_no_stops(*commit, name) && !is_rival(*commit, name);
  });
  const AdoptedService* record = journal_.find(name);
  UnitPtr unit = find_unit(repository_.at(*applying_), name);
  bool is_other_unit = is_on_its_own && record && unit && record->fingerprint != unit->fingerprint;
  if (!is_other_unit) return;
  // A newer commit may have come after it was tried.
  bool was_tried =
      service.checked != record->fingerprint && std::ranges::any_of(loaded_, [&](const Commit* commit) {
        return find_unit(*commit, name)->fingerprint == service.checked;
      });
  if (!was_tried) fail(name + " is stopped for a unit that was not tried");
}

// --- who is started for others ---

std::vector<std::string> Checks::pulled_by(const Unit& unit) {
  std::vector<std::string> names;
  const Dependencies& on = *unit.dependencies;
  for (const auto* list : {&on.requires_, &on.binds_to, &on.wants})
    names.insert(names.end(), list->begin(), list->end());
  return names;
}

// Somebody else may have displaced it, or do so.
bool Checks::has_rivals(const std::string& name) const {
  return std::ranges::any_of(loaded_, [&](const Commit* commit) { return is_rival(*commit, name); });
}

// By what starts now, of what runs only for others by all commits that may count at present.
void Checks::pull_in(const Unit& unit) {
  for (const std::string& other : pulled_by(unit)) {
    bool is_only_for_others = std::ranges::all_of(loaded_, [&](const Commit* commit) {
      return commit->units.contains(other) && !is_desired(*commit, other);
    });
    if (is_only_for_others && !loaded_.empty() && !has_rivals(other)) pulled_.insert(other);
  }
}

void Checks::forget_pulled(const Commit& loaded) {
  std::erase_if(pulled_, [&](const std::string& name) {
    return !loaded.units.contains(name) || is_desired(loaded, name) || is_rival(loaded, name);
  });
}

}  // namespace gitproc::sim
