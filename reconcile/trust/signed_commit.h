// A commit object as its signature sees it: the bytes that were signed, the signature, and the parents that those
// bytes name. Read from the raw object with every rule of its form checked, and not by libgit2, which honours
// grafts and shallow files and so may not follow a parent that was signed for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/error.h"
#include "reconcile/base/object_id.h"
#include "reconcile/base/time.h"

namespace gitproc {

// More parents than git's own octopus merges ever had.
inline constexpr std::size_t max_commit_parents = 256;
inline constexpr std::size_t max_signature_bytes = 64u << 10;

struct SignedCommit {
  ObjectId tree;
  std::vector<ObjectId> parents;
  WallTime at;            // the committer's time
  std::string payload;    // the object without its signature headers, as git signs it
  std::string signature;  // of the header gpgsig; "" when the commit is not signed

  bool operator==(const SignedCommit&) const = default;
};

// Errors: headers missing, repeated or in another order than tree, parents, author, committer; two signatures; a
// signature or a list of parents past its bound.
Result<SignedCommit> parse_signed_commit(std::string_view object);

enum class SignatureKind { none, openpgp, ssh, x509, unknown };
SignatureKind kind_of(std::string_view signature);

// The public key that an SSH signature claims, as bytes to tell keys apart by (PROTOCOL.sshsig); nullopt when the
// text is no SSH signature.
std::optional<std::string> claimed_ssh_key(std::string_view signature);

}  // namespace gitproc
