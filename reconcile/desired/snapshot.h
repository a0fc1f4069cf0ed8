// What one commit means for one node: its units, or the reasons why it cannot be applied.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "reconcile/base/diagnostic.h"
#include "reconcile/base/object_id.h"
#include "reconcile/base/time.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

struct CommitInfo {
  ObjectId id;
  ObjectId tree;
  std::string author;   // "Name <mail>"
  std::string subject;  // first line of the message
  WallTime at;          // committer time

  bool operator==(const CommitInfo&) const = default;
};

// One unit that differs between two commits; `unit` is null where it is gone.
struct UnitChange {
  std::string name;
  UnitPtr unit;
};

using UnitMap = std::map<std::string, UnitPtr, std::less<>>;

struct Snapshot {
  CommitInfo commit;
  UnitMap units;
  Diagnostics warnings;
};

// Who this node is: decides what of nodes/, groups/ and NodeSelector= applies.
struct NodeIdentity {
  std::string name;
  std::map<std::string, std::string, std::less<>> labels;

  bool operator==(const NodeIdentity&) const = default;
};

}  // namespace gitproc
