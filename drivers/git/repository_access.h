// Who may write to a repository that an agent of root obeys: root and the repository's owner, nobody else.
// This replaces libgit2's own check, which refuses every repository of another owner.
#pragma once

#include <sys/types.h>

#include <string>

#include "reconcile/base/error.h"

namespace gitproc {

// The owner of a repository: that of its git directory.
struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;

  bool operator==(const Owner&) const = default;
};

// More loose refs than this are not looked at one by one: the repository is refused with advice to pack them.
inline constexpr unsigned max_checked_refs = 50'000;

Result<Owner> owner_of(const std::string& git_dir);

// Errors (denied) name the first path that others can write, or that belongs to a third user: of the git
// directory and the common one, HEAD, config, packed-refs, objects with its first level, and all of refs. A
// group may write when it is the owner's private one (same name, no other members), as umask 002 makes them.
// Only the repository itself is looked at, not the folders it lies in.
Result<void> check_writers(const std::string& git_dir, const std::string& common_dir, const Owner& owner);

// While it lives, files that this thread makes belong to `owner` (setfsuid(2), setfsgid(2)): so that the
// owner's own git can pack and prune what we wrote. Does nothing unless this process is root.
class ActingAsOwner {
 public:
  explicit ActingAsOwner(const Owner& owner);
  ~ActingAsOwner();
  ActingAsOwner(const ActingAsOwner&) = delete;
  ActingAsOwner& operator=(const ActingAsOwner&) = delete;

 private:
  bool is_switched_ = false;
};

}  // namespace gitproc
