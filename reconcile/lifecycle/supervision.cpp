// While a service is up: its watchdog, its RuntimeMaxSec=, its health probes, and whose messages count.
#include <algorithm>
#include <utility>

#include "reconcile/lifecycle/health_policy.h"
#include "reconcile/lifecycle/lifecycle.h"

namespace gitproc {

Lifecycle::Watch& Lifecycle::watch() {
  if (!watch_) {
    watch_ = std::make_unique<Watch>();
    watch_->is_at_rest = true;
  }
  if (std::exchange(watch_->is_at_rest, false)) watch_->watchdog_span = unit_->timeouts->watchdog;
  return *watch_;
}

// Arms what is not armed yet: on the way into probe, running and exited, also back from a reload.
void Lifecycle::begin_supervision(LifecycleContext& context) {
  const Timeouts& timeouts = *unit_->timeouts;
  bool is_asked_for =
      unit_->has_health_check() || timeouts.runtime_max != infinite || timeouts.watchdog != infinite;
  if ((!watch_ || watch_->is_at_rest) && !is_asked_for) return;
  Instant now = context.now.instant;
  Watch& watched = watch();
  if (phase_ == Phase::exited) {
    watched.watchdog_due = never;
    watched.runtime_end = never;
  } else {
    if (watched.watchdog_due == never) watched.watchdog_due = after(now, watched.watchdog_span);
    if (watched.runtime_end == never && phase_ == Phase::running) {
      watched.runtime_end = after(now, timeouts.runtime_max);
    }
  }
  if (!unit_->has_health_check()) return;
  if (health_ == HealthState::none) {
    health_ = HealthState::starting;
    watched.start_period_end = after(now, unit_->health->start_period);
  }
  bool needs_probe = phase_ != Phase::probe && !watched.is_probing && watched.probe_due == never;
  // One that was adopted has no known health yet.
  if (needs_probe && health_ == HealthState::starting) return start_probe(context);
  if (needs_probe) watched.probe_due = after(now, spread_pause(*unit_->health, id_));
}

void Lifecycle::end_supervision(LifecycleContext& context) {
  pause_probes(context);
  if (!watch_) return;
  // What the probes found explains a restart, and outlives it.
  std::vector<ProbeResult> results = std::move(watch_->results);
  watch_.reset();
  if (results.empty()) return;
  watch_ = std::make_unique<Watch>();
  watch_->is_at_rest = true;
  watch_->results = std::move(results);
}

void Lifecycle::keep_alive(LifecycleContext& context) {
  bool is_watched = phase_ == Phase::probe || phase_ == Phase::running || phase_ == Phase::reload;
  if (watch_ && is_watched && has_main_)
    watch_->watchdog_due = after(context.now.instant, watch_->watchdog_span);
}

void Lifecycle::watchdog_missed(LifecycleContext& context) {
  note(ServiceResult::watchdog, "WATCHDOG=1 did not come in time");
  enter_kill(Phase::stop_watchdog, KillReason::abort, context);
}

// During a reload the service may be away for a moment, which is no failure.
void Lifecycle::pause_probes(LifecycleContext& context) {
  if (!watch_) return;
  if (watch_->is_probing) context.commands.push_back(CancelProbe{id_});
  watch_->is_probing = false;
  watch_->probe_due = never;
}

void Lifecycle::start_probe(LifecycleContext& context) {
  Watch& watched = watch();
  watched.is_probing = true;
  watched.probe_due = never;
  watched.probe_began = context.now.instant;
  context.commands.push_back(StartProbe{id_, unit_, main_pid_, invocation_});
}

const std::vector<ProbeResult>& Lifecycle::probes() const {
  static const std::vector<ProbeResult> none;
  return watch_ ? watch_->results : none;
}

// Its HealthCheck...= are others now: what was found by the old ones says nothing about these.
void Lifecycle::follow_health_check(LifecycleContext& context) {
  pause_probes(context);
  if (watch_) watch_->streak = {};
  if (!unit_->has_health_check()) health_ = HealthState::none;
  switch (phase_) {
    case Phase::probe:
      if (!unit_->has_health_check()) return enter_running(context);
      return start_probe(context);
    case Phase::running:
    case Phase::exited:
      if (health_ == HealthState::none) return begin_supervision(context);
      return start_probe(context);
    case Phase::dead:
    case Phase::failed:
    case Phase::backoff:
    case Phase::conditions:
    case Phase::condition:
    case Phase::start_pre:
    case Phase::start:
    case Phase::start_post:
    case Phase::reload:
    case Phase::stop:
    case Phase::stop_watchdog:
    case Phase::stop_sigterm:
    case Phase::stop_sigkill:
    case Phase::stop_post:
    case Phase::final_sigterm:
    case Phase::final_sigkill: return;
  }
}

// EXTEND_TIMEOUT_USEC=: everything that is armed is due no sooner than this.
void Lifecycle::extend_timeout(Duration span, LifecycleContext& context) {
  Instant earliest = after(context.now.instant, std::max(span, Duration::zero()));
  phase_deadline_ = std::max(phase_deadline_, earliest);
  if (!watch_) return;
  watch_->watchdog_due = std::max(watch_->watchdog_due, earliest);
  watch_->runtime_end = std::max(watch_->runtime_end, earliest);
}

bool Lifecycle::accepts_notification(Pid sender) const {
  NotifyAccess access = unit_->notify_access;
  bool needs_some = unit_->type == ServiceType::notify || unit_->timeouts->watchdog != infinite;
  if (access == NotifyAccess::none && needs_some) access = NotifyAccess::main;
  bool is_main = sender != 0 && sender == main_pid_;
  switch (access) {
    case NotifyAccess::none: return false;
    case NotifyAccess::main: return is_main;
    case NotifyAccess::exec: return is_main || (sender != 0 && sender == control_pid_);
    case NotifyAccess::all: return true;
  }
  __builtin_unreachable();
}

}  // namespace gitproc
