// Continuing the services of an earlier agent from what the run journal says of them.
#include <algorithm>

#include "reconcile/lifecycle/exit_verdict.h"
#include "reconcile/lifecycle/lifecycle.h"

namespace gitproc {
namespace {

constexpr ExitStatus unseen_end{ExitStatus::Kind::unknown, 0};

// Where the clock was set meanwhile: by the clock of now.
WallTime wall_time_of(Instant past, const Now& now) {
  return now.wall - (now.instant - std::min(past, now.instant));
}

}  // namespace

void Lifecycle::adopt(const AdoptedService& record, UnitPtr unit, LifecycleContext& context) {
  if (!unit) {
    // Its unit is gone and nobody knows what it was: it can still be ended as any service can.
    Unit plain;
    plain.name = record.name;
    unit = std::make_shared<const Unit>(std::move(plain));
  }
  unit_ = std::move(unit);
  since_ = context.now.wall;
  invocation_ = record.invocation;
  restarts_ = record.restarts;
  was_started_ = record.was_started;
  if (record.latch) {
    result_ = record.latch->result;
    main_exit_ = record.latch->exit;
    Phase phase = record.latch->kind == LatchKind::failed ? Phase::failed : Phase::dead;
    return set_phase(phase, context, record.latch->kind == LatchKind::completed);
  }
  end_cause_ = record.was_stopping ? EndCause::operator_request : EndCause::natural;
  if (record.main && record.main->is_alive) {
    main_pid_ = record.main->pid;
    has_main_ = true;
  }
  bool is_main_recorded_as_control = record.phase == ExecPhase::start && unit_->type != ServiceType::forking;
  if (record.control && record.control->is_alive && !is_main_recorded_as_control)
    control_pid_ = record.control->pid;
  command_phase_ = record.phase;
  command_index_ = record.command_index;
  main_index_ = record.phase == ExecPhase::start ? record.command_index : 0;
  // Of a stop by request nothing is judged.
  if (!record.was_stopping) judge_unseen(record);
  if (record.was_stopping || record.phase == ExecPhase::stop || record.phase == ExecPhase::stop_post) {
    return resume_stop(record, context);
  }
  resume(record, context);
  // It is what it was before.
  if (record.was_started && state() == ServiceState::running)
    since_ = wall_time_of(record.started_at, context.now);
}

// What must have happened while nobody looked.
void Lifecycle::judge_unseen(const AdoptedService& record) {
  bool is_ending = record.phase == ExecPhase::stop || record.phase == ExecPhase::stop_post;
  bool needs_main = record.phase >= ExecPhase::start && unit_->type != ServiceType::oneshot &&
                    (unit_->type != ServiceType::forking || is_ending);
  bool is_main_lost = !has_main_ && (record.main || needs_main);
  if (is_main_lost) {
    main_exit_ = unseen_end;
    note(judge_main_exit(*unit_, main_index_, unseen_end, false),
         "main process ended while the agent was away");
  }
  // Only a start-up that failed is followed by ExecStopPost= without ever being complete.
  if (is_ending && !record.was_started)
    note(ServiceResult::exit_code, "start-up failed while the agent was away");
}

void Lifecycle::resume(const AdoptedService& record, LifecycleContext& context) {
  bool is_failure_certain = result_ != ServiceResult::success && control_pid_ == 0;
  if (is_failure_certain) return enter_running(context);
  bool is_reloading = record.phase == ExecPhase::reload && control_pid_ != 0;
  if (record.was_started && !is_reloading) {
    bool is_main_unknown = unit_->type == ServiceType::forking && !record.main;
    if (is_main_unknown) accept_unknown_main(context);
    control_pid_ = 0;
    return enter_running(context);
  }
  switch (record.phase) {
    case ExecPhase::condition: return resume_commands(Phase::condition, record, context);
    case ExecPhase::start_pre: return resume_commands(Phase::start_pre, record, context);
    case ExecPhase::start: return resume_start(record, context);
    case ExecPhase::start_post: return resume_commands(Phase::start_post, record, context);
    case ExecPhase::reload: return resume_commands(Phase::reload, record, context);
    case ExecPhase::stop:
    case ExecPhase::stop_post: return resume_stop(record, context);
  }
  __builtin_unreachable();
}

// ExecStart= was the last that was run, and start-up was not complete.
void Lifecycle::resume_start(const AdoptedService& record, LifecycleContext& context) {
  switch (unit_->type) {
    case ServiceType::oneshot:
      if (!has_main_) return enter_start(context, record.command_index + 1);
      set_phase(Phase::start, context);
      phase_deadline_ = after(context.now.instant, unit_->start_timeout());
      return;
    case ServiceType::forking:
      if (has_main_) return enter_commands(Phase::start_post, context);
      if (record.main) return enter_running(context);
      set_phase(Phase::start, context);
      phase_deadline_ = after(context.now.instant, unit_->start_timeout());
      if (control_pid_ == 0) await_main_pid(context);
      return;
    case ServiceType::notify: is_readiness_assumed_ = has_main_; [[fallthrough]];
    case ServiceType::simple:
    case ServiceType::exec:
    case ServiceType::dbus:
    case ServiceType::idle:
      if (!has_main_) return enter_running(context);
      return enter_commands(Phase::start_post, context);
  }
  __builtin_unreachable();
}

void Lifecycle::resume_stop(const AdoptedService& record, LifecycleContext& context) {
  switch (record.phase) {
    case ExecPhase::stop: return resume_commands(Phase::stop, record, context);
    case ExecPhase::stop_post: return resume_commands(Phase::stop_post, record, context);
    case ExecPhase::condition:
    case ExecPhase::start_pre:
    case ExecPhase::start:
    case ExecPhase::start_post:
      // A stop of what was started begins with ExecStop=, and its first command has not been run yet.
      if (record.was_started) return enter_stop(context);
      return enter_kill(Phase::stop_sigterm, KillReason::terminate, context);
    case ExecPhase::reload: return enter_kill(Phase::stop_sigterm, KillReason::terminate, context);
  }
  __builtin_unreachable();
}

// Waits for the recorded command, with its time anew, or goes on behind it.
void Lifecycle::resume_commands(Phase phase, const AdoptedService& record, LifecycleContext& context) {
  if (control_pid_ == 0) return enter_commands(phase, context, record.command_index + 1);
  set_phase(phase, context);
  bool is_stopping_phase = phase >= Phase::stop;
  phase_deadline_ =
      after(context.now.instant, is_stopping_phase ? unit_->timeouts->stop : unit_->start_timeout());
}

}  // namespace gitproc
