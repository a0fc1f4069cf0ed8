#include "reconcile/lifecycle/lifecycle.h"

#include <algorithm>

#include "reconcile/base/cut.h"
#include "reconcile/lifecycle/health_policy.h"

namespace gitproc {
namespace {

// STATUS= and the words of a probe come from the service; more than this of them helps nobody.
constexpr std::size_t status_text_limit_bytes = 512;

std::string shortened(std::string_view text) {
  return std::string(cut_at_character(text, status_text_limit_bytes));
}

}  // namespace

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::dead: return "dead";
    case Phase::failed: return "failed";
    case Phase::backoff: return "backoff";
    case Phase::conditions: return "conditions";
    case Phase::condition: return "condition";
    case Phase::start_pre: return "start-pre";
    case Phase::start: return "start";
    case Phase::start_post: return "start-post";
    case Phase::probe: return "probe";
    case Phase::running: return "running";
    case Phase::exited: return "exited";
    case Phase::reload: return "reload";
    case Phase::stop: return "stop";
    case Phase::stop_watchdog: return "stop-watchdog";
    case Phase::stop_sigterm: return "stop-sigterm";
    case Phase::stop_sigkill: return "stop-sigkill";
    case Phase::stop_post: return "stop-post";
    case Phase::final_sigterm: return "final-sigterm";
    case Phase::final_sigkill: return "final-sigkill";
  }
  __builtin_unreachable();
}

// --- facts ---

ServiceState Lifecycle::state() const {
  switch (phase_) {
    case Phase::dead: return has_completed_ ? ServiceState::completed : ServiceState::stopped;
    case Phase::failed: return ServiceState::failed;
    case Phase::backoff: return ServiceState::backoff;
    case Phase::conditions:
    case Phase::condition:
    case Phase::start_pre:
    case Phase::start:
    case Phase::start_post:
    case Phase::probe: return ServiceState::starting;
    case Phase::running: return ServiceState::running;
    case Phase::exited:
      return unit_->type == ServiceType::oneshot ? ServiceState::completed : ServiceState::running;
    case Phase::reload: return ServiceState::reloading;
    case Phase::stop:
    case Phase::stop_watchdog:
    case Phase::stop_sigterm:
    case Phase::stop_sigkill:
    case Phase::stop_post:
    case Phase::final_sigterm:
    case Phase::final_sigkill: return ServiceState::stopping;
  }
  __builtin_unreachable();
}

Instant Lifecycle::deadline() const {
  if (!watch_) return phase_deadline_;
  return std::min({phase_deadline_, watch_->watchdog_due, watch_->runtime_end, watch_->probe_due});
}

void Lifecycle::set_phase(Phase phase, LifecycleContext& context, bool has_completed) {
  ServiceState before = state();
  phase_ = phase;
  has_completed_ = has_completed;
  phase_deadline_ = never;
  if (state() != before) since_ = context.now.wall;
}

void Lifecycle::note(ServiceResult result, std::string_view why) {
  if (result == ServiceResult::success || result_ != ServiceResult::success) return;
  result_ = result;
  status_text_ = shortened(why);
}

void Lifecycle::record(RunRecord::Kind kind, LifecycleContext& context, std::optional<Latch> latch) {
  context.commands.push_back(RunRecord{.service = id_,
                                       .name = unit_->name,
                                       .kind = kind,
                                       .main_pid = main_pid_,
                                       .fingerprint = 0,
                                       .latch = latch});
}

// --- what the Reconciler asks for ---

void Lifecycle::replace_unit(UnitPtr unit, LifecycleContext& context) {
  bool has_new_check = unit_ && *unit_->health != *unit->health;
  unit_ = std::move(unit);
  if (has_new_check) follow_health_check(context);
}

void Lifecycle::start(UnitPtr unit, bool is_automatic, LifecycleContext& context) {
  if (!is_down()) return;
  unit_ = std::move(unit);
  restarts_ = is_automatic ? restarts_ + 1 : 0;
  end_cause_ = EndCause::natural;
  if (unit_->conditions->empty()) return begin(context);
  set_phase(Phase::conditions, context);
  phase_deadline_ = after(context.now.instant, unit_->start_timeout());
  context.commands.push_back(CheckConditions{id_, unit_});
}

