// A git repository as the agent sees it: bare or not, its own or somebody else's, perhaps a linked worktree.
// Only commits and refs are looked at, never the working tree; only refs/gitproc/* are written.
//
// Belongs to one thread. What git changes meanwhile (new refs, repacking, even the whole repository deleted
// and made anew at the same path) is seen by the next call.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/git/objects.h"
#include "drivers/git/repository_access.h"
#include "reconcile/base/error.h"
#include "reconcile/base/object_id.h"
#include "reconcile/command.h"
#include "reconcile/desired/snapshot.h"

struct git_repository;

namespace gitproc {

inline constexpr std::string_view default_branch = "main";
inline constexpr std::size_t max_revision_bytes = 1024;
// Walks through history give up after this many commits, with what they have found by then.
inline constexpr unsigned max_walked_commits = 100'000;

// Where a commit changed a file: the first line of it that the commit before has not at that place.
struct LineChange {
  std::string path;
  unsigned line = 0;  // from 1
  std::string text;   // printable, cut to a line's length

  bool operator==(const LineChange&) const = default;
};

class Repository {
 public:
  // `path` is a bare repository, a working tree or a git directory; parents are not searched. Errors: not a
  // repository, or (denied) as root one that others than root and its owner can write.
  static Result<Repository> open(const std::string& path);
  ~Repository();
  Repository(Repository&&) noexcept;
  Repository& operator=(Repository&&) noexcept;

  // Absolute, without symlinks and trailing '/'. For a linked worktree the git directory holds HEAD and the
  // common one the refs; else they are the same.
  const std::string& git_dir() const;
  const std::string& common_dir() const;
  const Owner& owner() const;

  // Gives back what libgit2 keeps of packs (maps of them, and up to 16 MiB of unpacked objects each), if so much was
  // read since the last time that opening them anew is little beside it. No RawObject may be in use.
  void release_caches();

  // The branch that HEAD names, born or not; default_branch where HEAD is detached.
  Result<std::string> head_branch();

  // The commit that refs/heads/<branch> points to; nullopt when there is no such branch. Errors: the branch
  // or the commit cannot be read, or it points to something that is no commit (an annotated tag).
  Result<std::optional<ObjectId>> tip(std::string_view branch);
  // The same for any ref, by its full name ("refs/remotes/origin/main").
  Result<std::optional<ObjectId>> ref(const std::string& name);

  // gitrevisions(7) that name one commit: full and short hashes, tags (peeled), branches, HEAD~2. "HEAD" and
  // "@" mean the tip of `followed_branch`. Errors: not_found; invalid when ambiguous or no commit.
  Result<ObjectId> resolve(std::string_view revision, std::string_view followed_branch);

  // Author and subject are cut to a line's length and made printable.
  Result<CommitInfo> commit_info(const ObjectId& commit);

  // How many commits `to` has that `from` has not (git rev-list --count from..to), counted up to `limit`.
  Result<unsigned> count_behind(const ObjectId& from, const ObjectId& to, unsigned limit);

  // The last commits, newest first and at most `limit`, that changed one of `paths` (files or folders) on the
  // way to `from`; sides of a merge that changed nothing are not followed, as in git log.
  Result<std::vector<CommitInfo>> path_history(const std::vector<std::string>& paths, const ObjectId& from,
                                               unsigned limit);

  // The first change of the first of `paths` (files) that `commit` changed against its first parent; nullopt where it
  // only removed something, or changed none of them.
  Result<std::optional<LineChange>> first_change(const std::vector<std::string>& paths,
                                                 const ObjectId& commit);

  // refs/gitproc/<marker>, owned by the repository's owner. Writing what is there already touches nothing.
  Result<std::optional<ObjectId>> marker(Marker marker);
  Result<void> set_marker(Marker marker, const std::optional<ObjectId>& commit);

  ObjectReader& objects();
  // For the other files of this folder; valid until the next call of anything above.
  git_repository* handle();

 private:
  struct State;
  explicit Repository(std::unique_ptr<State> state);
  Result<void> reopen_if_replaced();

  std::unique_ptr<State> state_;
};

}  // namespace gitproc
