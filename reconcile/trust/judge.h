// The judgement of one commit by the policy: from the graph of commits to whether its files may be looked at. What
// needs the world (objects, the tools that check signatures) is asked for through two small interfaces.
//
//   replay   as the tip of a branch it must descend from the newest verified one of that branch, or, where the
//            branch was rewritten, not be older than it
//   range    what it brings in: all that neither a verified commit nor verify.since has. Itself alone the first time
//            (without verify.since), in mode "tip", and where it lies behind all that was ever judged
//   verdict  a good signature on each of these
#pragma once

#include <span>
#include <string>
#include <vector>

#include "reconcile/trust/policy.h"
#include "reconcile/trust/range.h"
#include "reconcile/trust/verdict.h"

namespace gitproc {

// Commits that one judgement checks the signatures of.
inline constexpr std::size_t max_verified_range = 10'000;
// Commits without a good signature that a refusal names.
inline constexpr std::size_t named_refusals = 10;

class SignatureCheck {
 public:
  virtual ~SignatureCheck() = default;
  // One for each commit, in their order. An error is for what could not be checked at all (a tool that is missing or
  // does not answer): the judgement can be asked for again.
  virtual Result<std::vector<Refusal>> check(std::span<const ObjectId> commits) = 0;
};

struct Question {
  ObjectId commit;
  std::string branch;        // whose tip it is; "": it was asked for by name, and may be old
  VerifiedCommits verified;  // what was found good before
};

struct Judgement {
  std::vector<std::string> reasons;  // why it is refused, a clause each; empty when it is good
  VerifiedCommit verified;           // to be remembered when it is good

  bool operator==(const Judgement&) const = default;
};

// An error is a fault of the world: the commit is neither good nor refused.
Result<Judgement> judge(const SignaturePolicy& policy, const Question& question, CommitGraph& graph,
                        SignatureCheck& signatures);

}  // namespace gitproc
