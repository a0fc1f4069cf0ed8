// Requests of operators: what each changes, and when it has earned its answer.
#include <algorithm>

#include "reconcile/state.h"

namespace gitproc {

void Reconciler::State::answer(RequestId request, std::string message, Pid pid) {
  emit(Answer{.request = request, .error = std::nullopt, .message = std::move(message), .pid = pid});
}

void Reconciler::State::refuse(RequestId request, std::string message, ErrorCode code) {
  emit(Answer{.request = request, .error = Error{std::move(message), code}, .message = "", .pid = 0});
}

// --- services ---

void Reconciler::State::take(const ServiceRequested& event) {
  Service* service = table.find(event.service);
  bool is_there = service != nullptr && (service->desired || !service->life.is_down() || service->is_found);
  if (!is_there) {
    refuse(event.request, "no service '" + event.service + "'", ErrorCode::not_found);
    return;
  }
  if (is_shutting_down) {
    refuse(event.request, "the agent is shutting down", ErrorCode::unavailable);
    return;
  }
  if (service->is_found) {
    refuse(event.request, "'" + event.service + "' is not known yet: the agent has just started",
           ErrorCode::unavailable);
    return;
  }
  if (!service->desired && event.verb != ServiceVerb::stop) {
    refuse(event.request, "'" + event.service + "' is no longer in the repository");
    return;
  }
  switch (event.verb) {
    case ServiceVerb::start: request_start(*service, event); break;
    case ServiceVerb::stop: request_stop(*service, event); break;
    case ServiceVerb::restart: request_restart(*service, event); break;
    case ServiceVerb::reload: request_reload(*service, event); break;
  }
  changed.push_back(service->id);
  touch(*service);
  touch_neighbours(*service);
}

// Lets a service run again: lifts the hold and what was remembered of a failure.
void Reconciler::State::release(Service& service) {
  if (durable.holds.contains(service.name)) change_durable().holds.erase(service.name);
  set_latch(service, std::nullopt);
  service.life.reset_failed();
  if (!service.desired->is_desired_running) {
    OperatorStart started{service.desired->fingerprint, options.boot_id};
    auto known = durable.operator_starts.find(service.name);
    if (known == durable.operator_starts.end() || known->second != started) {
      change_durable().operator_starts.insert_or_assign(service.name, started);
    }
  }
  after_change(service);
}

void Reconciler::State::request_start(Service& service, const ServiceRequested& request) {
  if (!service.life.is_active() || service.stop_mark) {
    bool was_in_backoff = service.life.phase() == Phase::backoff;
    // A start during RestartSec= means now (systemd waits here, to everybody's surprise).
    if (was_in_backoff) {
      act(service,
          [](Lifecycle& life, LifecycleContext& context) { life.stop(StopCause::restart, context); });
    }
    release(service);
    service.reason = "started by " + request.by;
    // Who is told to start displaces what conflicts with it.
    auto displace = [&](const Edge& edge) {
      Service& other = *table.at(edge.other);
      bool is_rival = edge.relations.has(Relation::conflicts) && claim_of(other) != Claim::none;
      if (!is_rival || durable.holds.contains(other.name)) return;
      take_back(other, "the start of " + service.name);
      mark_stop(other, {StopCause::operator_request, "conflicts with " + service.name});
      touch(other);
    };
    for (const Edge& edge : *service.out)
      displace(edge);
    for (const Edge& edge : *service.in)
      displace(edge);
  } else {
    release(service);
  }
  waiting[service.id].push_back({request.request, ServiceVerb::start});
}

// Whether somebody who is to run would bring this one back, or come back without it.
bool Reconciler::State::has_wanting_dependents(const Service& service) const {
  return std::any_of(service.in->begin(), service.in->end(), [this](const Edge& edge) {
    bool is_needed = edge.relations.takes_stops() || edge.relations.has(Relation::wants);
    return is_needed && wants_running(*table.at(edge.other));
  });
}

// What it is wanted for does not count until somebody starts it again.
void Reconciler::State::take_back(Service& service, std::string by) {
  bool is_wanted =
      service.desired && (service.desired->is_desired_running || has_wanting_dependents(service));
  if (is_wanted && !durable.holds.contains(service.name)) {
    change_durable().holds.insert_or_assign(service.name, OperatorHold{std::move(by), now.wall});
  }
  if (durable.operator_starts.contains(service.name)) change_durable().operator_starts.erase(service.name);
  service.is_pulled_in = false;
}

void Reconciler::State::request_stop(Service& service, const ServiceRequested& request) {
  take_back(service, request.by);
  mark_stop(service, {StopCause::operator_request, "stopped by " + request.by});
  after_change(service);
  waiting[service.id].push_back({request.request, ServiceVerb::stop});
}

void Reconciler::State::request_restart(Service& service, const ServiceRequested& request) {
  if (service.life.is_down()) {
    request_start(service, request);
    return;
  }
  release(service);
  service.reason = "restarted by " + request.by;
  if (!service.stop_mark && !service.life.is_stopping()) {
    service.restart_intent = RestartIntent{*service.reason, false, false};
    after_change(service);
  }
  waiting[service.id].push_back({request.request, ServiceVerb::restart});
}

void Reconciler::State::request_reload(Service& service, const ServiceRequested& request) {
  bool is_begun = false;
  act(service, [&](Lifecycle& life, LifecycleContext& context) { is_begun = life.reload(context); });
  if (!is_begun) {
    bool has_command = service.life.unit() && !service.life.unit()->commands(ExecPhase::reload).empty();
    refuse(request.request, has_command
                                ? "'" + service.name + "' is " + std::string(to_string(shown_state(service)))
                                : "'" + service.name + "' has no ExecReload=");
    return;
  }
  waiting[service.id].push_back({request.request, ServiceVerb::reload});
}

std::optional<Answer> Reconciler::State::outcome_of(const WaitingRequest& request,
                                                    const Service& service) const {
  auto good = [&](std::string message, Pid pid = 0) {
    return Answer{
        .request = request.request, .error = std::nullopt, .message = std::move(message), .pid = pid};
  };
  auto bad_end = [&](const std::string& message) {
    return Answer{.request = request.request,
                  .error = Error{"'" + service.name + "' " + message},
                  .message = "",
                  .pid = 0};
  };
  if (service.stop_mark || service.restart_intent || service.life.is_stopping()) return std::nullopt;
  const Lifecycle& life = service.life;
  switch (request.verb) {
    case ServiceVerb::stop:
      if (life.is_down() && life.phase() != Phase::backoff) return good("stopped");
      // Somebody else started it again meanwhile.
      if (life.is_active() && !durable.holds.contains(service.name)) return good("stopped");
      return std::nullopt;
    case ServiceVerb::reload:
      if (life.phase() == Phase::reload) return std::nullopt;
      if (!life.is_active()) return bad_end("ended while it was reloaded");
      return life.last_reload_failed() ? bad_end("could not be reloaded") : good("reloaded");
    case ServiceVerb::start:
    case ServiceVerb::restart: break;
  }
  bool was_refused = request.verb == ServiceVerb::restart && !service.preflight_error.empty();
  if (was_refused) return bad_end("was left running: " + service.preflight_error.str());
  if (life.is_active()) return good("running", life.main_pid());
  if (life.is_starting()) return std::nullopt;
  if (life.phase() == Phase::backoff) {
    return bad_end("failed (" + std::string(to_string(life.result())) + "), will be tried again");
  }
  if (service.latch) {
    switch (service.latch->kind) {
      case LatchKind::completed: return good("completed");
      case LatchKind::stopped:
        return life.was_skipped() ? good("skipped: " + life.status_text()) : good("ended");
      case LatchKind::failed: {
        std::string why = std::string(to_string(life.result()));
        if (life.main_exit()) why += ", " + to_string(*life.main_exit());
        if (!life.status_text().empty()) why += ": " + life.status_text();
        return bad_end("failed (" + why + ")");
      }
    }
  }
  if (!service.desired) return bad_end("is no longer in the repository");
  if (durable.holds.contains(service.name)) return bad_end("was stopped meanwhile");
  if (service.wait == Wait::dependency) return bad_end("waits: " + service.waits_for.str());
  if (!wants_running(service)) return bad_end("was stopped meanwhile");
  return std::nullopt;
}

void Reconciler::State::answer_waiting(Service& service) {
  auto found = waiting.find(service.id);
  if (found == waiting.end()) return;
  std::erase_if(found->second, [&](const WaitingRequest& request) {
    std::optional<Answer> earned = outcome_of(request, service);
    if (!earned) return false;
    emit(*std::move(earned));
    return true;
  });
  if (found->second.empty()) waiting.erase(found);
}

void Reconciler::State::take(const RequestNoticed& event) { answer(event.request, ""); }

// --- the node ---

void Reconciler::State::take(const SyncRequested& event) {
  if (options.remote) {
    remote.waiting.push_back(event);  // a fetch that runs may have missed what it is about
  } else {
    begin_sync(event);
  }
}

void Reconciler::State::begin_sync(const SyncRequested& event) {
  if (durable.pin) lift_pin("sync by " + event.by);
  cause = "sync";
  retry_at = never;
  if (event.retries) {
    rejected.reset();
    denied.reset();
    drop_retreat();
    if (!durable.denials.empty()) change_durable().denials.clear();
  }
  // Failed services are tried again; so is a change that was left undone for want of something.
  std::vector<ServiceId> failed(bad.begin(), bad.end());
  for (ServiceId id : failed) {
    Service& service = *table.at(id);
    if (!service.preflight_error.empty()) {
      service.preflight_error.clear();
      service.restart_intent = RestartIntent{"tried again by " + event.by, false, false};
    }
    if (service.life.last_reload_failed()) {
      service.is_reload_due = true;
      service.reason = "reload tried again by " + event.by;
    }
    if (service.latch && service.latch->kind == LatchKind::failed) {
      set_latch(service, std::nullopt);
      service.life.reset_failed();
      service.reason = "tried again by " + event.by;
    }
    after_change(service);
    touch(service);
  }
  if (event.retries) resume_lost_trial();
  await_settled(event.request, event.waits);
}

// Answers at once, or when the node has settled.
void Reconciler::State::await_settled(RequestId request, bool waits) {
  if (waits) {
    syncs.push_back({request, after(now.instant, options.rollout_deadline), ""});
  } else {
    answer(request, "");
  }
}

void Reconciler::State::take(const RollbackRequested& event) {
  std::optional<ObjectId> commit = event.commit;
  if (!commit) {
    for (auto entry = durable.history.rbegin(); entry != durable.history.rend() && !commit; ++entry) {
      bool is_applied = durable.applied == entry->commit || (current && current->id == entry->commit);
      if (entry->outcome == Outcome::healthy && !is_applied) commit = entry->commit;
    }
  }
  if (!commit) {
    refuse(event.request,
           "no other commit has been healthy on this node; name one: gitproc rollback REVISION");
    return;
  }
  if (durable.retreat && durable.retreat->to != *commit) supersede_retreat();
  pin_before = durable.pin;
  bool is_good = !options.verifies_signatures || is_verified(durable.verified, *commit, "");
  is_pin_tried = loaded && loaded->id == *commit && is_good;
  if (rejected && rejected->id == *commit) rejected.reset();
  set_pin(
      Pin{.commit = *commit, .by = event.by, .at = now.wall, .reason = event.reason, .until = event.until});
  await_settled(event.request, event.waits);
}

void Reconciler::State::take(const ShutdownRequested& event) {
  if (!event.stops_services) {
    emit(ExitAgent{});
    return;
  }
  is_shutting_down = true;
  is_settling_in = false;
  adopt_all();
  for (Service* service : table.by_name()) {
    if (!service->life.is_down()) mark_stop(*service, {StopCause::operator_request, "the agent shuts down"});
    touch(*service);
  }
}

void Reconciler::State::answer_syncs() {
  if (syncs.empty()) return;
  SyncState state = is_returning() ? SyncState::progressing : sync_state();
  std::erase_if(syncs, [&](const WaitingSync& sync) {
    if (state == SyncState::progressing && now.instant < sync.deadline) return false;
    if (state == SyncState::synced) {
      answer(sync.request, sync.message);
    } else if (state == SyncState::progressing) {
      refuse(sync.request,
             "not settled in time: " + std::to_string(in_motion.size()) + " services still in motion");
    } else {
      refuse(sync.request, std::string(to_string(state)) + ": " + sync_error());
    }
    return true;
  });
}

bool Reconciler::State::is_rejection_shown() const {
  return rejected && !loading && (target() == rejected->id || tip == rejected->id);
}

SyncState Reconciler::State::sync_state() const {
  std::optional<ObjectId> wanted = target();
  if (!read_error.empty() || (!tip_error.empty() && !durable.pin)) return SyncState::error;
  if (is_rejection_shown()) return SyncState::rejected;
  if (denial_of_tip() != nullptr) return SyncState::rejected;
  if (any_hold() != nullptr) return SyncState::held;
  if (remote.asked) return SyncState::progressing;
  bool is_there =
      current && wanted == current->id && is_trusted(*wanted) && !has_staged_commit && !is_booting;
  if (!is_there || is_applying || !in_motion.empty() || !queue.empty()) return SyncState::progressing;
  return bad.empty() ? SyncState::synced : SyncState::degraded;
}

std::string Reconciler::State::sync_error() const {
  switch (sync_state()) {
    case SyncState::error: return tip_error.empty() || durable.pin ? read_error : tip_error;
    case SyncState::rejected:
      if (!is_rejection_shown())
        return *denial_of_tip() + "; change it, or try it again by 'gitproc sync --retry'";
      return rejection.empty() ? "the commit was rejected" : to_string(rejection.front());
    case SyncState::degraded: return bad_services();
    case SyncState::held: return any_hold()->message;
    case SyncState::progressing:
    case SyncState::synced: return "";
  }
  __builtin_unreachable();
}

}  // namespace gitproc
