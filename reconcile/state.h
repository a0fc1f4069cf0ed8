// The inside of the Reconciler: one struct of state, and the functions that move it, by topic:
//   scheduling.cpp  which service may start or must stop now (marks first, then passes)
//   rollout.cpp     which commit is wanted, loading it, applying it in waves, how it went
//   rollback.cpp    which tip may be applied, and what happens when it does not get healthy
//   limits.cpp      the limits of what runs, and who else changes them
//   operators.cpp   requests of operators: holds, restarts, pins, and when to answer them
//   remotes.cpp     when the remote is fetched, and which tip the branch means then
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

#include "reconcile/base/service_set.h"
#include "reconcile/command.h"
#include "reconcile/durable.h"
#include "reconcile/event.h"
#include "reconcile/fetch_schedule.h"
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
  std::string message;  // what to say when it has settled
};

// A tip that is not applied because of what it holds.
struct Refusal {
  ObjectId commit;
  std::string message;
};

// Of a service that is on trial: well, on its way or not well yet, or beyond what it can do by itself.
enum class Verdict { good, pending, failed };

// What is known of the remote, besides what is durable.
struct RemoteState {
  FetchSchedule schedule;
  bool is_started = false;
  std::optional<WallTime> last_fetch, last_success;
  std::string error;                     // of the last fetch
  std::vector<SyncRequested> waiting;    // for the next fetch
  std::vector<SyncRequested> fetching;   // for the one under way
  std::optional<TipObserved> observed;   // the last
  std::optional<ObjectId> fetched;       // what the marker says
  std::optional<TipQuestion> asked;      // CompareTips under way
  std::optional<TipsCompared> compared;  // the last answer
  std::optional<Hold> hold;
  std::optional<MoveBranch> move;  // of the local branch, once its new tip has met the signature policy
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
  void take(const TreeRestored&);
  void take(const LimitsDrifted&);
  void take(const SurvivorsFound&);
  void take(const ServiceRequested&);
  void take(const Fetched&);
  void take(const TipsCompared&);
  void take(const BundleImported&);
  void take(const FetchRequested&);
  void take(const AcceptRequested&);
  void take(const SyncRequested&);
  void take(const RollbackRequested&);
  void take(const ApproveRequested&);
  void take(const BranchSwitched&);
  void take(const PolicyChanged&);
  void take(const RequestNoticed&);
  void take(const ShutdownRequested&);
  template <typename ProcessEvent>
  void take(const ProcessEvent& event);  // the lifecycle's own

  // --- scheduling ---
  void touch(Service& service);  // look at it again in this step, or the next
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
  void pull_in_dependencies(Service& service);
  Claim claim_of(const Service& service) const;
  bool clear_conflicts(Service& service);
  void begin_restart(Service& service);
  // Marks the service, when it is up, and everything that its stop reaches.
  void mark_stop(Service& service, const StopMark& mark);
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

  // --- remotes ---
  bool has_remote() const;
  void observe_tips();
  void choose(const TipsCompared& compared);
  void set_tip(const std::optional<ObjectId>& found);
  void move_along();
  void pursue_remote();
  std::optional<RemoteView> remote_view() const;
  // What waits for an operator, at whatever stage.
  const Hold* any_hold() const;

  // --- rollout ---
  std::optional<ObjectId> target() const;
  std::optional<ObjectId> desired() const;
  std::optional<ObjectId> boot_commit() const;
  // The branch whose tip is wanted; "" where a commit is wanted by name.
  std::string wanted_branch() const;
  bool is_trusted(const ObjectId& commit) const;   // as what is wanted now
  bool is_rejected(const ObjectId& commit) const;  // likewise
  void note_verified(const std::optional<VerifiedCommit>& verified);
  const char* cause_of(const ObjectId& commit) const;  // why it is applied, or was to be
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
  void go_over_to_desired(Service& service);
  void begin_reload(Service& service);
  void stamp(Service& service);
  void check_rollout();
  void retry_boot();
  void go_on_for_now();
  void end_settling_in();
  void set_outcome(Outcome reached, std::string message);
  HistoryEntry* history_of_current();  // to be changed; null when there is none
  std::string bad_services() const { return describe(bad); }
  std::string describe(const ServiceSet& services) const;
  void lift_pin(std::string why);
  // A rollback that cannot be: the pin is what it was before.
  void undo_pin(const std::string& why);
  void set_pin(std::optional<Pin> pin);
  void record(HistoryEntry entry);

  // --- admission and automatic rollback ---
  bool is_tip_followed() const;
  bool is_on_retreat() const;
  bool is_refused(const ObjectId& commit) const;
  const Hold* shown_hold() const;
  const std::string* denial_of_tip() const;
  // Whether the loaded tip may be applied; where not, that is decided and told.
  bool admit_tip();
  void follow_tip();
  const Denial* find_denial();
  std::optional<std::string> pruning();
  void stand_still();
  void refuse_tip(const Denial& denial);
  void hold_tip(Hold held);
  void prepare_trial(bool was_booting, bool had_base, std::map<std::string, std::uint64_t> changed_units);
  void begin_trial();
  void resume_lost_trial();
  bool has_held_dependency(const Service& service) const;
  bool is_denied(const Service& service) const;
  void end_trial();
  void pass_trial();
  Verdict verdict_of(const Service& service) const;
  void update_trial(Service& service);
  bool is_trial_watched() const;
  Instant trial_due() const;
  void check_trial();
  void fail_trial(const ServiceSet& culprits);
  void drop_retreat();
  void supersede_retreat();  // where it has not begun
  void clear_denials_of_current();
  bool is_returning() const;
  std::string removed_by_rollout();

