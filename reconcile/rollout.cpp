// Which commit is wanted, loading it, applying it in waves, and how it went.
//
//   tip or pin -> LoadCommit -> (staged) -> ExportTree -> waves: removed, changed, added -> settled (applied)
//   -> min_healthy_time without a failure (healthy)
//
// A newer target takes over at once: what was staged is merged, what is already done stays done, and the
// comparison is always between what a service runs and what is wanted, never between two commits.
#include <algorithm>

#include "reconcile/plan/guard.h"
#include "reconcile/state.h"
#include "reconcile/unit/change.h"

namespace gitproc {
namespace {

// How many services an outcome names before it says "and N more".
constexpr std::size_t named_services = 5;

// For a service that was started from a unit which nobody knows any more: enough to stop it by.
UnitPtr stand_in(const AdoptedService& record, const Unit* successor) {
  auto unit = std::make_shared<Unit>();
  unit->name = record.name;
  unit->fingerprint = record.fingerprint;
  // With KillMode=control-group: whatever it left behind must end, too.
  if (successor != nullptr) unit->timeouts = successor->timeouts;
  return unit;
}

}  // namespace

std::optional<ObjectId> Reconciler::State::target() const {
  if (is_booting) return boot_commit();
  if (durable.pin) return durable.pin->commit;
  return is_on_retreat() ? durable.retreat->to : tip;
}

// What tells most of what an earlier agent left running.
std::optional<ObjectId> Reconciler::State::boot_commit() const {
  if (durable.applied) return durable.applied;
  // It may have been killed while it applied its first.
  for (auto entry = durable.history.rbegin(); entry != durable.history.rend(); ++entry) {
    if (entry->outcome != Outcome::rejected) return entry->commit;
  }
  return std::nullopt;
}

std::string Reconciler::State::wanted_branch() const {
  bool is_tip = !durable.pin && !is_on_retreat() && target() == tip;
  return is_tip ? tip_branch : "";
}

// What was applied is loaded again at the start, to know what runs; before anything else is made of it, it is judged.
bool Reconciler::State::is_trusted(const ObjectId& commit) const {
  return !options.verifies_signatures || is_booting || is_verified(durable.verified, commit, wanted_branch());
}

bool Reconciler::State::is_rejected(const ObjectId& commit) const {
  if (!rejected || rejected->id != commit) return false;
  // Of what is too old as a tip something else may become by name, or as the tip of another branch.
  bool is_tip = !durable.pin && commit == tip;
  return !options.verifies_signatures || rejected_branch == (is_tip ? tip_branch : "");
}

void Reconciler::State::note_verified(const std::optional<VerifiedCommit>& verified) {
  if (!verified) return;
  remember(change_durable().verified, *verified);
  emit(SetMarker{Marker::verified, verified->commit});
  move_along();
}

// A tip may be on its way yet when something else is wanted.
const char* Reconciler::State::cause_of(const ObjectId& commit) const {
  if (is_booting) return "start";
  if (durable.pin && durable.pin->commit == commit) return "rollback";
  if (is_on_retreat() && durable.retreat->to == commit) return "auto-rollback";
  return cause == "sync" || cause == "switch" ? cause.c_str() : "commit";
}

void Reconciler::State::take(const BranchSwitched& event) {
  DurableState& state = change_durable();
  if (event.is_configured) {
    state.branch_override.reset();
  } else {
    state.branch_override = BranchOverride{event.branch, event.until};
  }
  if (!event.branch.empty()) branch = event.branch;
  cause = "switch";
  emit(Announce{"", "switched", "", branch, "", std::nullopt});
}

// Spans that have begun end as they would have.
void Reconciler::State::take(const PolicyChanged& event) {
  options.min_healthy_time = event.min_healthy_time;
  options.rollout_deadline = event.rollout_deadline;
  options.auto_rollback = event.auto_rollback;
  options.prune_guard = event.prune_guard;
  options.verifies_signatures = event.verifies_signatures;
  if (!options.auto_rollback) pass_trial();
  if (!options.prune_guard && hold && hold->kind == prune_guard_kind) hold.reset();
  if (!event.judges_anew) return;
  // What was found good stays so.
  rejected.reset();
  rejection.clear();
  move_along();
}

// --- loading ---

void Reconciler::State::pursue_target() {
  auto has_come = [this](const std::optional<WallTime>& until) { return until && now.wall >= *until; };
  if (has_come(until_of_pin())) lift_pin("its time is up");
  if (has_come(until_of_branch())) {
    change_durable().branch_override.reset();
    emit(Announce{"", "switched", "", "", "its time is up", std::nullopt});
  }
  if (retry_at <= now.instant) retry_at = never;
  std::optional<ObjectId> wanted = target();
  if (wanted != unread) read_error.clear();
  if (loading || exporting || is_shutting_down || retry_at != never) return;
  bool is_lost = !current && is_boot_unread && !is_booting;
  bool is_nowhere_to_go = !wanted || (!is_on_retreat() && is_refused(*wanted));
  if (is_lost && is_nowhere_to_go) return retry_boot();
  if (!wanted) return;
  bool is_tip_refused = !is_booting && !durable.pin && tip && is_refused(*tip);
  if (is_tip_refused) {
    // What it runs is what it is to run, whatever was loaded to find that out.
    bool is_nowhere = !is_on_retreat();  // to be gone to
    bool is_there = current && (is_nowhere || current->id == *wanted);
    if (is_there || is_nowhere) read_error.clear();
    if (is_there) return end_settling_in();
    if (is_nowhere) return;
  }
  if (loaded && loaded->id == *wanted && is_trusted(*wanted)) {
    if (!has_staged_commit && current && current->id == *wanted) {
      read_error.clear();  // as the tip it may not have been readable; it is there
      end_settling_in();
      if (is_tip_followed()) {
        follow_tip();
        drop_retreat();
      }
    }
    if (has_staged_commit) {
      // Where it is not admitted there may be something else to go to.
      if (is_tip_followed() && !admit_tip()) return pursue_target();
      exporting = loaded;
      emit(ExportTree{loaded->id});
    }
    return;
  }
  // What was applied is loaded to know what runs, whatever it is as a tip.
  if (!is_booting && !is_on_retreat() && is_rejected(*wanted)) return;
  loading = wanted;
  loading_branch = wanted_branch();
  emit(LoadCommit{.commit = *wanted,
                  .branch = loading_branch,
                  .verified = options.verifies_signatures ? durable.verified : VerifiedCommits{},
                  .was_applied = is_booting});
}

// What this node is to run cannot be read now: it runs what it knows. What it does not know stays as it is, for
// the commit that cannot be read may know it.
void Reconciler::State::go_on_for_now() {
  if (!std::exchange(is_settling_in, false)) return;
  is_provisional = true;
  resume_adopted();
  touch_all();
}

// No other commit than the present one is wanted, or can be.
void Reconciler::State::end_settling_in() {
  bool is_open = is_settling_in || is_provisional;
  if (!is_open) return;
  is_settling_in = is_provisional = false;
  supersede_unfinished();
  forget_removed();
  adopt_all();
  replace_unknown_units();
  resume_adopted();
  touch_all();
}

// There is no other commit to run, so the node has to stay on what it ran before: that is tried again.
void Reconciler::State::retry_boot() {
  is_boot_unread = false;
  is_booting = true;
  retry_at = after(now.instant, reload_delay);
}

void Reconciler::State::take(const CommitLoaded& event) {
  loading.reset();
  read_error.clear();
  note_verified(event.verified);
  // What is there already was only judged anew.
  bool is_news = !loaded || loaded->id != event.commit.id || !event.changes.empty();
  loaded = event.commit;
  warnings = event.warnings;
  if (is_news) has_staged_commit = true;
  for (const UnitChange& change : event.changes)
    staged.insert_or_assign(change.name, change.unit);
  if (target() == event.commit.id) {
    // At the start nothing was judged; and what a retreat goes to says nothing about the tip.
    if (!is_booting && !is_on_retreat()) {
      rejected.reset();
      rejection.clear();
    }
    pin_before.reset();
    is_pin_tried = true;
  }
}

void Reconciler::State::take(const CommitRejected& event) {
  loading.reset();
  read_error.clear();
  note_verified(event.verified);
  if (is_booting) {
    // What ran was valid once, for an older version perhaps; go on to what is wanted now.
    is_booting = false;
    return;
  }
  end_settling_in();
  const char* why = cause_of(event.commit.id);  // as long as it is not refused
  rejected = event.commit;
  rejected_branch = loading_branch;
  rejection = event.errors;
  std::string first = event.errors.empty() ? "" : to_string(event.errors.front());
  emit(Announce{"", "rejected", "", "", first, event.commit.id});
  record({.commit = event.commit.id,
          .subject = event.commit.subject,
          .author = event.commit.author,
          .at = now.wall,
          .took = std::nullopt,
          .cause = why,
          .outcome = Outcome::rejected,
          .message = first});
  // A rollback to what cannot be applied is no rollback: what was before it stays.
  if (durable.pin && durable.pin->commit == event.commit.id && !is_pin_tried) undo_pin(first);
  // It was healthy once, and is no unit of this version any more: the node stays where it is.
  bool is_by_name = loading_branch.empty() || !options.verifies_signatures;
  if (durable.retreat && durable.retreat->to == event.commit.id && !durable.pin && is_by_name) {
    drop_retreat();
    pass_trial();
  }
}

void Reconciler::State::take(const CommitUnreadable& event) {
  loading.reset();
  if (is_booting) {
    is_booting = false;
    is_boot_unread = true;
    return;
  }
  go_on_for_now();
  unread = event.commit;
  read_error = "cannot read commit " + event.commit.abbreviated() + ": " + event.error;
  retry_at = after(now.instant, reload_delay);
  emit(Announce{"", "error", "", "", read_error, event.commit});
  if (durable.pin && durable.pin->commit == event.commit && !is_pin_tried)
    undo_pin(std::exchange(read_error, ""));
}

void Reconciler::State::take(const TreeExported& event) {
  if (!exporting || exporting->id != event.commit) return;
  CommitInfo commit = *std::exchange(exporting, std::nullopt);
  if (!event.error.empty()) {
    go_on_for_now();
    unread = event.commit;
    read_error = "cannot export the tree of " + event.commit.abbreviated() + ": " + event.error;
    retry_at = after(now.instant, reload_delay);
    emit(Announce{"", "error", "", "", read_error, event.commit});
    return;
  }
  read_error.clear();
  // A newer target may have come meanwhile; it is loaded on top and exported in its turn.
  if (target() != commit.id || !is_trusted(commit.id)) return;
  // Something of it may have failed in the meantime.
  if (is_tip_followed() && !admit_tip()) return;
  begin_rollout();
}

// --- applying ---

void Reconciler::State::begin_rollout() {
  bool is_same = current && current->id == loaded->id;
  if (current && !is_same && outcome == Outcome::progressing) set_outcome(Outcome::superseded, "");
  bool was_booting = std::exchange(is_booting, false);
  const char* why = was_booting ? "start" : cause_of(loaded->id);
  bool had_base = current.has_value();
  bool is_guarded = was_booting || is_tip_followed();
  std::string removal = is_guarded && cause != "switch" ? "" : removed_by_rollout();
  std::map<std::string, std::uint64_t> changed_units;  // what is changed or new, and what it was before
  current = loaded;
  has_staged_commit = false;
  healthy_at = never;

  outcome = Outcome::progressing;
  // What a former agent applied was loaded to know what runs; nothing of it is started before it is known
  // whether a newer commit wants something else.
  if (was_booting) hold.reset();  // it was judged without knowing what runs
  bool may_follow = target() && target() != current->id && (is_on_retreat() || !is_refused(*target()));
  bool was_settling_in = std::exchange(is_settling_in, was_booting && may_follow);
  adopt_all();
  const Defaulted<std::optional<ObjectId>> brought_by(current->id);
  // All relations first: what stops takes along those that require it by the new commit.
  for (const auto& [name, unit] : staged) {
    Service& service = table.intern(name);
    std::uint64_t before = service.desired ? service.desired->fingerprint : 0;
    if (unit && unit->fingerprint != before) changed_units.emplace(name, before);
    service.desired = unit;
    service.commit = brought_by;
    touch_neighbours(service);  // those that it lets go of, too
    if (unit) table.relate(service, unit.get());
  }
  for (const auto& [name, unit] : std::exchange(staged, {}))
    apply_change(table.intern(name));
  is_provisional = false;
  if (!is_settling_in) {
    forget_removed();
    replace_unknown_units();
  }
  resume_adopted();
  if (was_settling_in) touch_all();

  is_applying = true;
  applying_since = now.instant;
  if (!was_booting) cause = why;  // what came meanwhile is why the next one is applied
  if (!is_settling_in) supersede_unfinished();
  if (is_tip_followed() && current->id == *tip) drop_retreat();
  prepare_trial(was_booting, had_base, std::move(changed_units));
  for (WaitingSync& sync : syncs)
    sync.message = removal;
  bool is_applied =
      durable.applied == current->id;  // the same again: the agent was started, or it is come back to
  if (!is_applied || (had_base && !is_same))
    emit(Announce{"", "applying", "", "", removal.empty() ? why : why + (": " + removal), current->id});
  if (is_applied) return;
  if (unfinished_of_current() != nullptr) return;
  record({.commit = current->id,
          .subject = current->subject,
          .author = current->author,
          .at = now.wall,
          .took = std::nullopt,
          .cause = why,
          .outcome = Outcome::progressing,
          .message = ""});
}

// The entry of an earlier agent that began with the current commit and did not live to see its end.
HistoryEntry* Reconciler::State::unfinished_of_current() {
  for (auto entry = durable.history.rbegin(); entry != durable.history.rend(); ++entry) {
    if (entry->outcome == Outcome::rejected) continue;
    return entry->commit == current->id && entry->outcome == Outcome::progressing ? &*entry : nullptr;
  }
  return nullptr;
}

// What operators wanted of services that are gone, also those that went while no agent looked.
void Reconciler::State::forget_removed() {
  auto is_gone = [this](const auto& entry) {
    const Service* service = table.find(entry.first);
    return service == nullptr || !service->desired;
  };
  std::size_t forgotten =
      std::erase_if(durable.holds, is_gone) + std::erase_if(durable.operator_starts, is_gone);
  if (forgotten != 0) ++durable_version;
}

void Reconciler::State::supersede_unfinished() {
  const HistoryEntry* own = unfinished_of_current();
  for (HistoryEntry& entry : durable.history) {
    if (entry.outcome != Outcome::progressing || &entry == own) continue;
    entry.outcome = Outcome::superseded;
    ++durable_version;
  }
}

// Takes over what an earlier agent left. While another commit may follow at once, which may be what a service was
// started from, those whose unit is not known wait for it.
void Reconciler::State::adopt_all() {
  for (auto next = adopted.begin(); next != adopted.end();) {
    Service& service = table.intern(next->first);
    UnitPtr unit = service.desired;
    // What is staged counts when it is about to be applied.
    auto found = staged.find(service.name);
    if (!has_staged_commit && found != staged.end()) unit = found->second;
    bool is_known = unit && unit->fingerprint == next->second.fingerprint;
    if (is_known || !is_settling_in) {
      AdoptedService record = std::move(next->second);
      next = adopted.erase(next);
      service.is_found = false;
      adopt_one(service, record, is_known ? unit : stand_in(record, unit.get()));
      if (!is_known) unknown_units.insert(service.id);
    } else {
      ++next;
    }
  }
}

void Reconciler::State::adopt_one(Service& service, const AdoptedService& record, UnitPtr unit) {
  just_adopted.push_back(service.id);
  service.latch = record.latch;
  service.reason = std::string("adopted");
  act(service, [&](Lifecycle& life, LifecycleContext& context) { life.adopt(record, unit, context); });
  // The driver has to know what it is to keep; and who could say what happened to the values meanwhile?
  if (unit && unit->resources != Defaulted<ResourceControl>()) adjust_limits(service, unit);
  for (const ProcessExited& exit : early_exits) {
    if (exit.service == service.id) take(exit);
  }
  touch(service);
}

// When all relations are known: what an earlier agent had begun, and what it knew of them.
void Reconciler::State::resume_adopted() {
  if (is_settling_in) return;
  for (ServiceId id : std::exchange(just_adopted, {})) {
    Service* service = table.at(id);
    if (service == nullptr || service->life.is_down()) continue;
    if (!service->desired) {
      set_wave(*service, Wave::removed);
      mark_stop(*service, {StopCause::operator_request, "is in no commit that this node runs"});
      continue;
    }
    pull_in_dependencies(*service);
    std::string held;
    if (durable.holds.contains(service->name)) held = service->name;
    for (const Edge& edge : *service->out) {
      Service& other = *table.at(edge.other);
      if (!edge.relations.takes_stops()) continue;
      if (durable.holds.contains(other.name)) held = other.name;
      if (other.stop_mark) mark_dependents(other, StopMark(*other.stop_mark));
    }
    if (!held.empty()) mark_stop(*service, {StopCause::operator_request, held + " is held"});
  }
  if (adopted.empty()) early_exits.clear();
}

// Services that an earlier agent started from a unit of neither the commit it had applied nor the one wanted now.
void Reconciler::State::replace_unknown_units() {
  for (ServiceId id : ServiceSet(unknown_units)) {
    Service& service = *table.at(id);
    if (service.desired) {
      apply_difference(service);
    } else {
      unknown_units.erase(id);  // it goes (resume_adopted)
    }
    after_change(service);
    touch(service);
  }
}

void Reconciler::State::apply_change(Service& service) {
  if (service.desired) {
    auto started = durable.operator_starts.find(service.name);
    if (started != durable.operator_starts.end() &&
        started->second.fingerprint != service.desired->fingerprint) {
      change_durable().operator_starts.erase(started);
    }
    if (service.life.unit() == nullptr) {
      set_wave(service, Wave::added);
    } else {
      apply_difference(service);
    }
  } else {
    service.preflight_error.clear();
    set_wave(service, Wave::removed);
    mark_stop(service, {StopCause::operator_request, "removed from the repository"});
  }
  after_change(service);
  touch(service);
  touch_neighbours(service);
}

// To a unit that does not need another process. Who adopts a service writes the limits of its unit where that has some:
// so the unit that has some is the one that it is known by as long as any may be written.
void Reconciler::State::go_over_to_desired(Service& service) {
  bool has_other_limits = service.life.unit()->resources != service.desired->resources;
  bool has_limits = service.desired->resources != Defaulted<ResourceControl>();
  if (has_other_limits && !has_limits) adjust_limits(service, service.desired);
  act(service, [&service](Lifecycle& life, LifecycleContext& context) {
    life.replace_unit(service.desired, context);
  });
  // Until the reload has begun it is known by its old unit: whoever adopts it has to reload it yet.
  if (service.is_reload_due) begin_reload(service);
  if (!service.is_reload_due) stamp(service);
  if (has_other_limits && has_limits) adjust_limits(service, service.desired);
}

void Reconciler::State::begin_reload(Service& service) {
  bool is_begun = false;
  act(service, [&](Lifecycle& life, LifecycleContext& context) { is_begun = life.reload(context); });
  service.is_reload_due = !is_begun;
}

void Reconciler::State::stamp(Service& service) {
  emit(RunRecord{.service = service.id,
                 .name = service.name,
                 .kind = RunRecord::Kind::stamped,
                 .main_pid = 0,
                 .fingerprint = service.life.unit()->fingerprint,
                 .latch = std::nullopt});
}

void Reconciler::State::apply_difference(Service& service) {
  UnitDifference change = difference(*service.life.unit(), *service.desired);
  if (unknown_units.erase(service.id)) {
    change = {ChangeEffect::restart, {"what it was started from is not known any more"}};
  }
  bool was_to_restart = service.restart_intent || !service.preflight_error.empty();
  service.preflight_error.clear();
  service.restart_intent.reset();
  if (change.effect == ChangeEffect::none) {
    // Equal in meaning, made from other text: remember the new name of it.
    if (service.life.unit()->fingerprint != service.desired->fingerprint) change.effect = ChangeEffect::later;
  }
  std::string why;
  for (const std::string& directive : change.directives)
    why += (why.empty() ? "" : ", ") + directive;
  why += " changed";

  bool lifts_latch =
      change.effect >= ChangeEffect::reload ||
      (change.effect == ChangeEffect::later && service.latch && service.latch->kind == LatchKind::failed);
  if (lifts_latch && service.latch) {
    set_latch(service, std::nullopt);
    service.life.reset_failed();
  }
  bool is_unwanted = !service.life.is_down() && !service.desired->is_desired_running &&
                     !service.is_pulled_in && !durable.operator_starts.contains(service.name);
  bool can_reload = service.life.is_active() && service.life.phase() != Phase::exited &&
                    !service.desired->commands(ExecPhase::reload).empty();
  switch (change.effect) {
    case ChangeEffect::none:
      if (!was_to_restart) return;
      break;  // back to what runs: who had it started may not count any more
    case ChangeEffect::later:
    case ChangeEffect::adjust:
      if (is_unwanted) {
        // Without a stamp: whoever adopts it knows that it is not as it should be.
        act(service, [&service](Lifecycle& life, LifecycleContext& context) {
          life.replace_unit(service.desired, context);
        });
      } else {
        go_over_to_desired(service);
      }
      break;
    case ChangeEffect::reload:
      if (can_reload) {
        set_wave(service, Wave::changed);
        service.reason = "reloaded: " + why;
        service.is_reload_due = true;
        go_over_to_desired(service);
        break;
      }
      [[fallthrough]];
    case ChangeEffect::restart:
      set_wave(service, Wave::changed);
      service.reason = why;
      if (service.life.is_down()) {
        // Nothing to lose: a service in backoff is tried at once, with its new unit.
        act(service,
            [](Lifecycle& life, LifecycleContext& context) { life.stop(StopCause::restart, context); });
        service.life.reset_failed();
      } else if (service.life.is_stopping()) {
        // Its end is not judged: it says nothing about the new unit.
        act(service,
            [](Lifecycle& life, LifecycleContext& context) { life.stop(StopCause::restart, context); });
        mark_dependents(service, {StopCause::restart, ""});
      } else if (wants_running(service)) {
        service.restart_intent = RestartIntent{"restarted: " + why, true, false};
      } else {
        mark_stop(service, {StopCause::operator_request, why});
      }
      break;
  }
  if (is_unwanted && !service.stop_mark)
    mark_stop(service, {StopCause::operator_request, "DesiredState=stopped"});
}

// --- how it went ---

void Reconciler::State::check_rollout() {
  if (!current) return;
  bool is_settled = std::ranges::all_of(unsettled, [](const auto& members) { return members.empty(); });
  if (is_applying && !is_settling_in && is_settled && in_motion.empty()) {
    is_applying = false;
    HistoryEntry* unfinished = unfinished_of_current();
    if (unfinished != nullptr && !unfinished->took) {
      ++durable_version;
      unfinished->took = std::chrono::duration_cast<Duration>(now.instant - applying_since);
    }
    if (durable.applied != current->id) {
      change_durable().applied = current->id;
      emit(SetMarker{Marker::applied, current->id});
      emit(Announce{"", "applied", "", "", bad_services(), current->id});
    }
  }
  check_trial();
  if (is_applying || outcome == Outcome::healthy || outcome == Outcome::rolled_back) return;
  if (!bad.empty()) {
    healthy_at = never;
    set_outcome(Outcome::degraded, bad_services());
  } else if (healthy_at == never || (now.instant >= healthy_at && !in_motion.empty())) {
    // Again where something is in motion: it is not told yet how that ends.
    healthy_at = after(now.instant, options.min_healthy_time);
  } else if (now.instant >= healthy_at) {
    healthy_at = never;
    set_outcome(Outcome::healthy, "");
    pass_trial();
    clear_denials_of_current();
    if (durable.healthy != current->id) change_durable().healthy = current->id;
    emit(SetMarker{Marker::healthy, current->id});
  }
}

HistoryEntry* Reconciler::State::history_of_current() {
  for (auto entry = durable.history.rbegin(); entry != durable.history.rend(); ++entry) {
    if (entry->commit == current->id && entry->outcome != Outcome::rejected) {
      ++durable_version;
      return &*entry;
    }
  }
  return nullptr;
}

void Reconciler::State::set_outcome(Outcome reached, std::string message) {
  if (outcome == reached) return;
  outcome = reached;
  HistoryEntry* entry = history_of_current();
  if (entry == nullptr) return;
  // A commit that is only come back to, after a restart of the agent, keeps what was found of it.
  if (reached == Outcome::superseded && entry->outcome != Outcome::progressing) return;
  if (entry->outcome == reached || entry->outcome == Outcome::healthy) return;
  if (entry->outcome == Outcome::rolled_back && durable.retreat) return;
  entry->outcome = reached;
  entry->message = std::move(message);
  emit(Announce{"", std::string(to_string(reached)), "", "", entry->message, current->id});
}

std::string Reconciler::State::describe(const ServiceSet& services) const {
  std::string text;
  std::size_t named = 0;
  for (ServiceId id : services) {
    if (named++ == named_services) {
      text += " and " + std::to_string(services.size() - named_services) + " more";
      break;
    }
    const Service& service = *table.at(id);
    text += (text.empty() ? "" : ", ") + service.name;
    if (!service.preflight_error.empty()) {
      text += " (" + service.preflight_error.str() + ")";
    } else if (service.life.health() == HealthState::unhealthy) {
      text += " (unhealthy)";
    } else if (service.life.last_reload_failed()) {
      text += " (could not be reloaded)";
    } else {
      text += " (" + std::string(to_string(shown_state(service))) + ")";
    }
  }
  return text;
}

void Reconciler::State::record(HistoryEntry entry) {
  append_history(change_durable().history, std::move(entry));
}

// --- pins ---

void Reconciler::State::set_pin(std::optional<Pin> pin) {
  change_durable().pin = std::move(pin);
  retry_at = never;
  emit(SetMarker{Marker::pinned, durable.pin ? std::optional(durable.pin->commit) : std::nullopt});
  emit(Announce{"", durable.pin ? "pinned" : "unpinned", "", "", durable.pin ? durable.pin->reason : "",
                durable.pin ? std::optional(durable.pin->commit) : std::nullopt});
}

void Reconciler::State::undo_pin(const std::string& why) {
  set_pin(std::exchange(pin_before, std::nullopt));
  is_pin_tried = true;
  for (const WaitingSync& sync : std::exchange(syncs, {}))
    refuse(sync.request, "cannot roll back: " + why);
}

void Reconciler::State::lift_pin(std::string why) {
  if (!durable.pin) return;
  change_durable().pin.reset();
  emit(SetMarker{Marker::pinned, std::nullopt});
  emit(Announce{"", "unpinned", "", "", std::move(why), std::nullopt});
}

}  // namespace gitproc
