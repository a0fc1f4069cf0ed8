// A made-up repository: commits with units that differ from their parents' in every way a unit can, some of
// them broken, some for a while unreadable, and branches that move.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcile/desired/snapshot.h"
#include "reconcile/event.h"
#include "reconcile/sim/chance.h"
#include "reconcile/trust/judge.h"

namespace gitproc::sim {

struct Commit {
  CommitInfo info;
  UnitMap units;
  std::vector<ObjectId> parents;
  bool is_broken = false;  // CommitRejected
  bool is_signed = true;

  std::optional<ObjectId> parent() const {
    return parents.empty() ? std::nullopt : std::optional(parents.front());
  }
};

// Null where the commit has none of that name.
inline UnitPtr find_unit(const Commit& commit, const std::string& name) {
  auto found = commit.units.find(name);
  return found == commit.units.end() ? nullptr : found->second;
}

class Repository : public CommitGraph, public SignatureCheck {
 public:
  static constexpr const char* main_branch = "main";
  static constexpr const char* other_branch = "testing";

  // `wide_chance`: draws directives that only some worlds have; null in the others.
  Repository(Chance& chance, Chance* wide_chance);

  // Lets a branch go on: mostly to a new commit, sometimes to one that exists (a reset, a merge of another).
  void move(const std::string& branch);
  // Lets it go on to a commit that changes nothing but the content of the file that the service is reloaded for; false
  // where it cannot be.
  bool touch_watched(const std::string& branch, const std::string& service);
  const ObjectId& tip(const std::string& branch) const { return tips_.at(branch); }
  // What the local branch is seen as; nullopt while it is gone.
  std::optional<ObjectId> seen_tip(const std::string& branch) const;
  void remove(const std::string& branch) { gone_.insert(branch); }
  // Where they were, those that are gone.
  void bring_branches_back() { gone_.clear(); }

  // --- with a remote: what it has, and what was fetched of it ---
  // One that is out of reach is followed by bundles.
  void add_remote(bool is_in_reach) {
    remote_tips_ = tips_;
    is_in_reach_ = is_in_reach;
  }
  bool has_remote() const { return !remote_tips_.empty(); }
  bool has_remote_in_reach() const { return has_remote() && is_in_reach_; }
  // A push, mostly to what follows; sometimes the branch is rewritten.
  void push(const std::string& branch);
  void fetch() { fetched_tips_ = remote_tips_; }
  const ObjectId& remote_tip(const std::string& branch) const { return remote_tips_.at(branch); }
  std::optional<ObjectId> fetched_tip(const std::string& branch) const;
  bool is_after(const ObjectId& descendant, const ObjectId& ancestor) const;
  TipsCompared compare(const TipQuestion& question) const;
  // Whether the branch was there and has moved.
  bool move_along(const MoveBranch& command);

  const Commit& at(const ObjectId& id) const { return commits_.at(id); }
  // Any commit there is.
  const ObjectId& any() { return chance_.pick(ids_); }
  const std::vector<std::string>& names() const { return names_; }

  // What is asked of it to judge a commit by a signature policy.
  Result<CommitNode> node(const ObjectId& commit) override;
  Result<std::vector<Refusal>> check(std::span<const ObjectId> commits) override;

 private:
  const ObjectId& grow(const ObjectId* parent, bool may_break);
  Commit next_commit(const ObjectId* parent) const;
  const ObjectId& add(Commit commit);
  UnitPtr new_unit(const std::string& name);
  UnitPtr changed(const Unit& unit);
  void draw_relations(Unit& unit);
  void draw_limits(Unit& unit);
  void draw_behaviour(Unit& unit);
  void draw_rare_behaviour(Unit& unit);
  UnitPtr sealed(Unit unit);
  static void drop_dangling(UnitMap& units);

  Chance& chance_;
  Chance* wide_chance_;
  std::vector<std::string>
      names_;  // of all services; each depends on earlier ones only, so there are no cycles
  std::map<ObjectId, Commit> commits_;
  std::vector<ObjectId> ids_;
  std::map<std::string, ObjectId> tips_;
  std::map<std::string, ObjectId> remote_tips_, fetched_tips_;
  std::set<std::string> gone_;  // local branches
  bool is_in_reach_ = true;
  std::uint64_t versions_ = 0;
};

}  // namespace gitproc::sim