void Lifecycle::stop(StopCause cause, LifecycleContext& context) {
  bool is_over = phase_ == Phase::dead || phase_ == Phase::failed;
  if (is_over) return;
  bool is_news = end_cause_ == EndCause::natural;
  end_cause_ = cause == StopCause::restart ? EndCause::restart : EndCause::operator_request;
  if (is_news) record(RunRecord::Kind::stopping, context);

  switch (phase_) {
    case Phase::dead:
    case Phase::failed: return;
    case Phase::backoff:
    case Phase::conditions:
      // No process: whatever the invocation before this one came to is over and done with.
      result_ = ServiceResult::success;
      return end_invocation(Phase::dead, context);
    case Phase::condition:
    case Phase::start_pre:
    case Phase::start:
    case Phase::start_post:
    case Phase::reload: return enter_kill(Phase::stop_sigterm, KillReason::terminate, context);
    case Phase::probe:
    case Phase::running:
    case Phase::exited: return enter_stop(context);
    case Phase::stop:
    case Phase::stop_watchdog:
    case Phase::stop_sigterm:
    case Phase::stop_sigkill:
    case Phase::stop_post:
    case Phase::final_sigterm:
    case Phase::final_sigkill: return;
  }
  __builtin_unreachable();
}

bool Lifecycle::reload(LifecycleContext& context) {
  bool is_up = phase_ == Phase::running || phase_ == Phase::exited;
  if (!is_up || unit_->commands(ExecPhase::reload).empty()) return false;
  last_reload_failed_ = false;
  pause_probes(context);
  enter_commands(Phase::reload, context);
  return true;
}

void Lifecycle::reset_failed() {
  start_limit_.forget();
  restarts_ = 0;
  if (phase_ != Phase::failed) return;
  phase_ = Phase::dead;
  result_ = ServiceResult::success;
  status_text_.clear();
}

// --- what happens ---

void Lifecycle::on(const Spawned& event, LifecycleContext& context) {
  if (pending_spawn_ == SpawnId{} || event.spawn != pending_spawn_) {
    bool is_ours = event.pid == main_pid_ || event.pid == control_pid_;
    bool may_kill = unit_ && unit_->kill->mode != KillMode::none;
    // It took so long that nobody waits for it any more: it must not run beside what came after it.
    if (!is_ours && may_kill) {
      kill_alone(event.pid, unit_->kill->final_signal, context);
    }
    return;
  }
  pending_spawn_ = {};
  if (is_pending_main_) {
    main_pid_ = event.pid;
    has_main_ = true;
  } else {
    control_pid_ = event.pid;
  }
  if (is_killing()) {
    send_kill(context);
    return advance_kill(context);
  }
  if (phase_ != Phase::start || !is_pending_main_) return;

  switch (unit_->type) {
    case ServiceType::simple:
    case ServiceType::exec:
    case ServiceType::dbus:
    case ServiceType::idle: return enter_commands(Phase::start_post, context);
    case ServiceType::notify:
      if (is_ready_) enter_commands(Phase::start_post, context);
      return;
    case ServiceType::oneshot:
    case ServiceType::forking: return;
  }
  __builtin_unreachable();
}

void Lifecycle::on(const SpawnFailed& event, LifecycleContext& context) {
  if (pending_spawn_ == SpawnId{} || event.spawn != pending_spawn_) return;
  pending_spawn_ = {};
  if (is_killing()) send_kill(context);  // an Emptied that came meanwhile was not believed
  if (event.exit_code == 0) {
    bool is_reload = !is_pending_main_ && command_phase_ == ExecPhase::reload;
    if (!is_reload) note(ServiceResult::resources, event.message);
    return after_failed_command(context);
  }
  ExitStatus status{ExitStatus::Kind::exited, event.exit_code};
  if (!is_pending_main_) return control_ended(status, false, context);

  bool counts_as_started = unit_->type == ServiceType::simple || unit_->type == ServiceType::idle ||
                           unit_->type == ServiceType::dbus;
  if (phase_ == Phase::start && counts_as_started) {
    // fork(2) went well, as systemd has it, and what its child did is told by the child's exit.
    has_main_ = true;
    enter_commands(Phase::start_post, context);
  }
  main_ended(status, false, context);
}

