#include "agent/planning.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/json_views.h"
#include "drivers/git/commit_loader.h"
#include "drivers/git/signatures.h"
#include "reconcile/plan/guard.h"

namespace gitproc {
namespace {

// Files of what the policy refuses are not even looked at to be shown.
Result<void> check_trust(Repository& repository, const SignaturePolicy& policy,
                         const VerifiedCommits& verified, const ObjectId& commit) {
  if (!policy.is_set()) return {};
  Result<Judgement> judgement =
      judge_commit(repository, policy, {.commit = commit, .branch = "", .verified = verified});
  if (!judgement) return std::unexpected(judgement.error());
  if (judgement->reasons.empty()) return {};
  return fail("commit " + commit.abbreviated() + " cannot be applied: " + judgement->reasons.front());
}

Result<Snapshot> load(Repository& repository, const ObjectId& commit, const PlanQuestion& question) {
  Result<void> trusted = check_trust(repository, question.signatures, question.verified, commit);
  if (!trusted && commit != question.applied) return std::unexpected(trusted.error());
  auto snapshot = load_snapshot(repository, commit, question.catalog);
  if (snapshot) return *std::move(snapshot);
  if (snapshot.error().unreadable) return std::unexpected(*snapshot.error().unreadable);
  std::string first =
      snapshot.error().errors.empty() ? "it is invalid" : to_string(snapshot.error().errors.front());
  return fail("commit " + commit.abbreviated() + " cannot be applied: " + first);
}

}  // namespace

Result<PlanAnswer> make_plan(Repository& repository, const PlanQuestion& question) {
  Result<Snapshot> after_it = load(repository, question.to, question);
  if (!after_it) return std::unexpected(after_it.error());
  Snapshot before_it;
  if (question.from) {
    Result<Snapshot> loaded = load(repository, *question.from, question);
    if (!loaded) return std::unexpected(loaded.error());
    before_it = *std::move(loaded);
  }
  PlanAnswer answer{.plan = make_plan(before_it.units, after_it->units),
                    .warnings = std::move(after_it->warnings),
                    .guard = "",
                    .guard_message = ""};
  auto denial = std::ranges::find_if(question.denials, [&](const Denial& known) {
    auto unit = after_it->units.find(known.service);
    return unit != after_it->units.end() && unit->second->fingerprint == known.fingerprint;
  });
  auto pruned = question.prune_guard ? prune_guard(before_it.units, after_it->units) : std::nullopt;
  if (denial != question.denials.end()) {
    answer.guard = "denied";
    answer.guard_message =
        denial->service + " failed here in " + denial->commit.abbreviated() + ": " + denial->reason;
  } else if (pruned) {
    answer.guard = prune_guard_kind;
    answer.guard_message = *pruned;
  }
  return answer;
}

Json plan_json(const PlanQuestion& question, const PlanAnswer& answer) {
  Json actions = Json::array();
  for (const Action& action : answer.plan.actions) {
    actions.push_back(
        {{"verb", to_string(action.verb)}, {"service", action.unit}, {"reason", action.reason}});
  }
  Json guard = nullptr;
  if (!answer.guard.empty()) guard = {{"kind", answer.guard}, {"message", answer.guard_message}};
  return Json{{"from", commit_json(question.from)},
              {"to", question.to.hex()},
              {"node", question.catalog.node.name},
              {"actions", actions},
              {"guard", guard},
              {"warnings", diagnostics_json(answer.warnings)}};
}

std::string summary_of(const Plan& plan) {
  std::string text;
  for (Verb verb : {Verb::stop, Verb::restart, Verb::reload, Verb::adjust, Verb::update, Verb::start}) {
    std::vector<std::string> names;
    for (const Action& action : plan.actions) {
      if (action.verb == verb) names.push_back(action.unit);
    }
    if (names.empty()) continue;
    text += (text.empty() ? "would " : "; ") + std::string(to_string(verb)) + " " + list_of_names(names);
  }
  return text.empty() ? "would change nothing" : text;
}

}  // namespace gitproc
