// Everything that happens, as plain values: the only input of the Reconciler. Drivers and the control socket
// make them; none of them carries a decision.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "reconcile/actual/exit_status.h"
#include "reconcile/actual/service.h"
#include "reconcile/base/diagnostic.h"
#include "reconcile/base/error.h"
#include "reconcile/base/ids.h"
#include "reconcile/base/object_id.h"
#include "reconcile/command.h"
#include "reconcile/desired/snapshot.h"
#include "reconcile/trust/policy.h"

namespace gitproc {

// --- git ---

// The followed branch points to `tip` now, or (nullopt) there is no such branch or it cannot be read.
struct TipObserved {
  std::string branch;
  std::optional<ObjectId> tip;
  std::string error;                   // why there is no tip
  std::optional<ObjectId> remote_tip;  // of refs/remotes/origin/<branch>, as last fetched
};

// A Fetch ended; what it brought was told by TipObserved before.
struct Fetched {
  enum class Fault {
    none,
    failed,   // the remote is down, hangs, lies, or has no such branch
    refused,  // it refuses our credentials: asking often makes it worse
  };
  Fault fault = Fault::none;
  std::string error;  // "" when it went well; without secrets
};

// Answers CompareTips.
struct TipsCompared {
  // Of the local branch to the remote's.
  enum class Relation { equal, ahead, behind, diverged };
  TipQuestion question;
  std::string error;  // "" when they could be compared
  Relation relation = Relation::equal;
  bool is_local_in_base = false;         // the local branch holds nothing that `base` does not hold
  bool is_remote_after_base = false;     // equal counts as after
  bool is_remote_after_applied = false;  // the same
};

// Commits were taken from a bundle into refs/remotes/origin.
struct BundleImported {};

// A LoadCommit ended well. `changes` is relative to the commit loaded before it (all units, the first time).
struct CommitLoaded {
  CommitInfo commit;
  std::vector<UnitChange> changes;
  Diagnostics warnings;                    // all warnings of the commit, not only of what changed
  std::optional<VerifiedCommit> verified;  // it met the signature policy
};

// A LoadCommit ended because the commit is invalid, or is refused by the signature policy; what was loaded before stays
// loaded.
struct CommitRejected {
  CommitInfo commit;
  Diagnostics errors;
  std::optional<VerifiedCommit> verified;  // it met the signature policy, and is wrong in another way
};

// A LoadCommit ended because the commit cannot be read (missing or corrupt object): never taken for deletion.
struct CommitUnreadable {
  ObjectId commit;
  std::string error;
};

struct TreeExported {
  ObjectId commit;
  std::string error;  // "" when it went well
};

// --- processes; all carry the id that the Spawn, Kill or Await... command carried ---

// The process exists; for Type=exec and all control commands its execve has succeeded too.
struct Spawned {
  ServiceId service;
  SpawnId spawn;
  Pid pid = 0;
};

// Nothing runs: `exit_code` is the 2xx code of the stage that failed (systemd.exec(5)), or 0 where the agent
// could not even try (no memory, no descriptors): Result=resources.
struct SpawnFailed {
  ServiceId service;
  SpawnId spawn;
  int exit_code = 0;
  std::string message;
};

struct ProcessExited {
  ServiceId service;
  Pid pid = 0;
  ExitStatus status;
  bool was_oom_killed = false;
  // What PIDFile= named when the end was seen: a living process of the service. 0: none, or no such file is known.
  Pid pid_in_file = 0;
};

// The kernel's OOM killer took a process of the service; of the main one it may be told only so.
struct OomKilled {
  ServiceId service;
};

// <state-dir>/tree was not what the commit says: somebody changed it, and it was put back.
struct TreeRestored {
  ObjectId commit;
};

// A value in the service's cgroup is not what AdjustLimits or a Spawn wrote.
struct LimitsDrifted {
  ServiceId service;
  std::string what;  // "memory.max"
  std::string wanted;
  std::string found;  // "" where it is gone
};

// Answers FindSurvivors: "PID 4711 (dd, in uninterruptible sleep)", "" when none is left.
struct SurvivorsFound {
  ServiceId service;
  std::string processes;
};

// No process of the service is left; answers a Kill with `awaits_empty`.
struct Emptied {
  ServiceId service;
};

// Answers AwaitMainPid: pid is 0 where no process is left, or none can be told to be the main one.
struct MainPidFound {
  ServiceId service;
  Pid pid = 0;
  bool is_empty = false;  // no process of the service is left at all
};

// One datagram of sd_notify(3), already matched to a service.
struct Notified {
  ServiceId service{};
  Pid sender = 0;
  bool is_ready = false;
  bool is_reloading = false;
  bool is_stopping = false;
  bool is_watchdog = false;                // WATCHDOG=1
  bool is_watchdog_trigger = false;        // WATCHDOG=trigger
  std::optional<std::string> status;       // STATUS=
  std::optional<Pid> main_pid;             // MAINPID=, in the agent's PID namespace
  std::optional<Duration> extend_timeout;  // EXTEND_TIMEOUT_USEC=
  std::optional<Duration> watchdog;        // WATCHDOG_USEC=
};

struct ConditionsChecked {
  ServiceId service;
  bool is_met = true;
  bool is_assert = false;  // the one that failed is an Assert...=
  std::string unmet;       // "ConditionPathExists=/x", "" when met
};

// Answers Preflight: whether the new unit could be started at all.
struct PreflightChecked {
  ServiceId service;
  std::uint64_t fingerprint = 0;
  std::string error;  // "" when nothing is missing
};

struct ProbeFinished {
  ServiceId service;
  bool is_healthy = false;
  std::string detail;  // "HTTP 503", "connection refused", ...
};

// --- operators ---

enum class ServiceVerb { start, stop, restart, reload };
struct ServiceRequested {
  RequestId request;
  ServiceVerb verb = ServiceVerb::start;
  std::string service;
  std::string by;  // "uid 0"
};

struct SyncRequested {
  RequestId request;
  bool waits = true;
  bool retries = false;  // --retry
  std::string by;
};

// Somebody wants the remote to be asked now: a webhook.
struct FetchRequested {
  std::string by;
};

// `gitproc accept`: exactly this tip of the remote's branch is to be followed, although it is held.
struct AcceptRequested {
  RequestId request;
  ObjectId commit;
  std::string by;
  bool waits = true;
};

struct RollbackRequested {
  RequestId request;
  std::optional<ObjectId> commit;  // already resolved; nullopt: the newest other one that was healthy here
  std::string by;
  std::string reason;
  std::optional<WallTime> until;
  bool waits = true;
};

// Lets a commit go ahead that the prune guard holds.
struct ApproveRequested {
  RequestId request;
  std::optional<ObjectId> commit;  // already resolved; nullopt: the one that is held
  std::string by;
  bool waits = true;
};

// The followed branch was switched (`gitproc switch`); the agent has told the ref watcher already, and its TipObserved
// came before.
struct BranchSwitched {
  std::string branch;          // "": the one that TipObserved named
  bool is_configured = false;  // back to the configured one
  std::optional<WallTime> until;
};

// The configuration was read again: what it says of commits from now on. Commands that are under way were told before.
struct PolicyChanged {
  Duration min_healthy_time{};
  Duration rollout_deadline{};
  bool auto_rollback = false;
  bool prune_guard = false;
  bool verifies_signatures = false;
  bool judges_anew = false;  // the signature policy is another one
};

// A request that only wants to be answered when what was posted before it is durable.
struct RequestNoticed {
  RequestId request;
};

struct ShutdownRequested {
  bool stops_services = false;
};

using Event =
    std::variant<TipObserved, CommitLoaded, CommitRejected, CommitUnreadable, TreeExported, TreeRestored,
                 Spawned, SpawnFailed, ProcessExited, OomKilled, LimitsDrifted, SurvivorsFound, Emptied,
                 MainPidFound, Notified, ConditionsChecked, PreflightChecked, ProbeFinished, Fetched,
                 TipsCompared, BundleImported, ServiceRequested, SyncRequested, FetchRequested,
                 AcceptRequested, RollbackRequested, ApproveRequested, BranchSwitched, PolicyChanged,
                 RequestNoticed, ShutdownRequested>;

}  // namespace gitproc
