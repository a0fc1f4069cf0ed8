// The diff: from what is (or would be) running to what a commit wants, as an ordered list of actions for
// people and tests. The Reconciler carries out the same order step by step.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reconcile/desired/snapshot.h"
#include "reconcile/unit/change.h"

namespace gitproc {

// `update`: the new unit is used from now on without touching the process.
enum class Verb { stop, restart, reload, adjust, update, start };
std::string_view to_string(Verb verb);

struct Action {
  Verb verb = Verb::start;
  std::string unit;
  std::string reason;  // "removed", "new", "ExecStart changed in web.service", "requires db, which restarts"

  bool operator==(const Action&) const = default;
};

// "restart web: ExecStart changed in web.service"
std::string to_string(const Action& action);

struct Plan {
  std::vector<Action> actions;
  bool operator==(const Plan&) const = default;
};

// Wave 1: removed units stop, in reverse dependency order; wave 2: changed ones restart (and what requires,
// is bound to or part of them), reload or are adjusted, in dependency order; wave 3: new ones start, in
// dependency order. Units with DesiredState=stopped are registered (no action); one that becomes so stops in
// wave 1, and what requires it with it. Both must be free of cycles. Equal inputs give equal plans.
// Cost: (units + relations) * log(units); the names of the units alone where at most one of them is marked.
Plan make_plan(const UnitMap& from, const UnitMap& to);

// What a difference is due to, for people: "ExecStart and User changed in web.service",
// "RestartOn=nginx.conf changed". At most three directives and two files are named.
std::string describe(const UnitDifference& difference, const Unit& from, const Unit& to);

}  // namespace gitproc
