// The end of a process, judged by what the service was doing.
#include "reconcile/lifecycle/exit_verdict.h"
#include "reconcile/lifecycle/lifecycle.h"

namespace gitproc {
namespace {

std::string_view directive_of(ExecPhase phase) {
  switch (phase) {
    case ExecPhase::condition: return "ExecCondition=";
    case ExecPhase::start_pre: return "ExecStartPre=";
    case ExecPhase::start: return "ExecStart=";
    case ExecPhase::start_post: return "ExecStartPost=";
    case ExecPhase::reload: return "ExecReload=";
    case ExecPhase::stop: return "ExecStop=";
    case ExecPhase::stop_post: return "ExecStopPost=";
  }
  __builtin_unreachable();
}

std::string reason(std::string_view who, const ExitStatus& status, bool was_oom_killed) {
  return std::string(who) + " " + (was_oom_killed ? "was killed for lack of memory" : to_string(status));
}

}  // namespace

void Lifecycle::main_ended(const ExitStatus& status, bool was_oom_killed, LifecycleContext& context) {
  main_pid_ = 0;
  has_main_ = false;
  main_exit_ = status;
  ServiceResult verdict = judge_main_exit(*unit_, main_index_, status, was_oom_killed);
  note(verdict, reason("main process", status, was_oom_killed));
  bool has_command = control_pid_ != 0 || pending_spawn_ != SpawnId{};

  switch (phase_) {
    case Phase::dead:
    case Phase::failed:
    case Phase::backoff:
    case Phase::conditions:
    case Phase::condition:
    case Phase::start_pre:
    case Phase::exited: return;
    case Phase::start: return main_ended_in_start(verdict, context);
    case Phase::start_post:
    case Phase::reload:
      // The command under way is waited for, or the PID file is.
      if (!has_command && !is_awaiting_main_pid_) enter_running(context);
      return;
    case Phase::probe:
    case Phase::running: return enter_running(context);
    case Phase::stop:
    case Phase::stop_post: return;
    case Phase::stop_watchdog:
    case Phase::stop_sigterm:
    case Phase::stop_sigkill:
    case Phase::final_sigterm:
    case Phase::final_sigkill: return advance_kill(context);
  }
  __builtin_unreachable();
}

// The main process has ended before the service was ready; only a oneshot should.
void Lifecycle::main_ended_in_start(ServiceResult verdict, LifecycleContext& context) {
  bool is_clean = verdict == ServiceResult::success;
  switch (unit_->type) {
    case ServiceType::oneshot:
      if (is_clean) return enter_start(context, main_index_ + 1);
      break;
    case ServiceType::notify:
      // A child may still say READY=1 where it is allowed to and the service may stay without a main process.
      if (is_clean && unit_->remains_after_exit && unit_->notify_access == NotifyAccess::all) return;
      if (is_clean) note(ServiceResult::protocol, "main process ended before READY=1");
      break;
    case ServiceType::forking:
      if (is_clean) return;  // its PID file is still awaited
      break;
    case ServiceType::simple:
    case ServiceType::exec:
    case ServiceType::dbus:
    case ServiceType::idle: return enter_running(context);
  }
  enter_kill(Phase::stop_sigterm, KillReason::terminate, context);
}

void Lifecycle::control_ended(const ExitStatus& status, bool was_oom_killed, LifecycleContext& context) {
  ServiceResult verdict = judge_command_exit(*unit_, command_phase_, command_index_, status, was_oom_killed);
  bool is_clean = verdict == ServiceResult::success;
  bool is_reload = command_phase_ == ExecPhase::reload && phase_ == Phase::reload;
  if (!is_reload) note(verdict, reason(directive_of(command_phase_), status, was_oom_killed));

  switch (phase_) {
    case Phase::condition:
    case Phase::start_pre:
    case Phase::start_post:
    case Phase::reload:
    case Phase::stop:
    case Phase::stop_post:
      return is_clean ? enter_commands(phase_, context, command_index_ + 1) : after_failed_command(context);
    case Phase::start:
      if (unit_->type != ServiceType::forking) return;
      return is_clean ? await_main_pid(context) : after_failed_command(context);
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

// The kernel took a process of the service, and it is not known to be the main one: OOMPolicy=.
void Lifecycle::bystander_was_oom_killed(LifecycleContext& context) {
  OomPolicy policy = unit_ ? unit_->resources->oom_policy : OomPolicy::carry_on;
  if (policy == OomPolicy::carry_on || is_down() || phase_ == Phase::conditions) return;
  note(ServiceResult::oom_kill, "a process was killed for lack of memory");
  bool is_up = phase_ == Phase::running || phase_ == Phase::exited;
  if (policy == OomPolicy::kill) {
    if (is_up || is_starting() || phase_ == Phase::reload || phase_ == Phase::stop)
      enter_kill(Phase::stop_sigkill, KillReason::kill, context);
    return;
  }
  if (is_up) return enter_stop(context);
  if (is_starting() || phase_ == Phase::reload || phase_ == Phase::stop) {
    enter_kill(Phase::stop_sigterm, KillReason::terminate, context);
  }
}

}  // namespace gitproc
