// What must be true of a commit before a file of it is looked at: the operator's policy, and what is remembered of
// the commits that met it.
//
// Every commit that a tip brings in and that no verified commit had before must carry a good signature of a listed
// key, whatever parent it came by. Keys come from the configuration alone, never from a commit, and are judged by
// today: a key that has expired makes no commit good any more, however the commit is dated. What was found good
// stays good, so keys may be rotated. A tip may not go back behind the newest verified one of its branch (replay).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "reconcile/base/object_id.h"
#include "reconcile/base/time.h"

namespace gitproc {

struct SignaturePolicy {
  std::string allowed_signers;  // path of an ssh-keygen(1) ALLOWED SIGNERS file; "": no SSH signature is good
  std::string keyring;          // path of an OpenPGP keyring; "": no OpenPGP signature is good
  std::optional<ObjectId> since;     // taken on trust, with all that it descends from
  bool judges_only_the_tip = false;  // verify.mode "tip"

  bool is_set() const { return !allowed_signers.empty() || !keyring.empty(); }
  bool operator==(const SignaturePolicy&) const = default;
};

// A commit that met the policy. `branch` is the one whose tip it was; "" when it was asked for by name (a rollback).
struct VerifiedCommit {
  std::string branch;
  ObjectId commit;
  WallTime at;  // its committer's time
  ObjectId
      from;  // the oldest that was judged on the way to it: what lies behind that one was never looked at

  bool operator==(const VerifiedCommit&) const = default;
};

// The branches of which the newest verified commit is remembered; the one that moved longest ago is forgotten first.
inline constexpr std::size_t verified_branches_limit = 64;

// The newest of each branch, the one that moved last at the end.
using VerifiedCommits = std::vector<VerifiedCommit>;

// Remembers `found`, in place of what its branch had before.
void remember(VerifiedCommits& verified, const VerifiedCommit& found);

// Whether the commit was judged as the tip of `branch`, or, with "", as any.
bool is_verified(const VerifiedCommits& verified, const ObjectId& commit, const std::string& branch);

}  // namespace gitproc
