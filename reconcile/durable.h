// What must outlive the agent and that neither git nor the kernel knows: the operator's decisions and what
// was learnt of commits. Written by drivers/store to <state-dir>/state.json.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcile/base/object_id.h"
#include "reconcile/base/time.h"

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

enum class Outcome { progressing, healthy, degraded, superseded, rejected };
std::string_view to_string(Outcome outcome);
std::optional<Outcome> parse_outcome(std::string_view word);

// One commit that was (to be) applied on this node.
struct HistoryEntry {
  ObjectId commit;
  std::string subject;
  std::string author;
  WallTime at;                   // when applying began, or it was rejected
  std::optional<Duration> took;  // until the last action had ended
  std::string cause;             // "commit", "rollback", "sync", "switch", "start"
  Outcome outcome = Outcome::progressing;
  std::string message;  // why degraded or rejected

  bool operator==(const HistoryEntry&) const = default;
};

// The newest entries that are kept.
inline constexpr std::size_t history_limit = 1000;

struct DurableState {
  std::optional<ObjectId> applied;
  std::optional<Pin> pin;
  std::optional<BranchOverride> branch_override;
  std::optional<RemoteBase> remote_base;
  std::optional<Acceptance> acceptance;
  bool follows_imports = false;  // bundles stand in for a remote that is not configured
  std::map<std::string, OperatorHold, std::less<>> holds;
  std::map<std::string, OperatorStart, std::less<>> operator_starts;
  std::vector<HistoryEntry> history;  // oldest first

  bool operator==(const DurableState&) const = default;
};

}  // namespace gitproc
