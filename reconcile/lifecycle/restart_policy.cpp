#include "reconcile/lifecycle/restart_policy.h"

#include "reconcile/lifecycle/exit_verdict.h"

namespace gitproc {
namespace {

bool mode_restarts(RestartMode mode, ServiceResult result) {
  switch (mode) {
    case RestartMode::no: return false;
    case RestartMode::always: return true;
    case RestartMode::on_success: return result == ServiceResult::success;
    case RestartMode::on_failure: return result != ServiceResult::success;
    case RestartMode::on_abnormal:
      return result != ServiceResult::success && result != ServiceResult::exit_code;
    case RestartMode::on_abort: return result == ServiceResult::signal || result == ServiceResult::core_dump;
    case RestartMode::on_watchdog: return result == ServiceResult::watchdog;
  }
  __builtin_unreachable();
}

}  // namespace

bool should_restart(const Unit& unit, const Ending& ending) {
  const RestartPolicy& policy = *unit.restart;
  bool is_failure = ending.result != ServiceResult::success;
  if (ending.result == ServiceResult::condition) return false;
  if (ending.is_unhealthy) return true;
  if (ending.main_exit) {
    if (contains(policy.prevent, *ending.main_exit)) return false;
    if (contains(policy.force, *ending.main_exit)) return unit.type != ServiceType::oneshot || is_failure;
    // Nobody knows how it ended, so whatever Restart= promises is kept.
    bool is_unknown = ending.main_exit->kind == ExitStatus::Kind::unknown;
    if (is_unknown && is_failure) return policy.mode != RestartMode::no;
  }
  return mode_restarts(policy.mode, ending.result);
}

}  // namespace gitproc
