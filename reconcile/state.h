// The inside of the Reconciler: one struct of state, and the functions that move it, by topic:
//   scheduling.cpp  which service may start or must stop now (marks first, then passes)
//   rollout.cpp     which commit is wanted, loading it, applying it in waves, how it went
//   limits.cpp      the limits of what runs, and who else changes them
//   operators.cpp   requests of operators: holds, restarts, pins, and when to answer them
//   views.cpp       what is shown of it
// Every change of a service goes through act(), which keeps the counts, timers and queues true.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "reconcile/command.h"
#include "reconcile/durable.h"
#include "reconcile/event.h"
#include "reconcile/lifecycle/lifecycle.h"
#include "reconcile/reconciler.h"
#include "reconcile/service_table.h"

namespace gitproc {

// How long a commit that could not be read, or whose tree could not be exported, waits for another try.
inline constexpr Duration reload_delay = std::chrono::seconds(30);

// Why a service is to run: of two that conflict, the one with the greater claim does.
enum class Claim { none, by_another, by_operator, commit };

// How often limits were put back since `since`.
struct PutBacks {
  Instant since{};
  unsigned count = 0;
};

struct WaitingRequest {
  RequestId request;
  ServiceVerb verb = ServiceVerb::start;
};

struct WaitingSync {
  RequestId request;
  Instant deadline = never;
};

struct Reconciler::State {
  State(Options, DurableState, std::vector<AdoptedService>);

  // --- step ---
  Commands step(std::span<const Event> events, Now now);
  void take(const TipObserved&);
  void take(const CommitLoaded&);
  void take(const CommitRejected&);
  void take(const CommitUnreadable&);
  void take(const TreeExported&);
  void take(const PreflightChecked&);
  void take(const LimitsDrifted&);
  void take(const SurvivorsFound&);
  void take(const ServiceRequested&);
  void take(const SyncRequested&);
  void take(const RollbackRequested&);
  void take(const BranchSwitched&);
  void take(const RequestNoticed&);
  void take(const ShutdownRequested&);
  template <typename ProcessEvent>
  void take(const ProcessEvent& event);  // the lifecycle's own

  // --- scheduling ---
  void touch(Service& service);  // look at it again in this step
  void touch_all();
  void touch_neighbours(Service& service);  // and at all that it may concern
  void evaluate(Service& service);
  void evaluate_up(Service& service);
  void evaluate_down(Service& service);
  bool wants_running(const Service& service) const;
  bool may_stop(const Service& service);
  // Sets the wait of a service that is wanted and down; true when nothing hinders its start.
  bool may_start(Service& service);
  bool hold_back(Service& service, Wait wait, std::string reason);
  bool wait_for(Service& service, Service& other);
  bool is_pending(const Service& service) const;
  bool has_held_dependency(const Service& service, std::string& which);
  void pull_in_dependencies(Service& service);
  Claim claim_of(const Service& service) const;
  bool clear_conflicts(Service& service);
  void begin_restart(Service& service);
  // Marks the service, when it is up, and everything that its stop reaches.
  void mark_stop(Service& service, StopMark mark);
  // Marks what a restart of the service takes down with it; whether there was anything.
  bool mark_dependents(Service& service, const StopMark& mark);
  void retire(Service& service);
  void set_latch(Service& service, std::optional<Latch> latch);

  // Calls `change` with the lifecycle of a service and a context, then brings everything that depends on its
  // state up to date: latch, counts, timer, announcements, neighbours, waiting requests.
  template <typename Change>
  void act(Service& service, Change&& change);
  void after_change(Service& service);
  ServiceState shown_state(const Service& service) const;
  bool is_bad(const Service& service) const;
  void settle(Service& service);
  bool is_settled(const Service& service) const;
  bool is_gate_open(Wave wave) const;
  void set_wave(Service& service, std::optional<Wave> wave);

  // --- limits ---
  // Has the limits of the unit that it runs written anew, where it runs.
  void adjust_limits(Service& service, const UnitPtr& unit);

  // --- rollout ---
  std::optional<ObjectId> target() const;
  std::optional<ObjectId> boot_commit() const;
  const char* target_cause() const;
  void pursue_target();
  void begin_rollout();
  HistoryEntry* unfinished_of_current();
  void supersede_unfinished();
  void forget_removed();
  void adopt_all();
  void adopt_one(Service& service, const AdoptedService& record, UnitPtr unit);
  void resume_adopted();
  void replace_unknown_units();
  void apply_change(Service& service);
  void apply_difference(Service& service);
  void check_rollout();
  void retry_boot();
  void go_on_for_now();
  void end_settling_in();
  void set_outcome(Outcome reached, std::string message);
  HistoryEntry* history_of_current();  // to be changed; null when there is none
  std::string bad_services() const;
  void lift_pin(std::string why);
  // A rollback that cannot be: the pin is what it was before.
  void undo_pin(const std::string& why);
  void set_pin(std::optional<Pin> pin);
  void record(HistoryEntry entry);

