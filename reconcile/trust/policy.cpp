#include "reconcile/trust/policy.h"

#include <algorithm>

namespace gitproc {

void remember(VerifiedCommits& verified, const VerifiedCommit& found) {
  std::erase_if(verified, [&](const VerifiedCommit& known) { return known.branch == found.branch; });
  verified.push_back(found);
  if (verified.size() > verified_branches_limit) verified.erase(verified.begin());
}

bool is_verified(const VerifiedCommits& verified, const ObjectId& commit, const std::string& branch) {
  return std::ranges::any_of(verified, [&](const VerifiedCommit& known) {
    return known.commit == commit && (branch.empty() || known.branch == branch);
  });
}

}  // namespace gitproc