bool Lifecycle::may_have_main() const {
  return phase_ >= Phase::start && phase_ <= Phase::stop && phase_ != Phase::exited;
}

// As in systemd, a daemon may go on as another process, if PIDFile= names it before the old one ends or by the end of a
// reload (nginx's upgrade of its binary).
bool Lifecycle::may_move_main(const ProcessExited& event) const {
  bool has_reloaded = event.pid == control_pid_ && phase_ == Phase::reload && event.status == ExitStatus{};
  return may_have_main() && (event.pid == main_pid_ || has_reloaded);
}

void Lifecycle::on(const ProcessExited& event, LifecycleContext& context) {
  if (event.pid == 0) return;
  if (event.pid_in_file != 0 && may_move_main(event)) accept_main_pid(event.pid_in_file, context);
  if (event.pid == main_pid_) return main_ended(event.status, event.was_oom_killed, context);
  if (event.pid == control_pid_) {
    control_pid_ = 0;
    return control_ended(event.status, event.was_oom_killed, context);
  }
  if (event.was_oom_killed) bystander_was_oom_killed(context);
}

void Lifecycle::on(const OomKilled&, LifecycleContext& context) { bystander_was_oom_killed(context); }

void Lifecycle::on(const SurvivorsFound& event, LifecycleContext&) {
  bool is_of_now = is_down() || is_stopping();
  if (is_of_now && !event.processes.empty())
    status_text_ = shortened("its processes survived SIGKILL: " + event.processes);
}

void Lifecycle::on(const Emptied&, LifecycleContext& context) {
  switch (phase_) {
    case Phase::dead:
    case Phase::failed:
    case Phase::backoff:
    case Phase::conditions:
    case Phase::condition:
    case Phase::start_pre:
    case Phase::start:
    case Phase::exited:
    case Phase::stop:
    case Phase::stop_post: return;
    case Phase::start_post:
    case Phase::reload:
      if (main_pid_ == 0) has_main_ = false;
      return;
    case Phase::probe:
    case Phase::running:
      // The processes among which no main one could be told are gone.
      if (main_pid_ != 0 || !has_main_) return;
      has_main_ = false;
      is_group_empty_ = true;
      return enter_running(context);
    case Phase::stop_watchdog:
    case Phase::stop_sigterm:
    case Phase::stop_sigkill:
    case Phase::final_sigterm:
    case Phase::final_sigkill:
      if (pending_spawn_ != SpawnId{}) return;  // the group was empty before that process
      is_group_empty_ = true;
      return advance_kill(context);
  }
  __builtin_unreachable();
}

void Lifecycle::on(const MainPidFound& event, LifecycleContext& context) {
  if (!is_awaiting_main_pid_) return;
  is_awaiting_main_pid_ = false;
  if (event.pid != 0) {
    accept_main_pid(event.pid, context);
  } else if (!event.is_empty) {
    accept_unknown_main(context);
  } else if (!has_main_) {
    is_group_empty_ = true;
    if (!unit_->pid_file.empty()) {
      note(ServiceResult::protocol, "every process ended without writing PIDFile=");
      return enter_kill(Phase::stop_sigterm, KillReason::terminate, context);
    }
  }
  if (phase_ == Phase::start) return enter_commands(Phase::start_post, context);
  bool is_start_post_done = control_pid_ == 0 && pending_spawn_ == SpawnId{};
  if (phase_ == Phase::start_post && is_start_post_done) enter_running(context);
}

void Lifecycle::on(const ConditionsChecked& event, LifecycleContext& context) {
  if (phase_ != Phase::conditions) return;
  if (event.is_met) return begin(context);
  skip(event.is_assert, event.unmet, context);
}

