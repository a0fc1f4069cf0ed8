// The Reconciler is GitProc's one decision maker: it is told everything that happens as Events and answers
// with Commands. It is pure: the time is an argument, ids come from a seed, nothing is read or written. So a
// run can be replayed from its events, and is simulated under faults in reconcile/sim.
//
// It is level-triggered: after the events are taken in, each service that they touch, and its neighbours in
// the dependency graph, is looked at anew (desired against actual); an event that was lost costs time, never
// correctness. The cost of a step follows what changed, not how many services there are.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/actual/service.h"
#include "reconcile/base/diagnostic.h"
#include "reconcile/base/time.h"
#include "reconcile/command.h"
#include "reconcile/durable.h"
#include "reconcile/event.h"

namespace gitproc {

// A service as `list` and `status SERVICE` show it; what the kernel must be asked for (memory, CPU) is added
// by the agent.
struct ServiceView {
  std::string name;
  std::string description;
  ServiceState state = ServiceState::stopped;
  ServiceResult result = ServiceResult::success;
  Pid pid = 0;
  std::optional<ExitStatus> exit;
  WallTime since;
  unsigned restarts = 0;
  HealthState health = HealthState::none;
  bool is_desired_running = true;
  bool is_held = false;
  std::optional<ObjectId> commit;  // that last changed what it runs, as far as this agent saw
  std::string file;
  std::string reason;  // why it is in this state, one clause
  std::optional<WallTime> next_restart;
  UnitPtr unit;  // the one it runs, or would run
  InvocationId invocation;
};

enum class SyncState { synced, progressing, degraded, held, rejected, error };
std::string_view to_string(SyncState state);

// What waits for an operator before it is applied, and why: "prune" (the prune guard), "force-push", "diverged".
struct Hold {
  std::string kind;
  ObjectId commit;
  std::string message;

  bool operator==(const Hold&) const = default;
};

// How it stands with the remote.
struct RemoteView {
  std::optional<WallTime> last_fetch, last_success;
  std::string error;  // of the last fetch, "" when it went well
  bool is_fetching = false;

  bool operator==(const RemoteView&) const = default;
};

struct NodeView {
  std::string branch;
  std::optional<ObjectId> branch_commit;   // the tip
  std::optional<ObjectId> desired_commit;  // what this node wants to run
  std::optional<ObjectId> applied_commit;  // the last one that was applied to its end
  std::optional<Pin> pin;
  std::optional<Hold> hold;
  std::optional<RemoteView> remote;
  SyncState sync = SyncState::progressing;
  std::string error;     // of the gravest kind, "" when synced
  Diagnostics warnings;  // of the loaded commit; with errors first when the tip was rejected
  unsigned total = 0, running = 0, failed = 0, waiting = 0, stopped = 0, completed = 0, transient = 0;
};

class Reconciler {
 public:
  struct Remote {
    Duration poll_interval = std::chrono::minutes(1);
    bool follows_force_push = false;

    bool operator==(const Remote&) const = default;
  };
  struct Options {
    std::string boot_id;     // changes with every boot and every new container
    std::uint64_t seed = 0;  // for invocation ids
    Duration min_healthy_time = std::chrono::seconds(10);
    // How long sync and rollback wait to settle, and a commit on trial may take to become healthy.
    Duration rollout_deadline = std::chrono::minutes(5);
    bool auto_rollback = false;
    bool prune_guard = false;
    bool verifies_signatures = false;  // commits must meet a policy, which LoadCommit judges
    std::optional<Remote> remote;      // nullopt: the repository is only local
    // A step looks at so many services at most, and leaves the others to the next, which is due at once: the first of
    // a thousand need not wait until it is decided about the last. At least 1.
    unsigned services_per_step = 64;
  };

  // `adopted` are the services an earlier agent left running, or latched, in this boot.
  Reconciler(Options options, DurableState durable, std::vector<AdoptedService> adopted);
  ~Reconciler();

  // Takes in what happened and says what to do. Call it also when next_deadline() has come, without events.
  Commands step(std::span<const Event> events, Now now);

  // Whether the last step has left something to the next.
  bool has_more() const;

  // When step() has something to do although nothing happens; `never` when idle.
  Instant next_deadline() const;

  // --- views, for status ---
  NodeView node() const;
  SyncState sync() const;                     // node().sync alone, at no cost
  std::string sync_error() const;             // node().error alone
  std::optional<ObjectId> tip() const;        // of the followed branch, as last observed
  std::optional<ObjectId> desired() const;    // NodeView::desired_commit
  std::vector<ServiceView> services() const;  // by name
  std::optional<ServiceView> service(std::string_view name) const;
  // Its last health probes, the newest last; empty where there is no such service.
  std::vector<ProbeResult> probes(std::string_view name) const;
  std::optional<ServiceId> find(std::string_view name) const;
  // The name of a service; the id must have come from this Reconciler.
  const std::string& name_of(ServiceId id) const;

  // The durable state, and a number that grows whenever it changes.
  const DurableState& durable() const;
  std::uint64_t durable_version() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gitproc
