// Which commits a tip brings in, and which of two commits is older: walks through the graph of commits that go
// newest first and stop where everything that waits is known, so that their cost follows what is new. Dates only
// choose the order; clocks that were wrong, or lies, never leave a commit out of a range.
#pragma once

#include <vector>

#include "reconcile/base/error.h"
#include "reconcile/base/object_id.h"
#include "reconcile/base/time.h"

namespace gitproc {

// Commits that one walk looks at.
inline constexpr unsigned max_judged_walk = 200'000;

struct CommitNode {
  std::vector<ObjectId> parents;
  WallTime at;
};

// The repository as a graph. A commit that cannot be read is an error of the walk.
class CommitGraph {
 public:
  virtual ~CommitGraph() = default;
  virtual Result<CommitNode> node(const ObjectId& commit) = 0;
};

// The commits that `tip` has and `bases` have not, through all parents, newest first. A commit that the bases do have
// can be among them where dates are wrong (has_ancestor tells); none is ever missing. Error: more than `limit`.
Result<std::vector<ObjectId>> commits_not_in(CommitGraph& graph, const ObjectId& tip,
                                             const std::vector<ObjectId>& bases, std::size_t limit);

// Whether `ancestor` is one of `commits` or lies behind one of them.
Result<bool> has_ancestor(CommitGraph& graph, const std::vector<ObjectId>& commits, const ObjectId& ancestor);

enum class Descent { same, descendant, ancestor, diverged };
// What `commit` is to `base`.
Result<Descent> descent_of(CommitGraph& graph, const ObjectId& commit, const ObjectId& base);

}  // namespace gitproc
