// The signatures of a repository's commits, checked by the programs that made them: gpgv for OpenPGP, ssh-keygen for
// SSH, each in a bounded process of its own. The key files are read anew for each judgement, so that a key that is
// added or withdrawn counts from then on.
#pragma once

#include "drivers/git/repository.h"
#include "reconcile/trust/judge.h"

namespace gitproc {

inline constexpr std::size_t max_key_file_bytes = 4u << 20;
// Commits are read in portions of this many, each no larger than the limit.
inline constexpr std::size_t commits_per_portion = 32;
inline constexpr std::size_t max_signed_commit_bytes = 1u << 20;

// Whether a file of keys can be used: it is one, it can be read, and not everybody can write it.
Result<void> check_key_file(const std::string& path);

// The programs that the policy needs and this machine lacks, as clauses; without them no commit is good.
std::vector<std::string> missing_tools(const SignaturePolicy& policy);

// judge() of reconcile/trust, with the repository's commits and the machine's programs.
Result<Judgement> judge_commit(Repository& repository, const SignaturePolicy& policy,
                               const Question& question);

}  // namespace gitproc