void Lifecycle::on(const Notified& event, LifecycleContext& context) {
  if (is_down() || phase_ == Phase::conditions || !accepts_notification(event.sender)) return;
  if (event.main_pid && *event.main_pid > 1 && may_have_main()) accept_main_pid(*event.main_pid, context);
  if (event.status) status_text_ = shortened(*event.status);
  if (event.extend_timeout) extend_timeout(*event.extend_timeout, context);
  if (event.watchdog) {
    watch().watchdog_span = *event.watchdog > Duration::zero() ? *event.watchdog : infinite;
    keep_alive(context);
  }
  if (event.is_watchdog) keep_alive(context);
  if (event.is_watchdog_trigger && is_active()) return watchdog_missed(context);

  if (event.is_ready) {
    is_ready_ = true;
    is_readiness_assumed_ = false;
    is_reloading_by_notify_ = false;
    bool is_up = pending_spawn_ == SpawnId{};
    if (phase_ == Phase::start && unit_->type == ServiceType::notify && is_up) {
      return enter_commands(Phase::start_post, context);
    }
    if (phase_ == Phase::reload && is_up && control_pid_ == 0) return enter_running(context);
  } else if (event.is_stopping) {
    if (phase_ != Phase::probe && phase_ != Phase::running) return;
    // It ends by itself: no signal, but the time of one.
    end_supervision(context);
    kill_reason_ = KillReason::terminate;
    is_group_awaited_ = false;
    set_phase(Phase::stop_sigterm, context);
    phase_deadline_ = after(context.now.instant, unit_->timeouts->stop);
  } else if (event.is_reloading) {
    if (phase_ != Phase::running && phase_ != Phase::reload) return;
    is_reloading_by_notify_ = true;
    if (phase_ == Phase::running) enter_running(context);
  }
}

void Lifecycle::keep_result(const ProbeFinished& event, LifecycleContext& context) {
  std::vector<ProbeResult>& results = watch_->results;
  if (results.size() == probe_history_limit) results.erase(results.begin());
  Duration took = context.now.instant - watch_->probe_began;
  results.push_back({.at = context.now.wall - took,
                     .took = took,
                     .is_healthy = event.is_healthy,
                     .detail = shortened(event.detail)});
}

void Lifecycle::on(const ProbeFinished& event, LifecycleContext& context) {
  if (!watch_ || !watch_->is_probing) return;
  watch_->is_probing = false;
  keep_result(event, context);
  const HealthCheck& check = *unit_->health;
  bool is_starting = phase_ == Phase::probe;
  bool was_unknown = health_ == HealthState::starting;
  bool is_in_start_period = is_starting || context.now.instant < watch_->start_period_end;
  health_ = judge_probe(check, health_, event.is_healthy, is_in_start_period, watch_->streak);
  if (is_starting && health_ == HealthState::healthy) return enter_running(context);
  if (health_ != HealthState::unhealthy || !check.restarts) {
    bool is_soon = is_starting || (health_ != HealthState::healthy && event.is_healthy);
    // One that was adopted is probed at once, as all others of the agent are.
    bool is_now_known = was_unknown && health_ != HealthState::starting;
    Instant now = context.now.instant;
    watch_->probe_due = is_now_known ? after(now, spread_pause(check, id_))
                                     : next_probe(check, is_soon, watch_->probe_began, now);
    return;
  }
  note(ServiceResult::watchdog, "unhealthy: " + event.detail);
  is_unhealthy_restart_ = true;
  enter_stop(context);
}

void Lifecycle::on_deadline(LifecycleContext& context) {
  Instant now = context.now.instant;
  // A time-out may lead to a phase whose own is zero, so one call may pass through several.
  while (!is_down() && deadline() <= now) {
    if (phase_deadline_ <= now) {
      phase_expired(context);
    } else if (watch_->watchdog_due <= now) {
      watchdog_missed(context);
    } else if (watch_->runtime_end <= now) {
      note(ServiceResult::timeout, "RuntimeMaxSec= has passed");
      enter_stop(context);
    } else {
      start_probe(context);
    }
  }
}

}  // namespace gitproc
