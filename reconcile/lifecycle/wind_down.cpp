// From the decision to end to the end: ExecStop=, signals, ExecStopPost=, signals again, and what comes then.
#include "reconcile/lifecycle/lifecycle.h"
#include "reconcile/lifecycle/restart_policy.h"
#include "reconcile/unit/values.h"

namespace gitproc {
namespace {

bool is_second_round(Phase phase) { return phase >= Phase::stop_post; }

}  // namespace

// The orderly end of a service that was started. A failed main process ends by enter_kill instead.
void Lifecycle::enter_stop(LifecycleContext& context) {
  end_supervision(context);
  enter_commands(Phase::stop, context);
}

// Signals what there is and waits for its end; there are two rounds, before and after ExecStopPost=.
void Lifecycle::enter_kill(Phase phase, KillReason reason, LifecycleContext& context) {
  end_supervision(context);
  bool is_restart =
      reason == KillReason::terminate && phase == Phase::stop_sigterm && end_cause_ == EndCause::restart;
  kill_reason_ = is_restart ? KillReason::restart : reason;
  is_group_awaited_ = false;
  is_awaiting_main_pid_ = false;
  set_phase(phase, context);
  phase_deadline_ = after(context.now.instant,
                          reason == KillReason::abort ? unit_->abort_timeout() : unit_->timeouts->stop);
  send_kill(context);
  advance_kill(context);
}

void Lifecycle::send_kill(LifecycleContext& context) {
  bool is_known_empty = is_group_empty_ && main_pid_ == 0 && control_pid_ == 0;
  if (is_known_empty) return;
  std::optional<Kill> kill = make_kill(id_, unit_, kill_reason_, main_pid_, control_pid_);
  if (!kill) return;
  is_group_awaited_ = kill->awaits_empty;
  if (is_group_awaited_) is_group_empty_ = false;
  context.commands.push_back(*std::move(kill));
}

// Signals one process. A Kill says anew whether an empty group is awaited, so what was awaited still is.
void Lifecycle::kill_alone(Pid pid, int signal, LifecycleContext& context) {
  bool is_main_unknown = has_main_ && main_pid_ == 0;
  bool awaits_empty = is_main_unknown || (is_killing() && is_group_awaited_ && !is_group_empty_);
  context.commands.push_back(Kill{
      .service = id_, .unit = unit_, .control_pid = pid, .signal = signal, .awaits_empty = awaits_empty});
}

// Goes on when nobody is left to wait for.
void Lifecycle::advance_kill(LifecycleContext& context) {
  if (pending_spawn_ != SpawnId{}) return;
  const KillPolicy& policy = *unit_->kill;
  bool is_anybody_awaited = main_pid_ != 0 || control_pid_ != 0;
  if (policy.mode != KillMode::none && is_anybody_awaited) return;
  if (policy.mode == KillMode::control_group && !is_group_awaited_ && !is_group_empty_) send_kill(context);
  if (is_group_awaited_ && !is_group_empty_) return;

  bool is_sigkill = phase_ == Phase::stop_sigkill || phase_ == Phase::final_sigkill;
  bool are_others_left = policy.mode == KillMode::mixed && !is_group_empty_ && !is_sigkill;
  if (are_others_left && policy.sends_sigkill) {
    Phase next = is_second_round(phase_) ? Phase::final_sigkill : Phase::stop_sigkill;
    return enter_kill(next, KillReason::kill, context);
  }
  if (is_second_round(phase_)) return finish(true, context);
  enter_commands(Phase::stop_post, context);
}

// A time-out before ExecStopPost=: TimeoutStartFailureMode=, TimeoutStopFailureMode=.
void Lifecycle::end_by_mode(TimeoutFailureMode mode, LifecycleContext& context) {
  switch (mode) {
    case TimeoutFailureMode::terminate:
      return enter_kill(Phase::stop_sigterm, KillReason::terminate, context);
    case TimeoutFailureMode::abort: return enter_kill(Phase::stop_watchdog, KillReason::abort, context);
    case TimeoutFailureMode::kill:
      if (unit_->kill->sends_sigkill) return enter_kill(Phase::stop_sigkill, KillReason::kill, context);
      return enter_commands(Phase::stop_post, context);
  }
  __builtin_unreachable();
}

void Lifecycle::phase_expired(LifecycleContext& context) {
  const TimeoutFailureMode stop_mode = unit_->timeouts->stop_failure;
  const bool sends_sigkill = unit_->kill->sends_sigkill;
  switch (phase_) {
    case Phase::dead:
    case Phase::failed:
    case Phase::backoff:
    case Phase::running:
    case Phase::exited: return;
    case Phase::conditions:
      // The invocation has not begun; what its predecessor came to says nothing about it.
      result_ = ServiceResult::success;
      main_exit_.reset();
      note(ServiceResult::timeout, "its conditions could not be checked in time");
      return finish(true, context);
    case Phase::condition:
    case Phase::start_pre:
    case Phase::start:
    case Phase::start_post:
      note(ServiceResult::timeout, "start-up took too long (" + std::string(to_string(phase_)) + ")");
      return end_by_mode(unit_->timeouts->start_failure, context);
    case Phase::probe:
      note(ServiceResult::timeout, "no health probe has passed in time");
      return end_by_mode(unit_->timeouts->start_failure, context);
    case Phase::reload:
      if (control_pid_ != 0) {
        constexpr int sigkill = 9;
        kill_alone(control_pid_, sigkill, context);
        control_pid_ = 0;
      }
      pending_spawn_ = {};
      return after_failed_command(context);
    case Phase::stop:
      note(ServiceResult::timeout, "ExecStop= took too long");
      return end_by_mode(stop_mode, context);
    case Phase::stop_watchdog:
    case Phase::stop_sigterm:
      note(ServiceResult::timeout, "its processes did not end in time");
      if (phase_ == Phase::stop_sigterm && stop_mode == TimeoutFailureMode::abort) {
        return enter_kill(Phase::stop_watchdog, KillReason::abort, context);
      }
      if (sends_sigkill) return enter_kill(Phase::stop_sigkill, KillReason::kill, context);
      return enter_commands(Phase::stop_post, context);
    case Phase::stop_sigkill:
      note(ServiceResult::timeout, "its processes survived SIGKILL");
      context.commands.push_back(FindSurvivors{id_, unit_});
      return enter_commands(Phase::stop_post, context);
    case Phase::stop_post:
      note(ServiceResult::timeout, "ExecStopPost= took too long");
      switch (stop_mode) {
        case TimeoutFailureMode::terminate:
          return enter_kill(Phase::final_sigterm, KillReason::terminate, context);
        case TimeoutFailureMode::abort: return enter_kill(Phase::final_sigterm, KillReason::abort, context);
        case TimeoutFailureMode::kill:
          if (sends_sigkill) return enter_kill(Phase::final_sigkill, KillReason::kill, context);
          return finish(false, context);
      }
      __builtin_unreachable();
    case Phase::final_sigterm:
      note(ServiceResult::timeout, "its processes did not end in time");
      if (sends_sigkill) return enter_kill(Phase::final_sigkill, KillReason::kill, context);
      return finish(false, context);
    case Phase::final_sigkill:
      note(ServiceResult::timeout, "its processes survived SIGKILL");
      context.commands.push_back(FindSurvivors{id_, unit_});
      return finish(true, context);
  }
  __builtin_unreachable();
}

// The invocation is over, and Restart= is asked. A main process that outlived everything is never restarted by
// itself: it would run twice.
void Lifecycle::finish(bool may_restart, LifecycleContext& context) {
  bool has_survivor = main_pid_ != 0;
  bool is_asked = may_restart && !has_survivor && end_cause_ == EndCause::natural;
  Ending ending{.result = result_, .main_exit = main_exit_, .is_unhealthy = is_unhealthy_restart_};
  if (is_asked && should_restart(*unit_, ending)) return end_invocation(Phase::backoff, context);
  bool is_well = result_ == ServiceResult::success || result_ == ServiceResult::condition;
  end_invocation(is_well ? Phase::dead : Phase::failed, context);
}

// Condition...= or Assert...= said no.
void Lifecycle::skip(bool is_assert, std::string_view unmet, LifecycleContext& context) {
  result_ = ServiceResult::success;
  main_exit_.reset();
  was_started_ = false;
  note(ServiceResult::condition, std::string(unmet) + " was not met");
  end_invocation(is_assert ? Phase::failed : Phase::dead, context);
}

// The start limit said no. What went wrong before says more than that, so it stays.
void Lifecycle::refuse(LifecycleContext& context) {
  if (result_ == ServiceResult::condition) result_ = ServiceResult::success;
  was_started_ = false;
  note(ServiceResult::start_limit_hit, "");
  status_text_ =
      "started too often: more than StartLimitBurst=" + std::to_string(unit_->restart->start_limit_burst) +
      " times within StartLimitIntervalSec=" + print_time_span(unit_->restart->start_limit_interval);
  end_invocation(Phase::failed, context);
}

void Lifecycle::end_invocation(Phase phase, LifecycleContext& context) {
  end_supervision(context);
  main_pid_ = 0;
  control_pid_ = 0;
  has_main_ = false;
  is_awaiting_main_pid_ = false;
  last_reload_failed_ = false;
  pending_spawn_ = {};
  health_ = HealthState::none;

  bool will_restart = phase == Phase::backoff || end_cause_ == EndCause::restart;
  context.commands.push_back(CleanUp{.service = id_, .unit = unit_, .will_restart = will_restart});

  bool has_completed = false;
  std::optional<Latch> latch;
  if (end_cause_ == EndCause::natural && phase != Phase::backoff) {
    has_completed =
        phase == Phase::dead && result_ == ServiceResult::success && unit_->type == ServiceType::oneshot;
    LatchKind kind = phase == Phase::failed ? LatchKind::failed
                     : has_completed        ? LatchKind::completed
                                            : LatchKind::stopped;
    latch = Latch{kind, result_, main_exit_};
  }
  record(RunRecord::Kind::ended, context, latch);
  set_phase(phase, context, has_completed);
  if (phase == Phase::backoff) phase_deadline_ = after(context.now.instant, unit_->restart->delay);
}

}  // namespace gitproc
