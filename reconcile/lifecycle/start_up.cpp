// From the first ExecCondition= to running.
#include "reconcile/lifecycle/lifecycle.h"

namespace gitproc {
namespace {

ExecPhase commands_of(Phase phase) {
  switch (phase) {
    case Phase::condition: return ExecPhase::condition;
    case Phase::start_pre: return ExecPhase::start_pre;
    case Phase::start_post: return ExecPhase::start_post;
    case Phase::reload: return ExecPhase::reload;
    case Phase::stop: return ExecPhase::stop;
    case Phase::stop_post: return ExecPhase::stop_post;
    case Phase::dead:
    case Phase::failed:
    case Phase::backoff:
    case Phase::conditions:
    case Phase::start:
    case Phase::probe:
    case Phase::running:
    case Phase::exited:
    case Phase::stop_watchdog:
    case Phase::stop_sigterm:
    case Phase::stop_sigkill:
    case Phase::final_sigterm:
    case Phase::final_sigkill: return ExecPhase::start;
  }
  __builtin_unreachable();
}

}  // namespace

// Conditions are met: counts the start, and begins a new invocation if it may.
void Lifecycle::begin(LifecycleContext& context) {
  if (!start_limit_.admits(*unit_->restart, context.now.instant)) return refuse(context);
  invocation_ = context.ids.next_invocation();
  result_ = ServiceResult::success;
  status_text_.clear();
  main_exit_.reset();
  is_ready_ = false;
  is_reloading_by_notify_ = false;
  is_awaiting_main_pid_ = false;
  is_group_awaited_ = false;
  is_group_empty_ = false;
  is_unhealthy_restart_ = false;
  was_started_ = false;
  is_readiness_assumed_ = false;
  last_reload_failed_ = false;
  enter_commands(Phase::condition, context);
}

// Runs the commands of a phase from `first` on; where there is none (left), goes on behind the phase.
void Lifecycle::enter_commands(Phase phase, LifecycleContext& context, unsigned first) {
  ExecPhase commands = commands_of(phase);
  if (first >= unit_->commands(commands).size()) return after_commands(phase, context);
  set_phase(phase, context);
  run_command(commands, first, context);
}

void Lifecycle::run_command(ExecPhase phase, unsigned index, LifecycleContext& context) {
  bool is_stopping_phase = phase == ExecPhase::stop || phase == ExecPhase::stop_post;
  is_pending_main_ = phase == ExecPhase::start && unit_->type != ServiceType::forking;
  pending_spawn_ = context.ids.next_spawn();
  is_group_empty_ = false;
  if (is_pending_main_) {
    main_index_ = index;
  } else {
    command_phase_ = phase;
    command_index_ = index;
    control_pid_ = 0;  // one that outlived its own signals is nobody's any more
  }
  Spawn spawn{.service = id_,
              .spawn = pending_spawn_,
              .unit = unit_,
              .phase = phase,
              .command_index = index,
              .invocation = invocation_,
              .restarts = restarts_,
              .main_pid = main_pid_,
              .result = std::nullopt,
              .main_exit = std::nullopt};
  if (is_stopping_phase) {
    spawn.result = result_;
    spawn.main_exit = main_exit_;
  }
  context.commands.push_back(std::move(spawn));
  phase_deadline_ =
      after(context.now.instant, is_stopping_phase ? unit_->timeouts->stop : unit_->start_timeout());
}

// All commands of a phase have ended well, or it has none.
void Lifecycle::after_commands(Phase phase, LifecycleContext& context) {
  switch (phase) {
    case Phase::condition: return enter_commands(Phase::start_pre, context);
    case Phase::start_pre: return enter_start(context);
    case Phase::start_post:
      if (is_awaiting_main_pid_) {
        // ExecStartPost= may have been what writes PIDFile=; it has the time of a command to be seen.
        set_phase(Phase::start_post, context);
        phase_deadline_ = after(context.now.instant, unit_->start_timeout());
        return;
      }
      return enter_running(context);
    case Phase::reload: return enter_running(context);
    case Phase::stop: return enter_kill(Phase::stop_sigterm, KillReason::terminate, context);
    case Phase::stop_post: return enter_kill(Phase::final_sigterm, KillReason::terminate, context);
    case Phase::dead:
    case Phase::failed:
    case Phase::backoff:
    case Phase::conditions:
    case Phase::start:
    case Phase::probe:
    case Phase::running:
    case Phase::exited:
    case Phase::stop_watchdog:
    case Phase::stop_sigterm:
    case Phase::stop_sigkill:
    case Phase::final_sigterm:
    case Phase::final_sigkill: return;
  }
  __builtin_unreachable();
}

// A command of the present phase has failed, or could not be run.
void Lifecycle::after_failed_command(LifecycleContext& context) {
  switch (phase_) {
    case Phase::condition:
    case Phase::start_pre:
    case Phase::start:
    case Phase::start_post:
    case Phase::stop: return enter_kill(Phase::stop_sigterm, KillReason::terminate, context);
    case Phase::stop_post: return enter_kill(Phase::final_sigterm, KillReason::terminate, context);
    case Phase::reload:
      last_reload_failed_ = true;
      is_reloading_by_notify_ = false;
      return enter_running(context);
    case Phase::stop_watchdog:
    case Phase::stop_sigterm:
    case Phase::stop_sigkill:
    case Phase::final_sigterm:
    case Phase::final_sigkill: return advance_kill(context);
    case Phase::dead:
    case Phase::failed:
    case Phase::backoff:
    case Phase::conditions:
    case Phase::probe:
    case Phase::running:
    case Phase::exited: return;
  }
  __builtin_unreachable();
}

// ExecStart=, from command `first` on: the main process, or for forking the one that leaves it behind.
void Lifecycle::enter_start(LifecycleContext& context, unsigned first) {
  if (first >= unit_->start.size()) return enter_commands(Phase::start_post, context);
  set_phase(Phase::start, context);
  run_command(ExecPhase::start, first, context);
}

// Type=forking: the first process has ended well. The time that is left is that of the phase.
void Lifecycle::await_main_pid(LifecycleContext& context) {
  is_awaiting_main_pid_ = true;
  context.commands.push_back(AwaitMainPid{id_, unit_});
  bool may_be_written_later = !unit_->pid_file.empty() && !unit_->commands(ExecPhase::start_post).empty();
  if (may_be_written_later) enter_commands(Phase::start_post, context);
}

void Lifecycle::accept_main_pid(Pid pid, LifecycleContext& context) {
  has_main_ = true;
  if (main_pid_ == pid) return;
  main_pid_ = pid;
  record(RunRecord::Kind::main_pid, context);
}

// Processes are there, but none can be told to be the main one: only their common end can be noticed.
void Lifecycle::accept_unknown_main(LifecycleContext& context) {
  if (has_main_) return;
  has_main_ = true;
  context.commands.push_back(Kill{.service = id_, .unit = unit_, .signal = 0, .awaits_empty = true});
}

// Start-up or a reload is over: looks at what there is, and becomes running, exited, or ends.
void Lifecycle::enter_running(LifecycleContext& context) {
  if (result_ != ServiceResult::success)
    return enter_kill(Phase::stop_sigterm, KillReason::terminate, context);
  bool stays = has_main_ || unit_->remains_after_exit;
  bool is_unproven = !was_started_ && unit_->has_health_check() && health_ != HealthState::healthy;
  if (stays && is_unproven) {
    if (phase_ == Phase::probe) return;
    set_phase(Phase::probe, context);
    phase_deadline_ = after(context.now.instant, unit_->start_timeout());
    begin_supervision(context);
    return start_probe(context);
  }
  bool is_news = !was_started_;
  was_started_ = true;
  if (is_news) record(RunRecord::Kind::started, context);
  if (!stays) return enter_stop(context);
  if (is_reloading_by_notify_ && has_main_) {
    pause_probes(context);
    if (phase_ != Phase::reload) last_reload_failed_ = false;
    set_phase(Phase::reload, context);
    phase_deadline_ = after(context.now.instant, unit_->start_timeout());
    return;
  }
  set_phase(has_main_ ? Phase::running : Phase::exited, context);
  begin_supervision(context);
}

}  // namespace gitproc