  // --- operators ---
  void request_start(Service& service, const ServiceRequested& request);
  bool has_wanting_dependents(const Service& service) const;
  void take_back(Service& service, std::string by);
  void request_stop(Service& service, const ServiceRequested& request);
  void request_restart(Service& service, const ServiceRequested& request);
  void request_reload(Service& service, const ServiceRequested& request);
  void release(Service& service);
  void answer_waiting(Service& service);
  // The answer a waiting request has earned; nullopt: not yet.
  std::optional<Answer> outcome_of(const WaitingRequest& request, const Service& service) const;
  void begin_sync(const SyncRequested& request);
  void await_settled(RequestId request, bool waits);
  void answer_syncs();
  void answer(RequestId request, std::string message, Pid pid = 0);
  void refuse(RequestId request, std::string message, ErrorCode code = ErrorCode::failed);
  bool is_rejection_shown() const;
  SyncState sync_state() const;
  std::string sync_error() const;

  // --- calendar times ---
  std::optional<WallTime> until_of_pin() const { return durable.pin ? durable.pin->until : std::nullopt; }
  std::optional<WallTime> until_of_branch() const {
    return durable.branch_override ? durable.branch_override->until : std::nullopt;
  }

  // --- views ---
  ServiceView view(const Service& service) const;
  NodeView node_view() const;

  void emit(Command command) { commands.push_back(std::move(command)); }
  DurableState& change_durable() {
    ++durable_version;
    return durable;
  }

  Options options;
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
  ServiceSet bad;                    // failed, unhealthy, in backoff, or waiting for such
  ServiceSet in_motion;              // starting, stopping, reloading or marked
  std::array<unsigned, 9> counts{};  // shown services, by ServiceState
  unsigned up = 0;                   // services that are not down
  std::map<ServiceId, std::vector<WaitingRequest>> waiting;
  std::vector<ServiceId> changed;           // lately, some of them twice, for waiting requests
  std::map<ServiceId, PutBacks> put_backs;  // of those whose limits were changed by others lately
  bool is_shutting_down = false;

  // Commits.
  std::string branch;
  std::optional<ObjectId> tip;
  std::string tip_branch;  // the branch it was the tip of
  std::string tip_error;
  RemoteState remote;
  std::map<std::string, AdoptedService, std::less<>> adopted;  // until the first commit is there
  std::vector<ProcessExited> early_exits;                      // of services that are not adopted yet
  std::vector<ServiceId> just_adopted;
  ServiceSet unknown_units;          // adopted, but started from a unit that was not found (again)
  bool is_booting = true;            // the applied commit is loaded first, to know what runs
  bool is_boot_unread = false;       // it could not be read
  std::optional<ObjectId> loading;   // LoadCommit under way
  std::string loading_branch;        // as whose tip; "" by name
  std::optional<CommitInfo> loaded;  // what `staged` leads to
  std::map<std::string, UnitPtr, std::less<>> staged;  // differences from what services have as `desired`
  bool has_staged_commit = false;                      // `loaded` is not acted on yet
  std::optional<CommitInfo> exporting;                 // its tree is being exported
  Diagnostics warnings;                                // of `loaded`
  std::optional<CommitInfo> rejected;                  // the last target that was refused
  std::string rejected_branch;                         // as whose tip; "" by name
  Diagnostics rejection;
  std::string read_error;          // why the target cannot be read or exported
  std::optional<ObjectId> unread;  // the commit that it is about
  Instant retry_at = never;
  std::optional<Pin> pin_before;  // what a rollback replaced, until its commit is loaded
  bool is_pin_tried = true;
  std::optional<Refusal> denied;  // the last tip that was refused for what it holds
  std::optional<Hold> hold;       // the last tip that was held

  // The commit that is being applied, or was applied last.
  std::optional<CommitInfo> current;
  std::string cause = "start";
  bool is_applying = false;
  bool is_settling_in = false;  // nothing new is started until the wanted commit is loaded
  bool is_provisional = false;  // what runs is known as far as commits could be read
  Outcome outcome = Outcome::progressing;
  Instant applying_since{};
  std::array<ServiceSet, 3> unsettled;  // by Wave
  Instant healthy_at = never;
  std::vector<WaitingSync> syncs;

  // The trial of the current commit, if it is on one.
  ServiceSet on_trial;
  ServiceSet trial_pending;  // of these, not well
  ServiceSet trial_failed;   // of these, beyond hope
  Instant trial_deadline = never;
  Instant trial_passes_at = never;
  bool is_target_news = false;  // decided at the end of a step: look again for what to load
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
