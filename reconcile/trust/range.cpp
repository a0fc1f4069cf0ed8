#include "reconcile/trust/range.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <string>
#include <utility>

namespace gitproc {
namespace {

std::unexpected<Error> too_far() {
  return fail("its history cannot be judged: a walk through it would take more than " +
              std::to_string(max_judged_walk) + " commits");
}

// A walk that paints what the bases have while it collects what only the tip has.
class Painter {
 public:
  explicit Painter(CommitGraph& graph) : graph_(graph) {}

  Result<void> reach(const ObjectId& id, bool is_painted) {
    auto known = reached_.find(id);
    if (known != reached_.end() && (known->second.is_painted || !is_painted)) return {};
    if (known == reached_.end()) {
      if (reached_.size() == max_judged_walk) return too_far();
      auto node = graph_.node(id);
      if (!node) return std::unexpected(node.error());
      known = reached_.emplace(id, Reached{*std::move(node), is_painted}).first;
    }
    known->second.is_painted = is_painted;
    if (is_painted) {
      unknown_.erase(id);
    } else {
      unknown_.insert(id);
    }
    waiting_.emplace(known->second.node.at, id);
    return {};
  }

  // Goes on until nothing waits that is not painted, and a little further, for what is painted late.
  Result<void> walk(std::size_t limit) {
    std::size_t collected = 0;
    while (!waiting_.empty() && (!unknown_.empty() || waiting_.top().first >= oldest_)) {
      ObjectId id = waiting_.top().second;
      waiting_.pop();
      const Reached& commit = reached_.at(id);
      if (!commit.is_painted) {
        if (unknown_.erase(id) == 0) continue;  // seen already
        oldest_ = std::min(oldest_, commit.node.at);
        if (++collected > limit) {
          return fail("more than " + std::to_string(limit) + " commits would have to be verified");
        }
      }
      for (const ObjectId& parent : commit.node.parents) {
        if (auto reached = reach(parent, commit.is_painted); !reached) return reached;
      }
    }
    return {};
  }

  std::vector<ObjectId> unpainted() const {
    std::vector<std::pair<WallTime, ObjectId>> dated;
    for (const auto& [id, reached] : reached_) {
      if (!reached.is_painted) dated.emplace_back(reached.node.at, id);
    }
    std::ranges::sort(dated, std::greater<>());
    std::vector<ObjectId> commits;
    commits.reserve(dated.size());
    for (const auto& [at, id] : dated)
      commits.push_back(id);
    return commits;
  }

  bool is_parent_of_unpainted(const ObjectId& id) const {
    return std::ranges::any_of(reached_, [&](const auto& entry) {
      const Reached& reached = entry.second;
      return !reached.is_painted && std::ranges::find(reached.node.parents, id) != reached.node.parents.end();
    });
  }

 private:
  struct Reached {
    CommitNode node;
    bool is_painted = false;
  };

  CommitGraph& graph_;
  std::map<ObjectId, Reached> reached_;
  std::priority_queue<std::pair<WallTime, ObjectId>> waiting_;
  std::set<ObjectId> unknown_;  // waiting and not painted
  WallTime oldest_ = WallTime::max();
};

}  // namespace

Result<std::vector<ObjectId>> commits_not_in(CommitGraph& graph, const ObjectId& tip,
                                             const std::vector<ObjectId>& bases, std::size_t limit) {
  Painter painter(graph);
  for (const ObjectId& base : bases) {
    if (auto reached = painter.reach(base, true); !reached) return std::unexpected(reached.error());
  }
  if (auto reached = painter.reach(tip, false); !reached) return std::unexpected(reached.error());
  if (auto walked = painter.walk(limit); !walked) return std::unexpected(walked.error());
  return painter.unpainted();
}

Result<bool> has_ancestor(CommitGraph& graph, const std::vector<ObjectId>& commits,
                          const ObjectId& ancestor) {
  std::set<ObjectId> seen;
  std::priority_queue<std::pair<WallTime, ObjectId>> waiting;
  std::map<ObjectId, std::vector<ObjectId>> parents;  // of those waiting
  auto reach = [&](const ObjectId& id) -> Result<void> {
    if (!seen.insert(id).second) return {};
    if (seen.size() > max_judged_walk) return too_far();
    auto node = graph.node(id);
    if (!node) return std::unexpected(node.error());
    waiting.emplace(node->at, id);
    parents.emplace(id, std::move(node->parents));
    return {};
  };
  for (const ObjectId& commit : commits) {
    if (auto reached = reach(commit); !reached) return std::unexpected(reached.error());
  }
  while (!seen.contains(ancestor) && !waiting.empty()) {
    auto place = parents.extract(waiting.top().second);
    waiting.pop();
    for (const ObjectId& parent : place.mapped()) {
      if (auto reached = reach(parent); !reached) return std::unexpected(reached.error());
    }
  }
  return seen.contains(ancestor);
}

Result<Descent> descent_of(CommitGraph& graph, const ObjectId& commit, const ObjectId& base) {
  if (commit == base) return Descent::same;
  Painter painter(graph);
  if (auto reached = painter.reach(base, true); !reached) return std::unexpected(reached.error());
  if (auto reached = painter.reach(commit, false); !reached) return std::unexpected(reached.error());
  if (auto walked = painter.walk(max_judged_walk); !walked) return std::unexpected(walked.error());
  // On a way from the commit down to the base the last step is from one that the base does not have.
  if (painter.is_parent_of_unpainted(base)) return Descent::descendant;
  auto is_older = has_ancestor(graph, {base}, commit);
  if (!is_older) return std::unexpected(is_older.error());
  return *is_older ? Descent::ancestor : Descent::diverged;
}

}  // namespace gitproc
