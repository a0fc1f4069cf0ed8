// Which service may start or must stop now. Three rules keep this sound: what must stop is marked first, as a
// closure over dependents, and there is one path by which anything stops (a mark) and one by which anything
// starts (evaluate_down); the start pass consults the same marks as the stop pass; a decision that must hold
// until its effect is seen is stored in the service.
#include <algorithm>

#include "reconcile/state.h"

namespace gitproc {

void Reconciler::State::touch(Service& service) {
  if (service.is_queued) return;
  service.is_queued = true;
  queue.push_back(service.id);
}

void Reconciler::State::touch_all() {
  for (Service* service : table.by_name())
    touch(*service);
}

void Reconciler::State::touch_neighbours(Service& service) {
  for (const Edge& edge : *service.out)
    touch(*table.at(edge.other));
  for (const Edge& edge : *service.in)
    touch(*table.at(edge.other));
}

void Reconciler::State::evaluate(Service& service) {
  if (service.stop_mark && service.life.is_down() && service.life.phase() != Phase::backoff) {
    bool is_for_restart = std::exchange(service.stop_mark, std::nullopt)->cause == StopCause::restart;
    if (is_for_restart) {
      // It may have ended by itself before its turn came: there is nothing to judge.
      set_latch(service, std::nullopt);
      service.life.reset_failed();
    }
    // The start limit is against services that fail: one that is stopped and started with another comes back always.
    service.life.forget_starts();
    after_change(service);
    touch_neighbours(service);
  }
  if (service.life.is_down() && !service.stop_mark) {
    evaluate_down(service);
  } else {
    evaluate_up(service);
  }
  settle(service);
}

void Reconciler::State::evaluate_up(Service& service) {
  if (!service.stop_mark && !service.life.is_stopping()) {
    for (const Edge& edge : *service.out) {
      if (!edge.relations.has(Relation::binds_to)) continue;
      const Service& other = *table.at(edge.other);
      if (other.is_found) continue;  // it may be up
      bool is_coming = other.life.is_starting() && !edge.relations.has(Relation::after);
      if (!other.life.is_active() && !is_coming &&
          !(other.life.is_starting() && service.life.is_starting())) {
        mark_stop(service,
                  {StopCause::operator_request, "bound to " + other.name + ", which is not running"});
        break;
      }
    }
    bool is_unwanted = service.desired && !service.stop_mark && !service.is_found && is_shutting_down;
    if (is_unwanted) mark_stop(service, {StopCause::operator_request, "the agent shuts down"});
  }
  if (service.restart_intent && !service.stop_mark && !service.life.is_stopping()) begin_restart(service);
  if (service.is_reload_due && !service.stop_mark && !service.restart_intent) {
    begin_reload(service);
    if (!service.is_reload_due) stamp(service);
  }
  if (service.stop_mark && !service.life.is_stopping() && may_stop(service)) {
    StopMark mark = *service.stop_mark;
    service.reason = mark.reason;
    act(service, [&mark](Lifecycle& life, LifecycleContext& context) { life.stop(mark.cause, context); });
  }
}

void Reconciler::State::begin_restart(Service& service) {
  if (service.restart_intent->is_by_commit && !is_gate_open(Wave::changed)) return;
  if (service.restart_intent->is_checked) return;
  service.restart_intent->is_checked = true;
  emit(Preflight{service.id, service.desired});
}

void Reconciler::State::take(const PreflightChecked& event) {
  Service* service = table.at(event.service);
  if (service == nullptr || !service->restart_intent || !service->restart_intent->is_checked) return;
  if (!service->desired || service->desired->fingerprint != event.fingerprint) {
    service->restart_intent->is_checked = false;  // the unit changed in between: check the new one
    touch(*service);
    return;
  }
  RestartIntent intent = *std::exchange(service->restart_intent, std::nullopt);
  service->preflight_error = event.error;
  if (!event.error.empty()) {
    service->reason = "kept running: " + event.error;
    emit(Announce{service->name, "preflight", "", "", event.error, *service->commit});
  } else if (!service->life.is_down()) {
    mark_stop(*service, {StopCause::restart, intent.reason});
  }
  after_change(*service);
  touch(*service);
}

void Reconciler::State::evaluate_down(Service& service) {
  if (service.is_found) return;  // it may be up, for all that is known
  service.is_reload_due = false;
  if (std::exchange(service.restart_intent, std::nullopt)) {
    // It ended by itself before it was stopped for the restart: there is nothing to judge.
    set_latch(service, std::nullopt);
    service.life.reset_failed();
    after_change(service);
  }
  if (!service.desired) return retire(service);
  const UnitPtr& former = service.life.unit();
  bool is_outdated = service.latch && former && former->fingerprint != service.desired->fingerprint;
  if (is_outdated) {
    // How another unit ended says nothing about this one.
    set_latch(service, std::nullopt);
    service.life.reset_failed();
  }
  if (!wants_running(service)) {
    if (service.life.phase() == Phase::backoff) {
      act(service, [](Lifecycle& life, LifecycleContext& context) {
        life.stop(StopCause::operator_request, context);
      });
    }
    if (service.wait != Wait::none) {
      service.wait = Wait::none;
      after_change(service);
      touch_neighbours(service);
    }
    return;
  }
  bool is_automatic = service.life.phase() == Phase::backoff;
  if (is_automatic && now.instant < service.life.deadline()) return;
  if (is_settling_in && !is_automatic) return;
  pull_in_dependencies(service);
  if (!may_start(service)) return;
  // As systemd does, what requires a service is restarted together with it: those that are ordered after it
  // go down before it comes up again, so the way has to be looked at once more.
  if (is_automatic && mark_dependents(service, {StopCause::restart, ""}) && !may_start(service)) return;
  service.preflight_error.clear();
  static const Defaulted<std::string> desired_running(std::string("desired running"));
  if (service.reason->empty() && !is_automatic) service.reason = desired_running;
  act(service, [&service, is_automatic](Lifecycle& life, LifecycleContext& context) {
    life.start(service.desired, is_automatic, context);
  });
}

bool Reconciler::State::wants_running(const Service& service) const {
  if (!service.desired || service.latch || is_shutting_down || durable.holds.contains(service.name))
    return false;
  return service.desired->is_desired_running || service.is_pulled_in ||
         durable.operator_starts.contains(service.name);
}

bool Reconciler::State::may_stop(const Service& service) {
#ifdef GITPROC_PLANTED_FAULT
  return true;  // what the simulation must find (reconcile/sim/README.md)
#endif
  // Reverse order: those that are ordered after this one and have to go too go first. A removed unit and the
  // units that stay are of two commits, whose orders together may hold a cycle: only their own kind counts.
  auto is_first = [&](ServiceId id) {
    const Service& other = *table.at(id);
    if (other.life.is_stopping()) return true;  // waits for nobody any more, so this cannot be for ever
    return other.stop_mark && !other.life.is_down() &&
           (other.desired == nullptr) == (service.desired == nullptr);
  };
  for (const Edge& edge : *service.in) {
    if (edge.relations.has(Relation::after) && is_first(edge.other)) return false;
  }
  for (const Edge& edge : *service.out) {
    if (edge.relations.has(Relation::before) && is_first(edge.other)) return false;
  }
  return true;
}

bool Reconciler::State::hold_back(Service& service, Wait wait, std::string reason) {
  bool is_news = service.wait != wait;
  service.wait = wait;
  service.waits_for = std::move(reason);
  after_change(service);
  if (is_news) touch_neighbours(service);  // who only waits in order may go on, or has to wait
  return false;
}

bool Reconciler::State::wait_for(Service& service, Service& other) {
  // Order beats waves: who is waited for must not wait for this one's wave to settle.
  bool is_behind = service.wave && (!other.wave || *other.wave > *service.wave);
  if (is_behind && is_pending(other)) {
    set_wave(other, service.wave);
    touch(other);
  }
  return hold_back(service, Wait::ordering, "waits for " + other.name);
}

bool Reconciler::State::is_pending(const Service& service) const {
  if (service.life.is_starting()) return true;
  return service.life.is_down() && wants_running(service) && service.wait != Wait::dependency;
}

bool Reconciler::State::may_start(Service& service) {
  if (service.wave == Wave::added && !is_gate_open(Wave::added)) {
    return hold_back(service, Wait::ordering, "changed services restart first");
  }
  if (service.wave == Wave::changed && !is_gate_open(Wave::changed)) {
    return hold_back(service, Wait::ordering, "removed services stop first");
  }
  for (const Edge& edge : *service.out) {
    Service& other = *table.at(edge.other);
    Relations relations = edge.relations;
    bool is_ordered = relations.has(Relation::after);
    for (const Edge& back : *service.in) {
      if (back.other == edge.other && back.relations.has(Relation::before)) is_ordered = true;
    }
    if (relations.takes_stops() && other.desired) {
      if (durable.holds.contains(other.name))
        return hold_back(service, Wait::dependency, other.name + " is held");
      if (other.stop_mark) return hold_back(service, Wait::ordering, other.name + " is stopping");
    }
    if (!relations.is_hard()) continue;
    bool is_satisfied = other.life.is_active();
    if (!relations.has(Relation::binds_to)) {
      bool is_done = other.latch && other.latch->kind != LatchKind::failed;
      is_satisfied = is_satisfied || is_done;
    }
    if (is_satisfied) continue;
    // Bound without an order, both may come up together, but not this one alone: it would be stopped at once.
    bool is_bound_to_none = relations.has(Relation::binds_to) && !other.life.is_starting();
    if (is_ordered || relations.has(Relation::requisite) || is_bound_to_none) {
      if (is_pending(other)) return wait_for(service, other);
      if (other.life.is_stopping()) return hold_back(service, Wait::ordering, other.name + " is stopping");
      std::string state =
          other.desired ? "which is " + std::string(to_string(shown_state(other))) : "which is not there";
      return hold_back(service, Wait::dependency, "requires " + other.name + ", " + state);
    }
  }

  // Ordering alone: a stop goes before a start whatever the direction, a start waits for those before it.
  auto is_in_the_way = [this](Service& other, bool is_before_us) {
    return (other.stop_mark && !other.life.is_down()) || other.life.is_stopping() ||
           (is_before_us && is_pending(other));
  };
  for (const Edge& edge : *service.out) {
    bool is_before_us = edge.relations.has(Relation::after);
    if (!is_before_us && !edge.relations.has(Relation::before)) continue;
    Service& other = *table.at(edge.other);
    if (is_in_the_way(other, is_before_us)) return wait_for(service, other);
  }
  for (const Edge& edge : *service.in) {
    bool is_before_us = edge.relations.has(Relation::before);
    if (!is_before_us && !edge.relations.has(Relation::after)) continue;
    Service& other = *table.at(edge.other);
    if (is_in_the_way(other, is_before_us)) return wait_for(service, other);
  }
  // Last: nobody is displaced by one that cannot start.
  if (!clear_conflicts(service)) return false;
  if (service.wait != Wait::none) {
    service.wait = Wait::none;
    service.waits_for.clear();
  }
  return true;
}

Claim Reconciler::State::claim_of(const Service& service) const {
  if (!service.desired) return Claim::none;
  if (service.desired->is_desired_running) return Claim::commit;
  if (durable.operator_starts.contains(service.name)) return Claim::by_operator;
  return service.is_pulled_in ? Claim::by_another : Claim::none;
}

bool Reconciler::State::clear_conflicts(Service& service) {
  std::vector<Service*> rivals;
  for (const auto* edges : {&*service.out, &*service.in}) {
    for (const Edge& edge : *edges) {
      if (edge.relations.has(Relation::conflicts)) rivals.push_back(table.at(edge.other));
    }
  }
  // Who is to be started again soon counts as running, unless it waits for others itself.
  auto is_out = [](const Service& rival) {
    return rival.life.is_down() && (rival.life.phase() != Phase::backoff || rival.wait == Wait::dependency);
  };
  // Nobody is displaced as long as one of them cannot be.
  for (const Service* other : rivals) {
    bool is_down = is_out(*other);
    bool is_weaker = claim_of(service) < claim_of(*other);
    bool is_futile = is_down && is_weaker && is_pending(*other);  // it would have to go again at once
    bool is_ending = other->stop_mark || other->life.is_stopping();
    bool stays = !is_down && !is_ending && claim_of(*other) >= claim_of(service);
    if (is_futile || other->is_found) {
      return hold_back(service, Wait::dependency, "conflicts with " + other->name);
    }
    if (stays) return hold_back(service, Wait::dependency, "conflicts with " + other->name + ", which runs");
  }
  const Service* awaited = nullptr;
  for (Service* other : rivals) {
    if (is_out(*other)) continue;
    awaited = other;
    if (other->stop_mark || other->life.is_stopping()) continue;
    if (durable.operator_starts.contains(other->name)) change_durable().operator_starts.erase(other->name);
    other->is_pulled_in = false;
    mark_stop(*other, {StopCause::operator_request, "conflicts with " + service.name});
  }
  return awaited == nullptr || hold_back(service, Wait::ordering, "waits for " + awaited->name + " to stop");
}

void Reconciler::State::pull_in_dependencies(Service& service) {
  for (const Edge& edge : *service.out) {
    bool pulls = edge.relations.has(Relation::requires_) || edge.relations.has(Relation::binds_to) ||
                 edge.relations.has(Relation::wants);
    Service& other = *table.at(edge.other);
    if (!pulls || !other.desired || other.desired->is_desired_running || other.is_pulled_in) continue;
    other.is_pulled_in = true;
    other.reason = "started for " + service.name;
    touch(other);
  }
}

void Reconciler::State::mark_stop(Service& service, const StopMark& mark) {
  if (!service.stop_mark && (!service.life.is_down() || service.life.phase() == Phase::backoff)) {
    service.stop_mark = mark;
    service.restart_intent.reset();
    after_change(service);
    touch(service);
    touch_neighbours(service);
  } else if (service.stop_mark && mark.cause == StopCause::operator_request) {
    service.stop_mark = mark;
  }
  mark_dependents(service, mark);
}

bool Reconciler::State::mark_dependents(Service& service, const StopMark& mark) {
  bool is_any = false;
  for (const Edge& edge : *service.in) {
    if (!edge.relations.takes_stops()) continue;
    Service& other = *table.at(edge.other);
    if (other.stop_mark || other.life.is_down() || other.life.is_stopping()) continue;
    is_any = true;
    std::string verb = mark.cause == StopCause::restart ? "restarts with " : "stops with ";
    mark_stop(other, {mark.cause, verb + service.name});
  }
  return is_any;
}

void Reconciler::State::retire(Service& service) {
  UnitPtr unit = service.life.unit();
  if (!unit && service.out->empty() && !waiting.contains(service.id)) return;
  set_latch(service, std::nullopt);
  service.is_pulled_in = false;
  service.preflight_error.clear();
  set_wave(service, std::nullopt);
  if (unit) emit(CleanUp{.service = service.id, .unit = unit, .will_restart = false, .is_removed = true});
  table.relate(service, nullptr);
  service.life = Lifecycle(service.id);
  unknown_units.erase(service.id);
  put_backs.erase(service.id);
  after_change(service);
  answer_waiting(service);  // with the last of its relations it is gone from the table
}

void Reconciler::State::set_latch(Service& service, std::optional<Latch> latch) {
  if (service.latch == latch) return;
  service.latch = latch;
  if (!latch)
    emit(RunRecord{.service = service.id, .name = service.name, .kind = RunRecord::Kind::forgotten});
  after_change(service);
}

// --- the bookkeeping after every change of a service ---

ServiceState Reconciler::State::shown_state(const Service& service) const {
  if (service.life.is_down() && service.life.phase() != Phase::backoff && service.wait != Wait::none &&
      wants_running(service)) {
    return ServiceState::waiting;
  }
  return service.life.state();
}

bool Reconciler::State::is_bad(const Service& service) const {
  if (!service.desired) return false;
  if (!service.preflight_error.empty() || service.life.health() == HealthState::unhealthy) return true;
  if (service.life.last_reload_failed()) return true;  // it goes on with what it had
  if (durable.holds.contains(service.name)) return false;
  switch (shown_state(service)) {
    // One that was told to end and did so badly is down as wanted.
    case ServiceState::failed: return service.latch || wants_running(service);
    case ServiceState::backoff: return true;
    case ServiceState::waiting: return service.wait == Wait::dependency;
    case ServiceState::stopped:
    case ServiceState::starting:
    case ServiceState::running:
    case ServiceState::reloading:
    case ServiceState::stopping:
    case ServiceState::completed: return false;
  }
  __builtin_unreachable();
}

void Reconciler::State::after_change(Service& service) {
  changed.push_back(service.id);

  bool is_up = !service.life.is_down();
  if (is_up != service.is_counted_up) {
    service.is_counted_up = is_up;
    is_up ? ++up : --up;
  }

  ServiceState state = shown_state(service);
  bool shows = service.desired != nullptr || is_up || service.stop_mark;
  if (service.is_shown) --counts[static_cast<std::size_t>(service.shown_state)];
  if (shows) ++counts[static_cast<std::size_t>(state)];
  bool is_news = service.is_shown && shows && state != service.shown_state;
  if (is_news) {
    std::string reason = service.life.failure_text();
    if (reason.empty()) reason = *service.reason;
    if (state == ServiceState::waiting) reason = service.waits_for.str();
    emit(Announce{service.name, "state", std::string(to_string(service.shown_state)),
                  std::string(to_string(state)), std::move(reason), std::nullopt});
  }
  bool is_gone = service.is_shown && !shows;
  service.is_shown = shows;
  service.shown_state = state;

  bool moves = state == ServiceState::starting || state == ServiceState::stopping ||
               state == ServiceState::reloading || service.stop_mark.has_value() ||
               service.restart_intent.has_value() ||
               (service.wait == Wait::ordering && state == ServiceState::waiting);
  moves ? (void)in_motion.insert(service.id) : (void)in_motion.erase(service.id);
  if (is_bad(service)) {
    bad.insert(service.id);
    healthy_at = never;  // also when it is over within this step
  } else {
    bad.erase(service.id);
  }
  update_trial(service);

  Instant deadline = service.life.deadline();
  // An elapsed backoff is the scheduler's to end, as soon as nothing hinders it; it has no timer any more.
  bool is_elapsed = service.life.phase() == Phase::backoff && deadline <= now.instant;
  if (is_elapsed) deadline = never;
  if (deadline != service.armed) {
    if (service.armed != never) timers.erase({service.armed, service.id});
    if (deadline != never) timers.insert({deadline, service.id});
    service.armed = deadline;
    if (is_elapsed) touch(service);  // an event came before the timer was looked at
  }
  if (is_news || is_gone) {
    touch(service);
    touch_neighbours(service);
  }
}

// --- waves ---

bool Reconciler::State::is_gate_open(Wave wave) const {
  switch (wave) {
    case Wave::removed: return true;
    case Wave::changed: return unsettled[0].empty();
    case Wave::added: return unsettled[0].empty() && unsettled[1].empty();
  }
  __builtin_unreachable();
}

void Reconciler::State::set_wave(Service& service, std::optional<Wave> wave) {
  if (service.wave == wave) return;
  if (service.wave) {
    auto& members = unsettled[static_cast<std::size_t>(*service.wave)];
    members.erase(service.id);
    if (members.empty()) {
      // A gate may have opened: those behind it are looked at again, once.
      for (std::size_t later = static_cast<std::size_t>(*service.wave) + 1; later < unsettled.size();
           ++later) {
        for (ServiceId id : unsettled[later])
          touch(*table.at(id));
      }
    }
  }
  service.wave = wave;
  update_trial(service);
  if (wave) unsettled[static_cast<std::size_t>(*wave)].insert(service.id);
}

bool Reconciler::State::is_settled(const Service& service) const {
  if (service.stop_mark || service.restart_intent) return false;
  if (service.life.is_active()) return service.life.phase() != Phase::reload;
  if (!service.life.is_down()) return false;
  // When its time has come it goes on like one that is to be started: who waits for it may have lent it its wave.
  if (service.life.phase() == Phase::backoff && now.instant < service.life.deadline()) return true;
  return !wants_running(service) || service.wait == Wait::dependency;
}

void Reconciler::State::settle(Service& service) {
  if (service.wave && is_settled(service)) set_wave(service, std::nullopt);
}

}  // namespace gitproc
