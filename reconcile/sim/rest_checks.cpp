// When the world has come to rest.
#include <algorithm>

#include "reconcile/sim/checks.h"

namespace gitproc::sim {
namespace {}  // namespace

void Checks::at_rest(const Rest& rest) {
  const DurableState& disk = rest.disk;
  if (rest.reconciler.durable() != disk) fail("at rest, but what is on disk is not what is known");
  if (!unanswered_.empty()) fail("never answered: " + unanswered_.begin()->second);
  for (const HistoryEntry& entry : disk.history) {
    if (entry.outcome == Outcome::progressing)
      fail("the history says for ever that " + entry.subject + " is progressing");
  }

  const ObjectId target = disk.pin ? disk.pin->commit : rest.tip;
  bool is_rejected = repository_.at(target).is_broken || is_refused(target, disk.pin ? "" : rest.branch);
  std::optional<Hold> hold = rest.reconciler.node().hold;
  if (hold && hold->kind == "prune" && (disk.pin || hold->commit != rest.tip || !has_guard_))
    fail("held is what nobody has to approve");
  bool is_going_back = !disk.pin && disk.retreat && disk.applied != target;
  bool is_denied = !disk.pin && !is_rejected && disk.applied != target &&
                   (find_denied(target) != nullptr || (disk.retreat && disk.retreat->from == target));
  if (!is_rejected && !is_denied && !hold && disk.applied != target) fail("the target is not applied");
  if (is_going_back && disk.applied != disk.retreat->to)
    fail("the node has not gone back to what was healthy");
  if (disk.trial && !disk.pin) fail("a trial has no end");
  if (!disk.pin && disk.applied && find_denied(*disk.applied) != nullptr && !disk.retreat)
    fail("the node stays on what failed");

  auto marker = [&](Marker which) {
    auto found = rest.markers.find(which);
    return found == rest.markers.end() ? std::nullopt : std::optional(found->second);
  };
  // Nobody tells the agent that the clock was set.
  constexpr Duration look = std::chrono::minutes(2);
  if (disk.pin && disk.pin->until && *disk.pin->until + look < rest.now) fail("a pin outlives its time");
  check_verified(rest);
  if (marker(Marker::applied) != disk.applied) fail("refs/gitproc/applied is not the applied commit");
  std::optional<ObjectId> pinned = disk.pin ? std::optional(disk.pin->commit) : std::nullopt;
  if (marker(Marker::pinned) != pinned) fail("refs/gitproc/pinned is not the pinned commit");
  if (disk.healthy && marker(Marker::healthy) != disk.healthy)
    fail("refs/gitproc/healthy is not the healthy commit");
  if (marker(Marker::healthy) && !has_lost_state_) {
    // An agent that was killed may have set it before its history was on disk.
    bool was_applied = std::ranges::any_of(disk.history, [&](const HistoryEntry& entry) {
      return entry.commit == *marker(Marker::healthy) && entry.outcome != Outcome::rejected;
    });
    if (!was_applied) fail("refs/gitproc/healthy is no commit that was applied");
  }

  if (disk.applied) {
    check_running_set(rest, repository_.at(*disk.applied).units);
  }
  check_words(rest, is_rejected, is_denied);
}

// What is taken for verified was found good, and the ref shows the last of it.
void Checks::check_verified(const Rest& rest) {
  if (rest.disk.verified.empty()) return;
  for (const VerifiedCommit& known : rest.disk.verified) {
    auto verdict = judged_.find({known.commit, known.branch});
    if (verdict == judged_.end()) fail("a commit counts as verified that was not judged");
  }
  auto shown = rest.markers.find(Marker::verified);
  if (shown == rest.markers.end() || shown->second != rest.disk.verified.back().commit)
    fail("refs/gitproc/verified is not the newest verified commit");
}

// Active, with a process or without.
bool Checks::is_running(const std::string& name) const {
  if (machine_.service_process(name) != nullptr) return true;
  const AdoptedService* record = journal_.find(name);
  return record != nullptr && record->was_started && !record->latch;
}

// What git and the operator want running.
std::set<std::string> Checks::wanted(const UnitMap& units, const DurableState& disk) const {
  std::set<std::string> names;
  for (const auto& [name, unit] : units) {
    bool is_wanted = unit->is_desired_running || disk.operator_starts.contains(name);
    if (is_wanted && !disk.holds.contains(name)) names.insert(name);
  }
  return names;
}

// What is to run for others: what those who have started since pulled in, or who wait for it yet.
std::set<std::string> Checks::pulled(const UnitMap& units, const DurableState& disk) const {
  std::set<std::string> names, are_wanted = wanted(units, disk);
  auto pull = [&](const std::string& name) {
    bool is_pulled = units.contains(name) && !disk.holds.contains(name) && !has_rivals(name);
    return is_pulled && names.insert(name).second;
  };
  for (const std::string& name : pulled_)
    pull(name);
  for (bool is_news = true; is_news;) {
    is_news = false;
    for (const auto& [name, unit] : units) {
      bool is_to_run = are_wanted.contains(name) || names.contains(name);
      bool waits = is_to_run && !is_running(name) && !is_latched_well(name) && !is_failed(name);
      if (!waits) continue;
      for (const std::string& other : pulled_by(*unit))
        is_news = pull(other) || is_news;
    }
  }
  return names;
}

// Whether a service has to wait for others that do not come.
bool Checks::is_blocked(const Unit& unit, const UnitMap& units, const DurableState& disk) const {
  const Dependencies& on = *unit.dependencies;
  auto is_held = [&](const std::string& other) { return disk.holds.contains(other); };
  for (const auto* list : {&on.requires_, &on.requisite, &on.binds_to}) {
    for (const std::string& other : *list) {
      bool is_satisfied = is_running(other) || (list != &on.binds_to && is_latched_well(other));
      if (!is_satisfied || is_held(other)) return true;
    }
  }
  if (std::ranges::any_of(on.part_of, is_held)) return true;
  for (const auto& [name, other] : units) {
    bool is_conflict = contains(on.conflicts, name) || contains(other->dependencies->conflicts, unit.name);
    if (is_conflict && is_running(name)) return true;
  }
  return false;
}

bool Checks::has_seen(const std::vector<WatchedPath>& seen, const Unit& unit) {
  if (unit.commands(ExecPhase::reload).empty()) return true;
  return std::ranges::none_of(*unit.watched, [&](const WatchedPath& watched) {
    auto known = std::ranges::find(seen, watched.path, &WatchedPath::path);
    return known != seen.end() && known->restarts == watched.restarts && known->content != watched.content;
  });
}

void Checks::check_running_set(const Rest& rest, const UnitMap& units) {
  for (const Process& process : machine_.processes()) {
    bool is_service = process.is_service();
    if (is_service && !units.contains(process.service)) fail(process.service + " is in no commit, but runs");
  }
  for (const auto& [name, start] : rest.disk.operator_starts) {
    auto unit = units.find(name);
    if (unit == units.end() || unit->second->fingerprint != start.fingerprint)
      fail("the start of " + name + " by an operator outlives its unit");
  }
  std::set<std::string> are_wanted = wanted(units, rest.disk), are_pulled = pulled(units, rest.disk);
  for (const auto& [name, unit] : units) {
    bool runs = is_running(name);
    const AdoptedService* record = journal_.find(name);
    bool is_latched = is_latched_well(name) || is_failed(name);
    if (runs && rest.disk.holds.contains(name)) fail(name + " is held, but runs");
    // Who was pulled in by another one stays, as with systemd.
    bool may_run = are_wanted.contains(name) || was_pulled_.contains(name) || find(name)->is_adopted;
    if (runs && !may_run) fail(name + " runs, although nobody wants it");
    bool is_to_run = are_wanted.contains(name) || are_pulled.contains(name);
    if (!runs && is_to_run && !is_latched && !is_blocked(*unit, units, rest.disk)) {
      auto view = rest.reconciler.service(name);
      fail(name + " is wanted and nothing hinders it, but it does not run" +
           (view ? ": " + std::string(to_string(view->state)) + ", " + view->reason : ""));
    }
    if (runs && record && record->fingerprint != unit->fingerprint && !unfit_.contains(name)) {
      fail(name + " runs another unit than the applied commit's");
    }
    if (!runs) continue;
    bool is_own = record && record->fingerprint == unit->fingerprint;
    if (is_own && machine_.service_process(name) && machine_.limits(name) != *unit->resources)
      fail(name + " runs with other limits than the applied commit's");
    const Facts* service = find(name);
    if (is_own && machine_.service_process(name) && service && !has_seen(service->seen, *unit))
      fail(name + " was not reloaded");
    // A relation that came while it ran stops nobody, as with systemd.
    bool was_so =
        service && service->unit && !service->is_related_anew &&
        *service->unit->dependencies == *unit->dependencies &&
        std::ranges::all_of(loaded_, [&](const Commit* commit) {
          auto known = commit->units.find(name);
          return known != commit->units.end() && *known->second->dependencies == *unit->dependencies;
        });
    const Dependencies& on = *unit->dependencies;
    for (const auto* list : {&on.requires_, &on.requisite, &on.binds_to, &on.part_of}) {
      for (const std::string& other : *list) {
        bool is_held = units.contains(other) && rest.disk.holds.contains(other);
        if (was_so && is_held) fail(name + " runs, although " + other + " is held");
      }
    }
    for (const std::string& other : on.binds_to) {
      if (was_so && !is_running(other))
        fail(name + " runs, although it is bound to " + other + ", which does not");
    }
    for (const std::string& other : on.conflicts) {
      if (was_so && units.contains(other) && is_running(other))
        fail(name + " and " + other + " conflict, but both run");
    }
    bool is_old = record && record->fingerprint != unit->fingerprint;
    if (rest.is_after_sync && is_old) fail(name + " was not tried again by sync");
  }
}

void Checks::check_words(const Rest& rest, bool is_rejected, bool is_denied) {
  NodeView node = rest.reconciler.node();
  // What is refused even by name is refused as a tip, too.
  bool is_tip_rejected =
      repository_.at(rest.tip).is_broken || is_refused(rest.tip, rest.branch) || is_refused(rest.tip, "");
  bool is_anything_bad = false;
  std::string which;
  if (rest.disk.applied) {
    const UnitMap& units = repository_.at(*rest.disk.applied).units;
    for (const std::string& name : wanted(units, rest.disk)) {
      bool is_missing = !is_running(name) && !is_latched_well(name);
      const AdoptedService* record = journal_.find(name);
      bool is_old = record && record->fingerprint != units.at(name)->fingerprint;
      if (is_missing || is_old) which = name;
    }
    // Who is not wanted for itself may be for another.
    is_anything_bad = !which.empty() || std::ranges::any_of(units, [&](const auto& entry) {
      bool is_missing = !is_running(entry.first) && !is_latched_well(entry.first);
      const Facts* service = find(entry.first);
      bool may_lack_reload = service != nullptr && service->may_lack_reload;
      return is_failed(entry.first) || unfit_.contains(entry.first) || may_lack_reload ||
             (is_missing && was_pulled_.contains(entry.first));
    });
  }
  switch (node.sync) {
    case SyncState::synced:
      if (is_rejected || is_denied) fail("synced, but the target was refused");
      if (!which.empty()) fail("synced, but " + which + " is not as it should be");
      return;
    case SyncState::degraded:
      if (!is_anything_bad) fail("degraded without a reason: " + node.error);
      if (node.error.empty()) fail("degraded, and does not say why");
      return;
    case SyncState::rejected:
      if (!is_rejected && !is_tip_rejected && !is_denied) fail("rejected, but the target is valid");
      return;
    case SyncState::progressing: fail("progressing for ever"); return;
    case SyncState::held:
      if (!node.hold) fail("held, but by nobody");
      return;
    case SyncState::error: fail("error at rest: " + node.error); return;
  }
  __builtin_unreachable();
}

}  // namespace gitproc::sim
