#include "reconcile/lifecycle/kill_policy.h"

namespace gitproc {
namespace {

constexpr int sighup = 1;

int signal_of(const KillPolicy& policy, KillReason reason) {
  switch (reason) {
    case KillReason::terminate: return policy.signal;
    case KillReason::restart: return policy.restart_signal.value_or(policy.signal);
    case KillReason::abort: return policy.watchdog_signal;
    case KillReason::kill: return policy.final_signal;
  }
  __builtin_unreachable();
}

bool reaches_whole_group(KillMode mode, KillReason reason) {
  switch (mode) {
    case KillMode::control_group: return true;
    case KillMode::mixed: return reason == KillReason::kill;
    case KillMode::process:
    case KillMode::none: return false;
  }
  __builtin_unreachable();
}

}  // namespace

std::optional<Kill> make_kill(ServiceId service, const UnitPtr& unit, KillReason reason, Pid main_pid,
                              Pid control_pid) {
  const KillPolicy& policy = *unit->kill;
  bool whole_group = reaches_whole_group(policy.mode, reason);
  bool is_anybody_meant = whole_group || main_pid != 0 || control_pid != 0;
  if (policy.mode == KillMode::none || !is_anybody_meant) return std::nullopt;

  int signal = signal_of(policy, reason);
  bool is_request_to_end = reason == KillReason::terminate || reason == KillReason::restart;
  return Kill{.service = service,
              .unit = unit,
              .main_pid = main_pid,
              .control_pid = control_pid,
              .whole_group = whole_group,
              .signal = signal,
              .sends_sighup = policy.sends_sighup && is_request_to_end && signal != sighup,
              .awaits_empty = whole_group};
}

}  // namespace gitproc
