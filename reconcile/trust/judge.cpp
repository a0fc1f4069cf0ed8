#include "reconcile/trust/judge.h"

#include <algorithm>

namespace gitproc {
namespace {

bool contains(const std::vector<ObjectId>& commits, const ObjectId& commit) {
  return std::ranges::find(commits, commit) != commits.end();
}

class Judge {
 public:
  Judge(const SignaturePolicy& policy, const Question& question, CommitGraph& graph,
        SignatureCheck& signatures)
      : policy_(policy), question_(question), graph_(graph), signatures_(signatures) {}

  Result<Judgement> judge() {
    auto node = graph_.node(question_.commit);
    if (!node) return std::unexpected(node.error());
    at_ = node->at;
    if (auto found = find_bases(); !found) return std::unexpected(found.error());
    if (!question_.branch.empty()) {
      auto refused = judge_replay();
      if (!refused) return std::unexpected(refused.error());
      if (!refused->empty()) return Judgement{{*refused}, {}};
    }
    bool was_judged =
        is_verified(question_.verified, question_.commit, "") || question_.commit == policy_.since;
    if (was_judged) return good(from_before());

    if (policy_.judges_only_the_tip || bases_.empty()) return judge_alone();
    auto range = commits_not_in(graph_, question_.commit, bases_, max_verified_range);
    if (!range) return std::unexpected(range.error());
    auto is_behind = is_behind_bases(*range);
    if (!is_behind) return std::unexpected(is_behind.error());
    if (!*is_behind) return judge_range(*range);
    auto is_between = was_judged_on_the_way();
    if (!is_between) return std::unexpected(is_between.error());
    return *is_between ? good(from_before()) : judge_alone();
  }

 private:
  Result<void> find_bases() {
    for (const VerifiedCommit& known : question_.verified) {
      // One that is gone from the repository vouches for nothing: more is verified then, not less.
      if (graph_.node(known.commit)) bases_.push_back(known.commit);
      if (graph_.node(known.from)) oldest_.push_back(known.from);
    }
    if (!policy_.since) return {};
    if (auto node = graph_.node(*policy_.since); !node) {
      return fail("cannot find verify.since: " + node.error().message, node.error().code);
    }
    bases_.push_back(*policy_.since);
    oldest_.push_back(*policy_.since);
    return {};
  }

  // "" or why the commit may not follow what its branch had before.
  Result<std::string> judge_replay() {
    auto newest = std::ranges::find(question_.verified, question_.branch, &VerifiedCommit::branch);
    bool is_first = newest == question_.verified.end();
    if (is_first && !policy_.since) return "";
    ObjectId before = is_first ? *policy_.since : newest->commit;
    std::string what = is_first ? "verify.since" : "the newest verified commit of '" + question_.branch + "'";
    auto then = graph_.node(before);
    // Somebody may have removed it, to make what is older look new; its date is remembered.
    Descent descent = Descent::diverged;
    if (then) {
      auto found = descent_of(graph_, question_.commit, before);
      if (!found) return std::unexpected(found.error());
      descent = *found;
    }
    switch (descent) {
      case Descent::same:
      case Descent::descendant: return "";
      case Descent::ancestor: break;
      case Descent::diverged:
        if (at_ >= (then ? then->at : newest->at)) return "";
        break;
    }
    return "commit " + question_.commit.abbreviated() + " is older than " + before.abbreviated() + ", " +
           what;
  }

  // Whether the bases have the commit. The range tells, but for one that a wrong date brought into it.
  Result<bool> is_behind_bases(const std::vector<ObjectId>& range) {
    if (!contains(range, question_.commit)) return true;
    bool is_dated_well = at_ >= newest_base();
    return is_dated_well ? Result<bool>(false) : has_ancestor(graph_, bases_, question_.commit);
  }

  WallTime newest_base() {
    WallTime newest = WallTime::min();
    for (const ObjectId& base : bases_) {
      if (auto node = graph_.node(base)) newest = std::max(newest, node->at);
    }
    return newest;
  }

  // Of a commit that the bases have: whether it was part of a range that led to one of them.
  Result<bool> was_judged_on_the_way() {
    if (contains(oldest_, question_.commit)) return true;
    auto is_older = has_ancestor(graph_, oldest_, question_.commit);
    if (!is_older) return is_older;
    return !*is_older;
  }

  Result<Judgement> judge_alone() {
    auto refusals = signatures_.check({&question_.commit, 1});
    if (!refusals) return std::unexpected(refusals.error());
    if (refusals->front().empty()) return good(question_.commit);
    return Judgement{{"commit " + question_.commit.abbreviated() + " " + refusals->front()}, {}};
  }

  Result<Judgement> judge_range(const std::vector<ObjectId>& range) {
    auto refusals = signatures_.check(range);
    if (!refusals) return std::unexpected(refusals.error());
    Judgement judgement;
    for (std::size_t i = 0; i < range.size() && judgement.reasons.size() < named_refusals; ++i) {
      const Refusal& refusal = refusals->at(i);
      if (refusal.empty()) continue;
      bool is_itself = range[i] == question_.commit;
      // What a wrong date brought into the range; the walk that tells is long, so it is made only for these.
      auto is_known = is_itself ? Result<bool>(false) : has_ancestor(graph_, bases_, range[i]);
      if (!is_known) return std::unexpected(is_known.error());
      if (*is_known) continue;
      std::string which = "commit " + range[i].abbreviated();
      if (!is_itself) which += ", which " + question_.commit.abbreviated() + " brings in,";
      judgement.reasons.push_back(which + " " + refusal);
    }
    return judgement.reasons.empty() ? good(from_before()) : judgement;
  }

  // Where what was judged on the way to the commit begins.
  ObjectId from_before() const {
    if (question_.verified.empty()) return policy_.since.value_or(question_.commit);
    auto known = std::ranges::find(question_.verified, question_.commit, &VerifiedCommit::commit);
    if (known == question_.verified.end())
      known = std::ranges::find(question_.verified, question_.branch, &VerifiedCommit::branch);
    return known == question_.verified.end() ? question_.verified.back().from : known->from;
  }

  Judgement good(const ObjectId& from) const {
    return {.reasons = {},
            .verified = {.branch = question_.branch, .commit = question_.commit, .at = at_, .from = from}};
  }

  const SignaturePolicy& policy_;
  const Question& question_;
  CommitGraph& graph_;
  SignatureCheck& signatures_;
  WallTime at_;
  std::vector<ObjectId> bases_;   // what they have needs no judgement
  std::vector<ObjectId> oldest_;  // what lies behind these was never judged
};

}  // namespace

Result<Judgement> judge(const SignaturePolicy& policy, const Question& question, CommitGraph& graph,
                        SignatureCheck& signatures) {
  return Judge(policy, question, graph, signatures).judge();
}

}  // namespace gitproc
