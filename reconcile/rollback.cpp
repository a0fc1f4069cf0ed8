// Which tip may be applied, and what happens to one that does not get healthy.
//
//   tip loaded -> holds what failed here -> refused (rejected), until its content changes or `sync --retry`
//              -> removes too much       -> held, until `approve`
//              -> else                   -> applied, on trial -> min_healthy_time without a failure: passed
//                                                             -> failed: its content is denied, the node retreats
//
// A retreat is the automatic rollback: the desired state is the last healthy commit as long as the tip is refused.
// Unlike a pin it ends by itself, with the first tip that may be applied. Only what differs from what ran before is
// on trial, and what failed is remembered by content; so there is never more than one retreat for one content.
// Every decision is one change of the durable state: an agent that is killed after it goes on with it.
#include <algorithm>

#include "reconcile/plan/guard.h"
#include "reconcile/state.h"

namespace gitproc {

bool Reconciler::State::is_tip_followed() const {
  return !is_booting && !durable.pin && tip && !is_on_retreat() && target() == tip;
}

// What an automatic rollback went to is wanted, by name, though it may be the tip.
bool Reconciler::State::is_on_retreat() const {
  return !is_booting && !durable.pin && durable.retreat && (!tip || is_refused(*tip));
}

// As the tip, without regard to a pin.
bool Reconciler::State::is_refused(const ObjectId& commit) const {
  if (is_rejected(commit)) return true;
  if (durable.pin) return false;
  bool is_denied =
      (denied && denied->commit == commit) || (durable.retreat && durable.retreat->from == commit);
  return is_denied || (hold && hold->commit == commit);
}

const Hold* Reconciler::State::shown_hold() const {
  return hold && !durable.pin && hold->commit == tip ? &*hold : nullptr;
}

const std::string* Reconciler::State::denial_of_tip() const {
  if (durable.pin || !tip) return nullptr;
  // What the node has gone back to runs, whatever it holds.
  if (durable.retreat && durable.retreat->to == *tip) return nullptr;
  if (denied && denied->commit == *tip) return &denied->message;
  return durable.retreat && durable.retreat->from == *tip ? &durable.retreat->reason : nullptr;
}

// What this node is to run as far as is known.
std::optional<ObjectId> Reconciler::State::desired() const {
  if (durable.pin) return durable.pin->commit;
  if (tip && !is_refused(*tip)) return tip;
  if (durable.retreat) return durable.retreat->to;
  return current ? std::optional(current->id) : durable.applied;
}

// --- admission ---

bool Reconciler::State::admit_tip() {
  if (!current || current->id != loaded->id) {
    if (const Denial* denial = find_denial()) {
      refuse_tip(*denial);
      return false;
    }
    if (std::optional<std::string> why = pruning()) {
      hold_tip({prune_guard_kind, loaded->id, *std::move(why)});
      return false;
    }
  }
  follow_tip();
  return true;
}

void Reconciler::State::follow_tip() {
  if (durable.followed && durable.followed->branch != branch) cause = "switch";
  Followed next{branch, *tip};
  if (durable.followed != next) change_durable().followed = std::move(next);
}

// What was denied and is in the loaded commit.
const Denial* Reconciler::State::find_denial() {
  for (const Denial& denial : durable.denials) {
    auto change = staged.find(denial.service);
    const Service* known = table.find(denial.service);
    UnitPtr unit = change != staged.end() ? change->second : known ? known->desired : nullptr;
    if (unit && unit->fingerprint == denial.fingerprint) return &denial;
  }
  return nullptr;
}

// Why the prune guard holds the loaded tip. To come back to the tip that was followed last, or to go on to another
// branch, is no move of the branch.
std::optional<std::string> Reconciler::State::pruning() {
  if (!options.prune_guard) return std::nullopt;
  const std::optional<Followed>& followed = durable.followed;
  if (followed && (followed->branch != branch || followed->commit == *tip)) return std::nullopt;
  std::vector<std::string> removed;
  std::size_t units = 0;
  if (current) {
    for (const auto& [name, unit] : staged) {
      const Service* service = table.find(name);
      if (!unit && service && service->desired) removed.push_back(name);
    }
    if (removed.size() < 2) return std::nullopt;  // never too many: the others need not be counted
    for (const Service* service : table.by_name())
      units += service->desired ? 1 : 0;
  } else {
    // The commit that ran is not known; what runs is.
    for (const auto& [name, record] : adopted) {
      if (record.latch) continue;
      ++units;
      auto change = staged.find(name);
      if (change == staged.end() || !change->second) removed.push_back(name);
    }
  }
  return prune_guard(units, removed);
}

// The tip is not applied: the node goes on with what it runs. What an earlier agent left is left alone as long as no
// commit says what it is.
void Reconciler::State::stand_still() {
  if (current) end_settling_in();
}

void Reconciler::State::refuse_tip(const Denial& denial) {
  const char* why = cause_of(loaded->id);  // as long as it is not refused
  denied = Refusal{loaded->id, denial.service + " is as in " + denial.commit.abbreviated() +
                                   ", which failed here: " + denial.reason};
  stand_still();
  emit(Announce{"", "rejected", "", "", denied->message, loaded->id});
  auto is_told = [this](const HistoryEntry& entry) {
    return entry.commit == denied->commit && entry.message == denied->message;
  };
  if (std::ranges::any_of(durable.history, is_told)) return;  // by an earlier agent
  record({.commit = loaded->id,
          .subject = loaded->subject,
          .author = loaded->author,
          .at = now.wall,
          .took = std::nullopt,
          .cause = why,
          .outcome = Outcome::rejected,
          .message = denied->message});
}

void Reconciler::State::hold_tip(Hold held) {
  hold = std::move(held);
  stand_still();
  emit(Announce{"", "held", hold->kind, "", hold->message, hold->commit});
}

void Reconciler::State::take(const ApproveRequested& event) {
  const Hold* held = shown_hold();
  bool is_prune = held != nullptr && held->kind == prune_guard_kind;
  // A tip that is named may be approved before it is known whether it would be held.
  bool is_applied = current && current->id == tip;
  bool is_named_tip = event.commit && event.commit == tip && !durable.pin && held == nullptr && !is_applied;
  if (!is_prune && !is_named_tip) {
    refuse(event.request, held != nullptr ? "what is held is not for 'approve' to let go: " + held->message
                                          : "nothing is held");
    return;
  }
  if (event.commit && event.commit != tip) {
    refuse(event.request,
           "cannot approve " + event.commit->abbreviated() + ": held is " + held->commit.abbreviated());
    return;
  }
  follow_tip();
  hold.reset();
  emit(Announce{"", "approved", "", "", "by " + event.by, tip});
  if (event.waits) {
    syncs.push_back({event.request, after(now.instant, options.rollout_deadline), ""});
  } else {
    answer(event.request, "");
  }
}

// --- the trial ---

// `changed_units` is what the commit that begins now changes, with the fingerprints of before. A trial that was not over
// goes on: what an earlier commit changed, and no healthy one has proved, is still to prove itself.
void Reconciler::State::prepare_trial(bool was_booting, bool had_base,
                                      std::map<std::string, std::uint64_t> changed_units) {
  end_trial();
  bool is_proved = durable.healthy == current->id;
  bool is_tried = options.auto_rollback && durable.healthy && !is_proved;
  if (is_tried && !was_booting && had_base && is_tip_followed()) {
    Trial trial = durable.trial.value_or(Trial{});
    trial.commit = current->id;
    trial.changed.merge(
        std::map<std::string, std::uint64_t, std::less<>>(changed_units.begin(), changed_units.end()));
    std::erase_if(trial.changed, [this](const auto& unit) {
      const Service* service = table.find(unit.first);
      return !service || !service->desired || service->desired->fingerprint == unit.second;
    });
    std::optional<Trial> next = trial.changed.empty() ? std::nullopt : std::optional(std::move(trial));
    if (durable.trial != next) change_durable().trial = std::move(next);
  } else if (durable.trial) {
    // What an earlier agent began goes on: this is the commit on trial, or the one that it was to follow.
    bool is_continued = is_tried && (was_booting || durable.trial->commit == current->id);
    if (!is_continued) change_durable().trial.reset();
  }
  begin_trial();
}

void Reconciler::State::begin_trial() {
  // One that is lost goes on only as what is not proved, for the tip that may come before the node has gone back.
  bool is_lost = durable.trial && durable.retreat && durable.retreat->from == durable.trial->commit;
  if (!durable.trial || is_lost) return;
  for (const auto& [name, before] : durable.trial->changed) {
    Service* service = table.find(name);
    if (!service || !service->desired || service->desired->fingerprint == before) continue;
    if (is_denied(*service)) continue;  // once is enough; the commit that comes after it is judged again
    service->is_on_trial = true;
    on_trial.insert(service->id);
    update_trial(*service);
  }
  if (on_trial.empty()) {
    change_durable().trial.reset();  // what is new to it is counted when it comes
  } else {
    trial_deadline = after(now.instant, options.rollout_deadline);
  }
}

// Of a commit that failed, and that the node had no time to leave: 'sync --retry' tries it where it is.
void Reconciler::State::resume_lost_trial() {
  bool is_lost = current && durable.trial && durable.trial->commit == current->id && on_trial.empty();
  if (!is_lost) return;
  outcome = Outcome::progressing;
  begin_trial();
}

bool Reconciler::State::has_held_dependency(const Service& service) const {
  return std::ranges::any_of(*service.out, [this](const Edge& edge) {
    return edge.relations.takes_stops() && durable.holds.contains(table.at(edge.other)->name);
  });
}

bool Reconciler::State::is_denied(const Service& service) const {
  return std::ranges::any_of(durable.denials, [&service](const Denial& denial) {
    return denial.service == service.name && denial.fingerprint == service.desired->fingerprint;
  });
}

void Reconciler::State::end_trial() {
  for (ServiceId id : std::exchange(on_trial, {})) {
    if (Service* service = table.at(id)) service->is_on_trial = false;
  }
  trial_pending.clear();
  trial_failed.clear();
  trial_deadline = trial_passes_at = never;
}

Verdict Reconciler::State::verdict_of(const Service& service) const {
  if (!service.preflight_error.empty() || service.life.last_reload_failed()) return Verdict::failed;
  if (service.stop_mark || service.restart_intent || service.wave) return Verdict::pending;
  if (durable.holds.contains(service.name)) return Verdict::good;  // an operator's wish is no failure
  if (service.latch) return service.latch->kind == LatchKind::failed ? Verdict::failed : Verdict::good;
  if (service.wait == Wait::dependency && has_held_dependency(service)) return Verdict::good;
  const Lifecycle& life = service.life;
  if (life.is_active()) {
    bool is_well = life.health() != HealthState::unhealthy && life.phase() != Phase::reload;
    return is_well ? Verdict::good : Verdict::pending;
  }
  bool is_down_as_wanted = life.is_down() && life.phase() != Phase::backoff && !wants_running(service);
  return is_down_as_wanted ? Verdict::good : Verdict::pending;
}

void Reconciler::State::update_trial(Service& service) {
  if (!service.is_on_trial) return;
  Verdict verdict = verdict_of(service);
  if (verdict != Verdict::good) trial_passes_at = never;
  verdict == Verdict::good ? (void)trial_pending.erase(service.id) : (void)trial_pending.insert(service.id);
  verdict == Verdict::failed ? (void)trial_failed.insert(service.id) : (void)trial_failed.erase(service.id);
}

void Reconciler::State::check_trial() {
  if (!is_trial_watched()) return;
  if (!trial_failed.empty()) return fail_trial(trial_failed);
  if (!trial_pending.empty()) {
    if (now.instant < trial_deadline) return;
    // Who only waits is not what failed, unless nobody else did.
    ServiceSet culprits;
    for (ServiceId id : trial_pending) {
      if (table.at(id)->wait == Wait::none) culprits.insert(id);
    }
    return fail_trial(culprits.empty() ? trial_pending : culprits);
  }
  // All are well now. A time that began before the deadline may come to its end.
  if (trial_passes_at == never) {
    trial_passes_at = after(now.instant, options.min_healthy_time);
  } else if (now.instant >= trial_passes_at) {
    pass_trial();
  }
}

void Reconciler::State::pass_trial() {
  end_trial();
  if (durable.trial) change_durable().trial.reset();
}

void Reconciler::State::fail_trial(const ServiceSet& culprits) {
  std::string reason = describe(culprits);
  DurableState& state = change_durable();
  for (ServiceId id : culprits) {
    const Service& service = *table.at(id);
    state.denials.push_back({.service = service.name,
                             .fingerprint = service.desired->fingerprint,
                             .commit = current->id,
                             .at = now.wall,
                             .reason = describe({id})});
  }
  if (state.denials.size() > denial_limit)
    state.denials.erase(state.denials.begin(), state.denials.end() - denial_limit);
  state.retreat = Retreat{.to = *state.healthy, .from = current->id, .at = now.wall, .reason = reason};
  end_trial();
  healthy_at = never;
  outcome = Outcome::rolled_back;
  if (HistoryEntry* entry = history_of_current()) {
    entry->outcome = outcome;
    entry->message = reason;
  }
  emit(Announce{"", "rolled-back", current->id.abbreviated(), state.retreat->to.abbreviated(), reason,
                current->id});
  // With the decision, so that the history knows of it whatever happens to the agent before it is carried out.
  HistoryEntry back{.commit = state.retreat->to,
                    .subject = "",
                    .author = "",
                    .at = now.wall,
                    .took = std::nullopt,
                    .cause = "auto-rollback",
                    .outcome = Outcome::progressing,
                    .message = ""};
  auto known = std::find_if(state.history.rbegin(), state.history.rend(),
                            [&back](const HistoryEntry& entry) { return entry.commit == back.commit; });
  if (known != state.history.rend()) {
    back.subject = known->subject;
    back.author = known->author;
  }
  record(std::move(back));
  is_target_news = true;
}

void Reconciler::State::drop_retreat() {
  if (!durable.retreat) return;
  supersede_retreat();
  change_durable().retreat.reset();
}

// Its entry of the history is older than its beginning, so nothing else ends it.
void Reconciler::State::supersede_retreat() {
  if (!durable.retreat || (current && current->id == durable.retreat->to)) return;
  for (HistoryEntry& entry : change_durable().history) {
    bool is_unfinished = entry.commit == durable.retreat->to && entry.outcome == Outcome::progressing;
    if (is_unfinished) entry.outcome = Outcome::superseded;
  }
}

// What became healthy after all, by an operator's rollback to it, is not denied any more.
void Reconciler::State::clear_denials_of_current() {
  auto is_in_current = [this](const Denial& denial) {
    const Service* service = table.find(denial.service);
    return service && service->desired && service->desired->fingerprint == denial.fingerprint;
  };
  if (std::erase_if(durable.denials, is_in_current) == 0) return;
  ++durable_version;
  if (durable.retreat && durable.retreat->from == current->id) drop_retreat();
  denied.reset();
  is_target_news = true;  // the tip may hold it, too
}

bool Reconciler::State::is_trial_watched() const {
  return !on_trial.empty() && !is_settling_in && !is_shutting_down && !durable.pin;
}

Instant Reconciler::State::trial_due() const {
  if (!is_trial_watched()) return never;
  return trial_pending.empty() ? trial_passes_at : trial_deadline;
}

// An automatic rollback that has not come to its end.
bool Reconciler::State::is_returning() const {
  if (!durable.retreat || target() != durable.retreat->to) return false;
  return !current || current->id != durable.retreat->to || is_applying || !in_motion.empty();
}

// "removes a, b", for the rollouts that no guard holds; "" when nothing goes.
std::string Reconciler::State::removed_by_rollout() {
  std::vector<std::string> removed;
  for (const auto& [name, unit] : staged) {
    const Service* service = table.find(name);
    if (!unit && service && service->desired) removed.push_back(name);
  }
  return removed.empty() ? "" : "removes " + list_of_names(removed);
}

}  // namespace gitproc