  // --- operators ---
  void request_start(Service& service, const ServiceRequested& request);
  void request_stop(Service& service, const ServiceRequested& request);
  void request_restart(Service& service, const ServiceRequested& request);
  void request_reload(Service& service, const ServiceRequested& request);
  void release(Service& service);
  void answer_waiting(Service& service);
  // The answer a waiting request has earned; nullopt: not yet.
  std::optional<Answer> outcome_of(const WaitingRequest& request, const Service& service) const;
  void answer_syncs();
  void answer(RequestId request, std::string message, Pid pid = 0);
  void refuse(RequestId request, std::string message, ErrorCode code = ErrorCode::failed);
  SyncState sync_state() const;
  std::string sync_error() const;

  // --- views ---
  ServiceView view(const Service& service) const;
  NodeView node_view() const;

  void emit(Command command) { commands.push_back(std::move(command)); }
  DurableState& change_durable() {
    ++durable_version;
    return durable;
  }

  const Options options;
  DurableState durable;
  std::uint64_t durable_version = 1;

  // The turn.
  Now now{};
  Commands commands;
  IdSource ids;

  // Services.
  ServiceTable table;
  std::deque<ServiceId> queue;
  std::set<std::pair<Instant, ServiceId>> timers;
  std::set<ServiceId> bad;           // failed, unhealthy, in backoff, or waiting for such
  std::set<ServiceId> in_motion;     // starting, stopping, reloading or marked
  std::array<unsigned, 9> counts{};  // shown services, by ServiceState
  unsigned up = 0;                   // services that are not down
  std::map<ServiceId, std::vector<WaitingRequest>> waiting;
  std::set<ServiceId> changed;              // in this step, for waiting requests
  std::map<ServiceId, PutBacks> put_backs;  // of those whose limits were changed by others lately
  bool is_shutting_down = false;

  // Commits.
  std::string branch;
  std::optional<ObjectId> tip;
  std::string tip_error;
  std::map<std::string, AdoptedService, std::less<>> adopted;  // until the first commit is there
  std::vector<ProcessExited> early_exits;                      // of services that are not adopted yet
  std::vector<ServiceId> just_adopted;
  std::set<ServiceId> unknown_units;  // adopted, but started from a unit that was not found (again)
  bool is_booting = true;             // the applied commit is loaded first, to know what runs
  bool is_boot_unread = false;        // it could not be read
  std::optional<ObjectId> loading;    // LoadCommit under way
  std::optional<CommitInfo> loaded;   // what `staged` leads to
  std::map<std::string, UnitPtr, std::less<>> staged;  // differences from what services have as `desired`
  bool has_staged_commit = false;                      // `loaded` is not acted on yet
  std::optional<CommitInfo> exporting;                 // its tree is being exported
  Diagnostics warnings;                                // of `loaded`
  std::optional<CommitInfo> rejected;                  // the last target that was refused
  Diagnostics rejection;
  std::string read_error;          // why the target cannot be read or exported
  std::optional<ObjectId> unread;  // the commit that it is about
  Instant retry_at = never;
  std::optional<Pin> pin_before;  // what a rollback replaced, until its commit is loaded
  bool is_pin_tried = true;

  // The commit that is being applied, or was applied last.
  std::optional<CommitInfo> current;
  std::string cause = "start";
  bool is_applying = false;
  bool is_settling_in = false;  // nothing new is started until the wanted commit is loaded
  bool is_provisional = false;  // what runs is known as far as commits could be read
  Outcome outcome = Outcome::progressing;
  Instant applying_since{};
  std::array<std::set<ServiceId>, 3> unsettled;  // by Wave
  Instant healthy_at = never;
  std::vector<WaitingSync> syncs;
};

template <typename Change>
void Reconciler::State::act(Service& service, Change&& change) {
  LifecycleContext context{now, ids, commands};
  std::size_t first = commands.size();
  change(service.life, context);
  for (std::size_t i = first; i < commands.size(); ++i) {
    const auto* record = std::get_if<RunRecord>(&commands[i]);
    if (record != nullptr && record->kind == RunRecord::Kind::ended) service.latch = record->latch;
  }
  after_change(service);
}

template <typename ProcessEvent>
void Reconciler::State::take(const ProcessEvent& event) {
  Service* service = table.at(event.service);
  if (service == nullptr) return;
  if constexpr (std::is_same_v<ProcessEvent, ProcessExited>) {
    if (service->is_found) early_exits.push_back(event);
  }
  if (service->is_found) return;
  act(*service, [&event](Lifecycle& life, LifecycleContext& context) { life.on(event, context); });
}

}  // namespace gitproc
