// One service's state machine: what a start, a stop, an exit, a timeout means for one service alone. Which
// services start or stop, and when, is the Reconciler's business (reconcile/reconciler.h).
//
// It follows systemd's service.c as observed (reconcile/lifecycle/README.md):
//
//   dead/failed -> conditions -> condition* -> start_pre* -> start* -> (ready) -> start_post* -> (probe) -> running
//   running -> [reload*] -> running          running -> exited (RemainAfterExit=)
//   running -> stop* -> stop_sigterm -> stop_sigkill -> stop_post* -> final_sigterm -> final_sigkill
//           -> dead | failed | backoff -> (the Reconciler calls start again)
//
// Each arrow with a star runs the commands of an Exec...= phase one after the other. Every phase has its own
// deadline. Time comes in with every call; the machine says what to do by appending Commands.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "reconcile/actual/service.h"
#include "reconcile/base/ids.h"
#include "reconcile/base/time.h"
#include "reconcile/command.h"
#include "reconcile/event.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

enum class Phase : std::uint8_t {
  dead,          // ended well, or never started
  failed,        // ended badly
  backoff,       // dead; to be started again at `deadline` (Restart=)
  conditions,    // CheckConditions is under way
  condition,     // ExecCondition=
  start_pre,
  start,         // ExecStart= is up, not yet ready (notify, forking), or runs (oneshot)
  start_post,
  probe,         // started; the first health probe has not passed yet
  running,
  exited,        // RemainAfterExit=: active without a process
  reload,
  stop,          // ExecStop=
  stop_watchdog, // WatchdogSignal= was sent
  stop_sigterm,
  stop_sigkill,
  stop_post,
  final_sigterm,
  final_sigkill,
};

std::string_view to_string(Phase phase);

// Hands out the ids of spawned processes and invocations; deterministic from its seed.
class IdSource {
 public:
  explicit IdSource(std::uint64_t seed) : seed_(seed) {}
  SpawnId next_spawn() { return SpawnId{++spawns_}; }
  InvocationId next_invocation();

 private:
  std::uint64_t seed_;
  std::uint64_t spawns_ = 0;
  std::uint64_t invocations_ = 0;
};

// What a call needs besides its own arguments.
struct LifecycleContext {
  Now now;
  IdSource& ids;
  Commands& commands;
};

enum class StopCause {
  operator_request,  // and removal, shutdown, a dependency: no restart by Restart=
  restart,           // RestartKillSignal= applies; the Reconciler will start it again
};

class Lifecycle {
 public:
  Lifecycle() = default;
  explicit Lifecycle(ServiceId id) : id_(id) {}

  // Continues a service of an earlier agent. `unit` is the one it was started with, as far as known. A
  // process that is gone has ended with ExitStatus::unknown: clean for a oneshot and for Restart=no, a failure
  // otherwise, so that whatever Restart= promises is kept and nothing runs twice. A notify service without a
  // record of being started counts as ready (`is_readiness_assumed`).
  void adopt(const AdoptedService& record, UnitPtr unit, LifecycleContext& context);

  // Starts a dead, failed or backoff service. `is_automatic`: by Restart=, counts as a restart; otherwise the
  // restart counter is reset. Refused by the start limit -> failed with start_limit_hit (the last failure is
  // kept as result where there was one; reference 3.9).
  void start(UnitPtr unit, bool is_automatic, LifecycleContext& context);

  // Ends a service that is up, coming up or in backoff. Nothing when it is dead, failed or already stopping.
  void stop(StopCause cause, LifecycleContext& context);

  // Runs ExecReload=. False when it cannot be: not running, or no ExecReload=.
  bool reload(LifecycleContext& context);

  // The unit changed in directives that matter only later: used from now on.
  void replace_unit(UnitPtr unit) { unit_ = std::move(unit); }

  // Forgets a failure and the start limit's memory (an operator's start, a changed unit).
  void reset_failed();

  // Events of this service; those that no longer fit the state are ignored.
  void on(const Spawned& event, LifecycleContext& context);
  void on(const SpawnFailed& event, LifecycleContext& context);
  void on(const ProcessExited& event, LifecycleContext& context);
  void on(const Emptied& event, LifecycleContext& context);
  void on(const MainPidFound& event, LifecycleContext& context);
  void on(const Notified& event, LifecycleContext& context);
  void on(const ConditionsChecked& event, LifecycleContext& context);
  void on(const ProbeFinished& event, LifecycleContext& context);

  // To be called when now >= deadline(). In backoff it does nothing: the Reconciler starts the service.
  void on_deadline(LifecycleContext& context);

  // The next instant at which something is due: the earliest of the phase's time-out, watchdog, RuntimeMaxSec=,
  // the next probe, the end of backoff. `never` for an idle service.
  Instant deadline() const;

  // --- facts ---
  ServiceId id() const { return id_; }
  Phase phase() const { return phase_; }
  const UnitPtr& unit() const { return unit_; }  // of the current or last invocation; null before the first
  // No process, nothing pending: dead, failed or backoff.
  bool is_down() const { return phase_ <= Phase::backoff; }
  // Started, for those that are ordered after it and require it: running, exited, reload.
  bool is_active() const { return phase_ == Phase::running || phase_ == Phase::exited || phase_ == Phase::reload; }
  bool is_starting() const { return phase_ >= Phase::conditions && phase_ <= Phase::probe; }
  bool is_stopping() const { return phase_ >= Phase::stop; }
  ServiceState state() const;  // waiting is never given: the Reconciler knows of it
  ServiceResult result() const { return result_; }
  HealthState health() const { return health_; }
  Pid main_pid() const { return main_pid_; }
  const std::optional<ExitStatus>& main_exit() const { return main_exit_; }  // of the last main process
  unsigned restarts() const { return restarts_; }
  WallTime since() const { return since_; }  // when state() became what it is
  InvocationId invocation() const { return invocation_; }
  const std::string& status_text() const { return status_text_; }  // STATUS=, or why it failed
  bool is_readiness_assumed() const { return is_readiness_assumed_; }
  bool last_reload_failed() const { return last_reload_failed_; }
  // The last ExecCondition= or Condition...= said no: the service is dead with result `condition`.
  bool was_skipped() const { return result_ == ServiceResult::condition; }

 private:
  // (the implementation's)
  ServiceId id_{};
  Phase phase_ = Phase::dead;
  ServiceResult result_ = ServiceResult::success;
  HealthState health_ = HealthState::none;
  bool is_readiness_assumed_ = false;
  bool last_reload_failed_ = false;
  Pid main_pid_ = 0;
  unsigned restarts_ = 0;
  UnitPtr unit_;
  std::optional<ExitStatus> main_exit_;
  WallTime since_{};
  InvocationId invocation_;
  std::string status_text_;
};

}  // namespace gitproc
