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
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reconcile/actual/service.h"
#include "reconcile/base/ids.h"
#include "reconcile/base/rare.h"
#include "reconcile/base/time.h"
#include "reconcile/command.h"
#include "reconcile/event.h"
#include "reconcile/lifecycle/health_policy.h"
#include "reconcile/lifecycle/kill_policy.h"
#include "reconcile/lifecycle/start_limit.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

enum class Phase : std::uint8_t {
  dead,        // ended well, or never started
  failed,      // ended badly
  backoff,     // dead; to be started again at `deadline` (Restart=)
  conditions,  // CheckConditions is under way
  condition,   // ExecCondition=
  start_pre,
  start,  // ExecStart= is up, not yet ready (notify, forking), or runs (oneshot)
  start_post,
  probe,  // started; the first health probe has not passed yet
  running,
  exited,  // RemainAfterExit=: active without a process
  reload,
  stop,           // ExecStop=
  stop_watchdog,  // WatchdogSignal= was sent
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

  // Ends a service that is up, coming up or in backoff. Nothing when it is dead or failed; one that is already
  // stopping goes on, but will not be restarted by Restart= any more.
  void stop(StopCause cause, LifecycleContext& context);

  // Runs ExecReload=. False when it cannot be: not running, or no ExecReload=.
  bool reload(LifecycleContext& context);

  // The unit changed in directives that matter only later: used from now on. Another health check is probed at
  // once.
  void replace_unit(UnitPtr unit, LifecycleContext& context);

  // Forgets a failure and the start limit's memory (an operator's start, a changed unit). A failed service is
  // dead then; since() stays, for it has been down since.
  void reset_failed();

  // The starts so far do not count for the start limit: what ended the service was not its own doing.
  void forget_starts() { start_limit_.forget(); }

  // Events of this service; those that no longer fit the state are ignored.
  void on(const Spawned& event, LifecycleContext& context);
  void on(const SpawnFailed& event, LifecycleContext& context);
  void on(const ProcessExited& event, LifecycleContext& context);
  void on(const OomKilled& event, LifecycleContext& context);
  void on(const SurvivorsFound& event, LifecycleContext& context);
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
  bool is_active() const {
    return phase_ == Phase::running || phase_ == Phase::exited || phase_ == Phase::reload;
  }
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
  const std::string& status_text() const { return status_text_.str(); }  // STATUS=, or why it failed
  // Why it ended badly; "" while nothing went wrong, whatever STATUS= says.
  std::string failure_text() const { return result_ == ServiceResult::success ? "" : status_text_.str(); }
  bool is_readiness_assumed() const { return is_readiness_assumed_; }
  bool last_reload_failed() const { return last_reload_failed_; }
  // The last ExecCondition= or Condition...= said no: the service is dead with result `condition`.
  bool was_skipped() const { return phase_ == Phase::dead && result_ == ServiceResult::condition; }
  // Start-up of the present or last invocation was completed, perhaps for an instant only: a Type=simple
  // service whose program is missing was started, and then failed with status 203.
  bool was_started() const { return was_started_; }
  // The Exec...= command under way beside the main process (for forking, its first process); 0: none.
  Pid control_pid() const { return control_pid_; }
  // The last probe_history_limit ones, the newest last; those of earlier invocations, too.
  const std::vector<ProbeResult>& probes() const;

 private:
  // Why the present invocation ends, or has ended.
  enum class EndCause : std::uint8_t { natural, operator_request, restart };

  // What is watched while the service is up. Few units ask for it, so few services pay for it.
  struct Watch {
    Instant watchdog_due = never;       // a WATCHDOG=1 is missed then
    Duration watchdog_span = infinite;  // WatchdogSec= or WATCHDOG_USEC=
    Instant runtime_end = never;        // RuntimeMaxSec=
    Instant probe_due = never;
    Instant start_period_end = never;  // HealthCheckStartPeriod=
    Instant probe_began = never;       // of the one in flight
    ProbeStreak streak;
    bool is_probing = false;           // a probe is in flight
    bool is_at_rest = false;           // nothing is watched: it keeps only the results below
    std::vector<ProbeResult> results;  // the newest last
  };

  // Phase and result.
  void set_phase(Phase phase, LifecycleContext& context, bool has_completed = false);
  void note(ServiceResult result, std::string_view why);
  void record(RunRecord::Kind kind, LifecycleContext& context, std::optional<Latch> latch = std::nullopt);

