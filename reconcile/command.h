// Everything that is to be done, as plain values: the only output of the Reconciler. The agent hands each to
// a driver; the outcome comes back as an Event.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "reconcile/actual/service.h"
#include "reconcile/base/error.h"
#include "reconcile/base/ids.h"
#include "reconcile/base/object_id.h"
#include "reconcile/trust/policy.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// --- git ---

// -> CommitLoaded, CommitRejected or CommitUnreadable. One at a time. Where there is a signature policy, it is judged
// first, before any file of the commit is looked at, but for one that was applied before.
struct LoadCommit {
  ObjectId commit;
  std::string branch;        // whose tip it is; "": it was asked for by name, and may be old
  VerifiedCommits verified;  // what was found good before
  bool was_applied = false;
};

// Make <state-dir>/tree the tree of this commit. -> TreeExported
struct ExportTree {
  ObjectId commit;
};

// refs/gitproc/<marker>: keeps the commit from gc and survives the state file. nullopt removes it.
enum class Marker { fetched, verified, applied, healthy, pinned };
struct SetMarker {
  Marker marker = Marker::applied;
  std::optional<ObjectId> commit;
};

// Get from the remote what it has and this repository has not. -> Fetched. One at a time.
struct Fetch {};

// How the tips stand to each other that a branch may mean. -> TipsCompared
struct TipQuestion {
  std::string branch;
  std::optional<ObjectId> local;    // refs/heads/<branch>
  ObjectId remote;                  // refs/remotes/origin/<branch>
  std::optional<ObjectId> base;     // what the remote's branch was when it was followed last
  std::optional<ObjectId> applied;  // on this node

  bool operator==(const TipQuestion&) const = default;
};
struct CompareTips {
  TipQuestion question;
};

// Move the local branch (make it, where `from` is nullopt); done only where it is at `from` still and no working
// tree has it checked out.
struct MoveBranch {
  std::string branch;
  std::optional<ObjectId> from;
  ObjectId to;

  bool operator==(const MoveBranch&) const = default;
};

// --- processes ---

// Run one Exec...= command. -> Spawned or SpawnFailed, later ProcessExited.
struct Spawn {
  ServiceId service;
  SpawnId spawn;
  UnitPtr unit;
  ExecPhase phase = ExecPhase::start;
  unsigned command_index = 0;
  InvocationId invocation;
  unsigned restarts = 0;
  Pid main_pid = 0;  // $MAINPID, when not 0
  // $SERVICE_RESULT, $EXIT_CODE, $EXIT_STATUS: for stop and stop_post.
  std::optional<ServiceResult> result;
  std::optional<ExitStatus> main_exit;
};

// Signal processes of a service: `main_pid` and `control_pid` (where not 0) first, then, with `whole_group`,
// all others; SIGCONT after anything but SIGKILL. With `awaits_empty`: -> Emptied, at once if nothing is left.
struct Kill {
  ServiceId service;
  UnitPtr unit;
  Pid main_pid = 0;
  Pid control_pid = 0;
  bool whole_group = false;
  int signal = 15;
  bool sends_sighup = false;
  bool awaits_empty = false;
};

// For Type=forking, after its first process has exited: watch PIDFile=, or guess. -> MainPidFound, at once
// where there is no PIDFile=.
struct AwaitMainPid {
  ServiceId service;
  UnitPtr unit;
};

// The service is dead: stop waiting for anything of it, remove PIDFile=, RuntimeDirectory= (but for
// RuntimeDirectoryPreserve=) and, with `is_removed`, everything else kept for it, its cgroup too.
struct CleanUp {
  ServiceId service;
  UnitPtr unit;
  bool will_restart = false;
  bool is_removed = false;
};

// Write the unit's resource control to the group of a service that runs, all of it anew. Before the stamp of a unit that
// has none, after that of one that has: an agent that is killed in between leaves what the next one writes anew.
struct AdjustLimits {
  ServiceId service;
  UnitPtr unit;
};

struct FindSurvivors {  // of a SIGKILL -> SurvivorsFound
  ServiceId service;
  UnitPtr unit;
};

struct CheckConditions {  // -> ConditionsChecked
  ServiceId service;
  UnitPtr unit;
};

struct Preflight {  // -> PreflightChecked
  ServiceId service;
  UnitPtr unit;
};

struct StartProbe {  // -> ProbeFinished, within the unit's HealthCheckTimeout=
  ServiceId service;
  UnitPtr unit;
  Pid main_pid = 0;
  InvocationId invocation;
};

struct CancelProbe {
  ServiceId service;
};

// --- memory ---

// A line of the run journal, besides those that spawned processes write themselves.
struct RunRecord {
  enum class Kind {
    started,    // start-up is complete; main_pid
    main_pid,   // the main process is another one now; main_pid
    stopping,   // a stop has begun that is not to be judged by Restart=
    stamped,    // the unit changed without touching the process: fingerprint
    ended,      // the invocation is over; latch
    forgotten,  // the latch is lifted, or the service removed
  };
  ServiceId service;
  std::string name;
  Kind kind = Kind::started;
  Pid main_pid = 0;
  std::uint64_t fingerprint = 0;
  std::optional<Latch> latch;

  bool operator==(const RunRecord&) const = default;
};

// --- people ---

// Answers the request of that id. Sent only when the durable state of this turn is on disk.
struct Answer {
  RequestId request;
  std::optional<Error> error;  // nullopt: it succeeded
  std::string message;
  Pid pid = 0;  // start, restart: the main process
};

// A change that people and `gitproc events` are told of.
struct Announce {
  std::string service;  // "" for the node
  std::string kind;     // "state", "applied", "rejected", "pinned", "rolled-back", "held", "unhealthy", ...
  std::string from;
  std::string to;
  std::string reason;
  std::optional<ObjectId> commit;
};

// The ordered end: every service is as ShutdownRequested wanted.
struct ExitAgent {};

using Command = std::variant<LoadCommit, ExportTree, SetMarker, Fetch, CompareTips, MoveBranch, Spawn, Kill,
                             AwaitMainPid, CleanUp, AdjustLimits, FindSurvivors, CheckConditions, Preflight,
                             StartProbe, CancelProbe, RunRecord, Answer, Announce, ExitAgent>;
using Commands = std::vector<Command>;

}  // namespace gitproc
