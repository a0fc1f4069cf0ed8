#include "reconcile/lifecycle/exit_verdict.h"

#include <algorithm>

namespace gitproc {
namespace {

// Numbers of signal(7), the same on every architecture.
constexpr int sighup = 1, sigint = 2, sigpipe = 13, sigterm = 15;

constexpr int failed_condition = 255;  // ExecCondition=: this and signals are failures, 1 to 254 a "no"

// A daemon may be ended by the signals that ask for it; a command that does some work may not.
enum class Role { daemon, command };

ServiceResult judge(const ExitStatus& status, Role role, const ExitStatusSet& success) {
  switch (status.kind) {
    case ExitStatus::Kind::exited:
      return status.value == 0 || contains(success, status) ? ServiceResult::success
                                                            : ServiceResult::exit_code;
    case ExitStatus::Kind::killed: {
      bool was_asked = status.value == sighup || status.value == sigint || status.value == sigterm ||
                       status.value == sigpipe;
      bool is_clean = (role == Role::daemon && was_asked) || contains(success, status);
      return is_clean ? ServiceResult::success : ServiceResult::signal;
    }
    case ExitStatus::Kind::dumped: return ServiceResult::core_dump;
    case ExitStatus::Kind::unknown: return ServiceResult::success;
  }
  __builtin_unreachable();
}

bool ignores_failure(const std::vector<ExecCommand>& commands, unsigned index) {
  // The unit may have been replaced since by one with fewer commands.
  return index < commands.size() && commands[index].ignores_failure;
}

}  // namespace

bool contains(const ExitStatusSet& set, const ExitStatus& status) {
  switch (status.kind) {
    case ExitStatus::Kind::exited:
      return std::any_of(set.codes.begin(), set.codes.end(),
                         [&](std::uint8_t code) { return code == status.value; });
    case ExitStatus::Kind::killed:
    case ExitStatus::Kind::dumped:
      return std::find(set.signals.begin(), set.signals.end(), status.value) != set.signals.end();
    case ExitStatus::Kind::unknown: return false;
  }
  __builtin_unreachable();
}

ServiceResult judge_main_exit(const Unit& unit, unsigned index, const ExitStatus& status,
                              bool was_oom_killed) {
  if (ignores_failure(unit.start, unit.type == ServiceType::oneshot ? index : 0))
    return ServiceResult::success;
  if (was_oom_killed) return ServiceResult::oom_kill;
  bool is_oneshot = unit.type == ServiceType::oneshot;
  if (status.kind == ExitStatus::Kind::unknown) {
    return is_oneshot || unit.restart->mode == RestartMode::no ? ServiceResult::success
                                                               : ServiceResult::exit_code;
  }
  return judge(status, is_oneshot ? Role::command : Role::daemon, unit.restart->success);
}

ServiceResult judge_command_exit(const Unit& unit, ExecPhase phase, unsigned index, const ExitStatus& status,
                                 bool was_oom_killed) {
  if (ignores_failure(unit.commands(phase), index)) return ServiceResult::success;
  if (was_oom_killed) return ServiceResult::oom_kill;
  Role role = phase == ExecPhase::start ? Role::daemon : Role::command;
  ServiceResult result = judge(status, role, unit.restart->success);
  bool is_refusal =
      phase == ExecPhase::condition && result == ServiceResult::exit_code && status.value < failed_condition;
  return is_refusal ? ServiceResult::condition : result;
}

}  // namespace gitproc
