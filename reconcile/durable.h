// What must outlive the agent and that neither git nor the kernel knows: the operator's decisions and what
// was learnt of commits. Written by drivers/store to <state-dir>/state.json.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcile/base/object_id.h"
#include "reconcile/base/time.h"
#include "reconcile/trust/policy.h"

namespace gitproc {

// `gitproc rollback`: the desired state is this commit until it is lifted.
struct Pin {
  ObjectId commit;
  std::string by;
  WallTime at;
  std::string reason;
  std::optional<WallTime> until;

  bool operator==(const Pin&) const = default;
};

// `gitproc switch`: follow another branch than the configured one.
struct BranchOverride {
  std::string branch;
  std::optional<WallTime> until;

  bool operator==(const BranchOverride&) const = default;
};

// `gitproc stop` of a service that git wants running, or `gitproc start` of one that git wants stopped.
struct OperatorHold {
  std::string by;
  WallTime at;

  bool operator==(const OperatorHold&) const = default;
};
struct OperatorStart {
  std::uint64_t fingerprint = 0;  // a change of the unit ends it
  std::string boot_id;            // so does a boot

  bool operator==(const OperatorStart&) const = default;
};

// What the followed branch was at the remote when it was followed last: a tip that does not descend from it was
// rewritten there.
struct RemoteBase {
  std::string branch;
  ObjectId commit;

  bool operator==(const RemoteBase&) const = default;
};

// `gitproc accept`: the operator wants exactly this tip of the remote's branch, whatever the local branch holds as
// long as it is at `local`.
struct Acceptance {
  ObjectId commit;
  std::optional<ObjectId> local;
  std::string by;
  WallTime at;

  bool operator==(const Acceptance&) const = default;
};

// The tip that this node was let to go to last, and of which branch: only what differs from it is a move of the
// branch that the prune guard looks at.
struct Followed {
  std::string branch;
  ObjectId commit;

  bool operator==(const Followed&) const = default;
};

// A commit that has to prove itself (rollout.auto_rollback), with the units that differ from what ran before:
// their fingerprints there, 0 for a new one.
struct Trial {
  ObjectId commit;
  std::map<std::string, std::uint64_t, std::less<>> changed;

  bool operator==(const Trial&) const = default;
};

// Content that failed its trial on this node: a commit that holds it is not tried.
struct Denial {
  std::string service;
  std::uint64_t fingerprint = 0;  // of the unit and what it watches
  ObjectId commit;                // that failed with it
  WallTime at;
  std::string reason;

  bool operator==(const Denial&) const = default;
};

// The automatic rollback: the desired state is `to` as long as the tip is refused.
struct Retreat {
  ObjectId to;
  ObjectId from;  // the commit that failed
  WallTime at;
  std::string reason;

  bool operator==(const Retreat&) const = default;
};

enum class Outcome { progressing, healthy, degraded, superseded, rejected, rolled_back };
std::string_view to_string(Outcome outcome);
std::optional<Outcome> parse_outcome(std::string_view word);

// One commit that was (to be) applied on this node.
struct HistoryEntry {
  ObjectId commit;
  std::string subject;
  std::string author;
  WallTime at;                   // when applying began, or it was rejected
  std::optional<Duration> took;  // until the last action had ended
  std::string cause;             // "commit", "rollback", "auto-rollback", "sync", "switch", "start"
  Outcome outcome = Outcome::progressing;
  std::string message;  // why degraded, rejected or rolled back

  bool operator==(const HistoryEntry&) const = default;
};

// The newest entries that are kept: of commits that were applied, and besides of those that were rejected, so that
// a series of mistakes does not push out what ran.
inline constexpr std::size_t history_limit = 1000;
inline constexpr std::size_t rejected_history_limit = 200;
// The newest that are remembered.
inline constexpr std::size_t denial_limit = 1000;

// Appends an entry within these bounds.
void append_history(std::vector<HistoryEntry>& history, HistoryEntry entry);

struct DurableState {
  std::optional<ObjectId> applied;
  std::optional<ObjectId> healthy;  // the last that was applied and stayed well for min_healthy_time
  std::optional<Pin> pin;
  std::optional<BranchOverride> branch_override;
  std::optional<RemoteBase> remote_base;
  std::optional<Acceptance> acceptance;
  bool follows_imports = false;  // bundles stand in for a remote that is not configured
  std::map<std::string, OperatorHold, std::less<>> holds;
  std::map<std::string, OperatorStart, std::less<>> operator_starts;
  std::optional<Followed> followed;
  std::optional<Trial> trial;
  std::optional<Retreat> retreat;
  std::vector<Denial> denials;        // oldest first
  std::vector<HistoryEntry> history;  // oldest first
  VerifiedCommits verified;
  std::string machine;  // the machine-id(5) that all this was decided on; "" when none is known

  bool operator==(const DurableState&) const = default;
};

// On a disk that was cloned: what stays true on the machine with id `machine`. The commits do; what was decided for the
// other machine (pin, branch, holds, starts) and what happened on it do not. nullopt: it is the same machine, or
// nobody can tell.
std::optional<DurableState> left_by_clone(const DurableState& state, const std::string& machine);

}  // namespace gitproc
