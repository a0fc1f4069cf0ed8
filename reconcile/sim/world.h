// The world around one Reconciler: a machine, a disk, a repository, an operator and an agent that is killed and
// started again. The agent here does what agent/daemon.cpp does, in virtual time: it drains events, takes a
// step, carries out the commands one by one, and persists; between any two of these it may die.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "reconcile/reconciler.h"
#include "reconcile/sim/chance.h"
#include "reconcile/sim/checks.h"
#include "reconcile/sim/faults.h"
#include "reconcile/sim/journal.h"
#include "reconcile/sim/machine.h"
#include "reconcile/sim/repository.h"
#include "reconcile/sim/trace.h"

namespace gitproc::sim {

// What is on disk; it outlives everything. Written whole, some time after it was submitted.
struct Disk {
  DurableState state;
  std::map<Marker, ObjectId> markers;
};

// What dies with the agent.
struct Agent {
  Agent(Reconciler::Options options, DurableState known, std::vector<AdoptedService> adopted)
      : reconciler(std::move(options), std::move(known), std::move(adopted)) {}

  Reconciler reconciler;
  std::deque<Command> commands;
  std::vector<Event> posted;    // for the next step
  std::set<std::size_t> stale;  // which of them were told before

  // Process driver.
  std::map<Pid, ServiceId> tracked;
  std::map<ServiceId, std::string> names;
  std::set<Pid> inherited;  // adopted, not its children
  std::set<ServiceId> awaiting_empty;
  std::map<ServiceId, UnitPtr> awaiting_main;

  // Git worker.
  UnitMap catalog;
  std::deque<std::pair<Instant, SetMarker>> markers;
  std::optional<std::string> followed_override;

  // Store writer and held answers.
  std::uint64_t submitted = 0;
  std::uint64_t durable = 0;
  std::optional<std::pair<std::uint64_t, DurableState>> writing, waiting_to_write;
  Instant written_at = never;
  std::deque<std::pair<std::uint64_t, Answer>> held_answers;
};

// The Events that LoadCommit may end in.
using LoadOutcome = std::variant<CommitLoaded, CommitRejected, CommitUnreadable>;

class World {
 public:
  World(std::uint64_t seed, bool keeps_words);

  // The whole life of it. "" or what was found to be wrong.
  std::string run();

  const Trace& trace() const { return trace_; }
  std::uint64_t steps() const { return steps_; }

 private:
  struct InFlight {
    Event event;
    bool is_stale = false;  // told a second time
  };

  // --- phases (world.cpp) ---
  void run_until(Instant end);
  void end_faults();
  void check_rest(bool is_after_sync);
  Instant next() const;
  void pass_time(Instant until);
  void happen(const Ended& ended);
  void happen(const Readied& readied);

  // --- the agent (agent.cpp) ---
  void start_agent();
  void kill_agent(const char* why);
  void lose_power();
  void take_turn();
  void take_step();
  void drain();
  void persist();
  void release_answers();
  void finish_writes();
  void set_markers();
  void exit_agent();
  void follow_branch();
  bool is_agent_busy() const;

  void carry_out(const LoadCommit& command);
  void carry_out(const ExportTree& command);
  void carry_out(const SetMarker& command);
  void carry_out(const Fetch& command);
  void carry_out(const CompareTips& command);
  void carry_out(const MoveBranch& command);
  void carry_out(const Spawn& command);
  void carry_out(const Kill& command);
  void carry_out(const AwaitMainPid& command);
  void carry_out(const CleanUp& command);
  void carry_out(const AdjustLimits& command);
  void carry_out(const FindSurvivors& command);
  void carry_out(const CheckConditions& command);
  void carry_out(const Preflight& command);
  void carry_out(const StartProbe& command);
  void carry_out(const CancelProbe& command);
  void carry_out(const RunRecord& command);
  void carry_out(const Answer& command);
  void carry_out(const Announce& command);
  void carry_out(const ExitAgent& command);

  // Tells the agent, after `delay` and not before what was told of the same service.
  void tell(Event event, Duration delay = Duration::zero());
  void tell_late(Event event);
  void tell_tip();
  TipObserved tip_of(const std::string& branch) const;
  void check_remote_base(const std::optional<RemoteBase>& before);
  void look_for_empty(const std::string& service);
  void look_for_main_pid(ServiceId service);
  void track(ServiceId service, Pid pid);

  // --- the administrator (administrator.cpp): who changes what the agent stands on ---
  void act_as_administrator();
  void change_policy();
  void step_clock(Duration span);
  void lose_state();
  void remove_branch();
  void import_bundle();

  // --- people (people.cpp) ---
  void act_as_meddler();
  void act_as_operator();
  void act_as_author();
  bool act_as_hasty_author(const std::string& service);  // whether there was a commit
  void ask(Event request, RequestId id);
  Event service_request(RequestId id);
  Event rollback_request(RequestId id);
  Event approve_request(RequestId id);
  void switch_branch();
  void accept_what_is_held();
  std::string followed_branch() const;

  // The commit's signatures judged as drivers/git does, or that it cannot be told.
  LoadOutcome load(const LoadCommit& command);

  Chance chance_;
  Chance wide_chance_;  // of what only half of the worlds have
  bool is_wide_;
  Chance hasty_chance_;  // of the half in which somebody commits again while a service reloads
  bool is_hasty_;
  std::string reloaded_;  // the service that is reloaded for those commits
  Faults faults_;
  SignaturePolicy policy_;
  Trace trace_;
  Journal journal_;
  Machine machine_;
  Repository repository_;
  Disk disk_;
  Checks checks_;
  std::unique_ptr<Agent> agent_;

  Now now_{Instant(std::chrono::hours(1)), WallTime(std::chrono::hours(1000))};
  std::map<std::pair<Instant, std::uint64_t>, InFlight> in_flight_;
  std::map<std::uint64_t, Instant> last_told_;  // by where it comes from
  std::vector<ObjectId> applied_;               // the last few commits that were applied, newest last
  bool is_fetching_ = false;
  bool follows_force_push_ = false;
  bool is_checked_out_ = false;  // a working tree shows every branch, so that none is moved along
  std::uint64_t told_ = 0;
  std::uint64_t boots_ = 0;
  std::uint64_t agents_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t steps_ = 0;
  Instant agent_starts_at_ = never;
  Instant operator_acts_at_ = never;
  Instant author_acts_at_ = never;
  Instant meddler_acts_at_ = never;  // who writes to cgroups, and the kernel that runs out of memory
  Instant administrator_acts_at_ = never;
  Instant crash_at_ = never;  // of the agent, while it waits
  Instant power_loss_at_ = never;
  // How the agent is configured.
  bool rolls_back_ = false;
  bool has_guard_ = false;
  Duration rollout_deadline_{};
  Duration min_healthy_time_ = std::chrono::seconds(10);
  bool is_over_ = false;  // an agent that ends is not started again
};

}  // namespace gitproc::sim
