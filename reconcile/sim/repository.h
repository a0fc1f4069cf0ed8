// A made-up repository: commits with units that differ from their parents' in every way a unit can, some of
// them broken, some for a while unreadable, and branches that move.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "reconcile/desired/snapshot.h"
#include "reconcile/sim/chance.h"

namespace gitproc::sim {

struct Commit {
  CommitInfo info;
  UnitMap units;
  bool is_broken = false;  // CommitRejected
};

class Repository {
 public:
  static constexpr const char* main_branch = "main";
  static constexpr const char* other_branch = "testing";

  explicit Repository(Chance& chance);

  // Lets a branch go on: mostly to a new commit, sometimes to one that exists (a reset, a merge of another).
  void move(const std::string& branch);
  const ObjectId& tip(const std::string& branch) const { return tips_.at(branch); }
  const Commit& at(const ObjectId& id) const { return commits_.at(id); }
  // Any commit there is.
  const ObjectId& any() { return chance_.pick(ids_); }
  const std::vector<std::string>& names() const { return names_; }

 private:
  const ObjectId& grow(const ObjectId* parent, bool may_break);
  UnitPtr new_unit(const std::string& name);
  UnitPtr changed(const Unit& unit);
  void draw_relations(Unit& unit);
  void draw_limits(Unit& unit);
  void draw_behaviour(Unit& unit);
  UnitPtr sealed(Unit unit);
  static void drop_dangling(UnitMap& units);

  Chance& chance_;
  std::vector<std::string>
      names_;  // of all services; each depends on earlier ones only, so there are no cycles
  std::map<ObjectId, Commit> commits_;
  std::vector<ObjectId> ids_;
  std::map<std::string, ObjectId> tips_;
  std::uint64_t versions_ = 0;
};

}  // namespace gitproc::sim
