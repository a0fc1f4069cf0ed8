// What a commit would do on this node, worked out on the git thread: for `plan`, and for what `status` says of a tip
// that is not applied.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/protocol/json.h"
#include "drivers/git/repository.h"
#include "reconcile/base/error.h"
#include "reconcile/desired/catalog.h"
#include "reconcile/durable.h"
#include "reconcile/plan/plan.h"
#include "reconcile/trust/policy.h"

namespace gitproc {

struct PlanQuestion {
  Catalog::Options catalog;
  std::optional<ObjectId> from;  // nullopt: nothing runs
  ObjectId to;
  bool prune_guard = true;
  std::vector<Denial> denials;
  SignaturePolicy signatures;
  VerifiedCommits verified;
  std::optional<ObjectId> applied;  // that is read whatever the policy says now
};

struct PlanAnswer {
  Plan plan;
  Diagnostics warnings;
  std::string guard;  // "prune", "denied"; "" where nothing would hold it
  std::string guard_message;
};

// An error where a commit cannot be read, or `to` cannot be applied: with its first mistake.
Result<PlanAnswer> make_plan(Repository& repository, const PlanQuestion& question);

// The data of `plan`; the shape is that of agent/protocol/README.md.
Json plan_json(const PlanQuestion& question, const PlanAnswer& answer);

// "would stop a, b and restart web"; "would change nothing".
std::string summary_of(const Plan& plan);

}  // namespace gitproc
