// What must hold in every world, judged from outside: from what the agent was told, what it asked for, and what
// the machine, the journal and the disk then look like. Nothing here looks into the Reconciler but through the
// views that people see.
//
// While the world runs: one process per service; nothing starts before what it requires; nothing stops before
// its dependents; nothing that runs is stopped without a cause; a job is done once; no busy loop.
// When it has come to rest: what runs is what commit, holds and latches imply, and what is said of it is true.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "reconcile/reconciler.h"
#include "reconcile/sim/history_check.h"
#include "reconcile/sim/journal.h"
#include "reconcile/sim/machine.h"
#include "reconcile/sim/repository.h"

namespace gitproc::sim {

inline bool contains(const std::vector<std::string>& list, const std::string& name) {
  return std::ranges::find(list, name) != list.end();
}

class Checks {
 public:
  // `verifies`: commits must meet a signature policy.
  Checks(const Machine& machine, const Journal& journal, const Repository& repository, bool verifies)
      : machine_(machine), journal_(journal), repository_(repository), verifies_(verifies) {}

  // The first thing that was wrong; "" as long as nothing is.
  const std::string& failure() const { return failure_; }
  void fail(std::string what);

  // --- while it runs ---
  void configured(bool rolls_back, bool has_guard);
  void booted();
  void agent_started(const std::vector<AdoptedService>& adopted, const DurableState& disk, Instant now);
  void agent_lost();
  void state_lost() { has_lost_state_ = true; }
  void told(const Event& event, const std::string& service, Instant now);
  // `reconciler` as it is after the step.
  void decided(const Commands& commands, const Reconciler& reconciler, Instant now);
  void spawning(const Spawn& spawn);
  void spawned(const Spawn& spawn, Pid pid, Instant now);
  void stepped(bool had_reason, Instant now, Instant next_deadline);
  void asked_to_load(const LoadCommit& command);
  void asked(RequestId request, std::string words) { unanswered_.emplace(request, std::move(words)); }
  void answered(const Answer& answer, const DurableState& on_disk);
  void written(const DurableState& on_disk);

  // --- at rest ---
  struct Rest {
    const Reconciler& reconciler;
    const DurableState& disk;
    const std::map<Marker, ObjectId>& markers;
    ObjectId tip;        // of the branch that is followed
    std::string branch;  // that one
    bool is_after_sync;  // nothing that failed can be left
    WallTime now;
  };
  void at_rest(const Rest& rest);

 private:
  // A service as the agent must see it by what it was told.
  struct Facts {
    UnitPtr unit;  // of the last ExecStart=, or the one it went over to since
    Pid main = 0;
    bool is_up = false;  // a main process, perhaps not ready
    bool is_ready = false;
    bool is_probed = false;        // healthy, for the first time
    unsigned passed_probes = 0;    // in a row
    Pid reload = 0;                // the last ExecReload=
    bool may_lack_reload = false;  // the last reload has not ended well, as far as was told
    bool remains = false;          // active without a process
    bool is_starting = false;      // its start-up has begun, and not come to its end
    bool is_ending = false;        // told to, or by itself
    bool is_related_anew = false;  // its relations were others for a while since it was started
    bool is_unknown = false;       // left alone, because the commit that knows its unit cannot be read
    bool is_adopted = false;  // started by an agent that is gone, perhaps for a reason that is gone with it
    std::optional<Latch> latch;
    InvocationId invocation;  // the last that began
    Instant started_at{};
    Duration restart_delay{};           // RestartSec= of what it runs
    Instant waits_until{};              // after its last end
    unsigned restarts = 0;              // by itself, in a row
    std::vector<WatchedPath> seen;      // by what was started or reloaded last
    Instant touched_at{};               // the last that may be a cause to stop or start it
    bool is_touched_by_commit = false;  // and by nothing since
    Instant preflight_asked_at{};
    std::uint64_t checked = 0;              // the unit whose preflight was asked for last
    std::optional<std::uint64_t> job_done;  // a oneshot of that fingerprint
  };

  // Of a running service, whether what its ReloadOn= names is what it was started or reloaded with.
  static bool has_seen(const std::vector<WatchedPath>& seen, const Unit& unit);
  Facts& facts(const std::string& name) { return facts_[name]; }
  const Facts* find(const std::string& name) const;
  bool is_active(const std::string& name) const;
  bool is_latched_well(const std::string& name) const;
  bool is_failed(const std::string& name) const;
  void touch(const std::string& name, Instant now) {
    facts_[name].touched_at = now;
    facts_[name].is_touched_by_commit = false;
  }