  // Start-up (start_up.cpp).
  void begin(LifecycleContext& context);
  void enter_commands(Phase phase, LifecycleContext& context, unsigned first = 0);
  void run_command(ExecPhase phase, unsigned index, LifecycleContext& context);
  void after_commands(Phase phase, LifecycleContext& context);
  void after_failed_command(LifecycleContext& context);
  void enter_start(LifecycleContext& context, unsigned first = 0);
  void await_main_pid(LifecycleContext& context);
  bool may_have_main() const;
  bool may_move_main(const ProcessExited& event) const;
  void accept_main_pid(Pid pid, LifecycleContext& context);
  void accept_unknown_main(LifecycleContext& context);
  void enter_running(LifecycleContext& context);

  // Ends of processes (process_end.cpp).
  void main_ended(const ExitStatus& status, bool was_oom_killed, LifecycleContext& context);
  void main_ended_in_start(ServiceResult verdict, LifecycleContext& context);
  void control_ended(const ExitStatus& status, bool was_oom_killed, LifecycleContext& context);
  void bystander_was_oom_killed(LifecycleContext& context);

  // Winding down (wind_down.cpp).
  void enter_stop(LifecycleContext& context);
  void enter_kill(Phase phase, KillReason reason, LifecycleContext& context);
  void send_kill(LifecycleContext& context);
  void kill_alone(Pid pid, int signal, LifecycleContext& context);
  void advance_kill(LifecycleContext& context);
  bool is_killing() const { return is_stopping() && phase_ != Phase::stop && phase_ != Phase::stop_post; }
  void end_by_mode(TimeoutFailureMode mode, LifecycleContext& context);
  void finish(bool may_restart, LifecycleContext& context);
  void skip(bool is_assert, std::string_view unmet, LifecycleContext& context);
  void refuse(LifecycleContext& context);
  void end_invocation(Phase phase, LifecycleContext& context);
  void phase_expired(LifecycleContext& context);

  // While it is up (supervision.cpp).
  Watch& watch();
  void begin_supervision(LifecycleContext& context);
  void end_supervision(LifecycleContext& context);
  void keep_alive(LifecycleContext& context);
  void watchdog_missed(LifecycleContext& context);
  void pause_probes(LifecycleContext& context);
  void follow_health_check(LifecycleContext& context);
  void keep_result(const ProbeFinished& event, LifecycleContext& context);
  void start_probe(LifecycleContext& context);
  void extend_timeout(Duration span, LifecycleContext& context);
  bool accepts_notification(Pid sender) const;

  // Adoption (adopt.cpp).
  void judge_unseen(const AdoptedService& record);
  void resume(const AdoptedService& record, LifecycleContext& context);
  void resume_stop(const AdoptedService& record, LifecycleContext& context);
  void resume_start(const AdoptedService& record, LifecycleContext& context);
  void resume_commands(Phase phase, const AdoptedService& record, LifecycleContext& context);

  ServiceId id_{};
  Pid main_pid_ = 0;
  Pid control_pid_ = 0;  // the Exec...= command under way
  unsigned restarts_ = 0;
  std::uint32_t command_index_ = 0;  // of the control command under way in its phase
  std::uint32_t main_index_ = 0;     // of the main command (oneshot has several)
  Phase phase_ = Phase::dead;
  ExecPhase command_phase_ = ExecPhase::condition;
  ServiceResult result_ = ServiceResult::success;
  HealthState health_ = HealthState::none;
  EndCause end_cause_ = EndCause::natural;
  KillReason kill_reason_ = KillReason::terminate;
  bool has_main_ : 1 = false;                // a main process is alive, perhaps one whose pid nobody knows
  bool is_pending_main_ : 1 = false;         // the Spawn under way is the main process
  bool is_awaiting_main_pid_ : 1 = false;    // AwaitMainPid is under way
  bool is_ready_ : 1 = false;                // READY=1 has come
  bool is_reloading_by_notify_ : 1 = false;  // RELOADING=1 has come, READY=1 not yet
  bool is_group_awaited_ : 1 = false;        // a Kill will be answered by Emptied
  bool is_group_empty_ : 1 = false;          // known to have no process
  bool is_unhealthy_restart_ : 1 = false;    // HealthCheckAction=restart ends this invocation
  bool was_started_ : 1 = false;
  bool has_completed_ : 1 = false;  // dead because a oneshot did its work
  bool is_readiness_assumed_ : 1 = false;
  bool last_reload_failed_ : 1 = false;
  StartLimit start_limit_;
  SpawnId pending_spawn_{};  // asked for, not yet answered; 0: none
  Instant phase_deadline_ = never;
  UnitPtr unit_;
  std::optional<ExitStatus> main_exit_;
  WallTime since_{};
  InvocationId invocation_;
  RareText status_text_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace gitproc
