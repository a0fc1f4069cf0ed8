// What a fetch changes in the repository, and what it needs to know of it. Only the agent does this, on the git
// thread, after the workers have ended well: it moves the new pack into place and then the refs.
#pragma once

#include "drivers/git/fetch_message.h"
#include "drivers/git/repository.h"

namespace gitproc {

// Commits that a server is told of at most; libgit2 gives up after as many.
inline constexpr std::size_t max_told_commits = 256;

// What is here already: the refs and commits of a FetchJob.
struct FetchBasis {
  std::vector<NamedRef> refs;
  std::vector<KnownCommit> commits;
};
Result<FetchBasis> fetch_basis(Repository& repository);

// Where an indexer leaves its pack; made anew, empty, and owned by the repository's owner.
Result<std::string> make_incoming_folder(Repository& repository);

// Moves the pack (where `name` is not "") into the repository, then refs/remotes/origin/* to the branches of
// `offered` and refs/tags/* to its tags; tags that exist stay. `followed` must be among the branches ("": any).
// Errors leave all refs as they were: the branch is missing, or a ref names no object that came.
Result<void> install_fetched(Repository& repository, const std::string& name, const OfferedRefs& offered,
                             const std::string& followed);

// Answers CompareTips.
TipsCompared compare_tips(Repository& repository, const TipQuestion& question);

// Carries out MoveBranch.
Result<void> move_branch(Repository& repository, const MoveBranch& command);

// A bare repository for the agent's own clone, with git's usual refspec; HEAD names `branch`.
Result<void> make_clone(const std::string& path, const std::string& branch, const std::string& shown_url);
// HEAD of a repository that has no branch yet follows the remote's.
Result<void> follow_remote_head(Repository& repository, const std::string& branch);

}  // namespace gitproc