  void go_over(const RunRecord& stamp);
  void check_start(const Unit& unit);
  void check_order(const Unit& unit);
  void check_waves(const Unit& unit);
  void check_restart(const Spawn& spawn, Instant now);
  void check_stop(const std::string& name);
  // Who may start or stop with others (change_checks.cpp).
  void check_preflight(const std::string& name);
  void preflight_asked(const Preflight& preflight, Instant now);
  void preflight_told(const std::string& name, const std::string& error);
  void pull_in(const Unit& unit);
  void forget_pulled(const Commit& loaded);
  bool is_explained(const std::string& name, const std::function<bool(const std::string&)>& has_cause) const;
  bool has_rivals(const std::string& name) const;
  void check_cause(const std::string& name, Instant since, const char* what);
  bool has_cause(const std::string& name, Instant since) const;
  bool stops_before(const std::string& first, const std::string& second) const;
  void note(const RunRecord& record, Instant now);
  // What may be applied (rollout_checks.cpp).
  void note(const Announce& news);
  void check_applying(const ObjectId& commit, const std::string& cause);
  void check_followed(const std::optional<Followed>& before);
  const Denial* find_denied(const ObjectId& commit) const;
  bool is_retried() const { return retried_writes_ > 0; }

  void begin_syncs(std::vector<SyncRequested>& syncs, Instant now);

  void judged(const ObjectId& commit, const std::optional<VerifiedCommit>& verified, bool is_refused);
  bool is_refused(const ObjectId& commit, const std::string& branch) const;
  void check_trusted(const ObjectId& commit);

  bool is_running(const std::string& name) const;
  std::set<std::string> wanted(const UnitMap& units, const DurableState& disk) const;
  static std::vector<std::string> pulled_by(const Unit& unit);
  std::set<std::string> pulled(const UnitMap& units, const DurableState& disk) const;
  bool is_blocked(const Unit& unit, const UnitMap& units, const DurableState& disk) const;
  void check_running_set(const Rest& rest, const UnitMap& units);
  void check_words(const Rest& rest, bool is_rejected, bool is_denied);
  void check_words(const Rest& rest, bool is_rejected);
  void check_verified(const Rest& rest);

  const Machine& machine_;
  const Journal& journal_;
  const Repository& repository_;
  const bool verifies_;
  std::string failure_;

  std::map<std::string, Facts> facts_;
  std::deque<const Commit*> loaded_;  // the last few, newest last
  bool had_applied_ = false;          // when this agent started
  bool knows_relations_ = false;      // this agent has got as far as to a commit
  std::map<RequestId, std::string> unanswered_;
  std::map<RequestId, std::string> stops_;            // whose hold must be on disk when they are answered
  std::vector<SyncRequested> syncs_, fetched_syncs_;  // for the next fetch, and for the one under way
  std::set<std::string> was_pulled_;                  // required or wanted by another one in some commit
  std::map<std::string, Instant> unfit_;  // whose new unit a preflight refused, and when that was asked
  std::set<std::string> pulled_;          // required or wanted by one that this agent has started

  bool rolls_back_ = false, has_guard_ = false;
  bool ever_rolled_back_ = false;  // the agent, at its own will
  bool has_lost_state_ = false;
  std::vector<Denial> denials_;       // on disk
  std::optional<ObjectId> healthy_;   // the last that was marked so
  unsigned retried_writes_ = 0;       // the writes that may be the first after `sync --retry`
  std::optional<ObjectId> applying_;  // the last that this agent began with
  std::optional<ObjectId> previous_;  // and the one before it
  std::optional<Followed> followed_;  // the tip that the agent has let itself go to last
  std::optional<ObjectId> held_;      // until it is approved, or compared with something else
  std::optional<ObjectId> approved_;
  bool is_approval_asked_ = false;
  std::optional<LoadCommit> loading_;                        // of this agent
  std::map<std::pair<ObjectId, std::string>, bool> judged_;  // the last verdict: whether it was good
  HistoryCheck history_;
  Instant last_step_at_{};
  unsigned idle_steps_ = 0;  // in a row, at one instant
  Instant second_began_at_{};
  unsigned steps_in_second_ = 0;
};

}  // namespace gitproc::sim
