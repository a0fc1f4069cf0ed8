#include "drivers/git/remote_refs.h"

#include <fcntl.h>
#include <git2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <queue>
#include <set>

#include "drivers/base/lazy_library.h"
#include "drivers/base/system_call.h"
#include "drivers/git/git_library.h"
#include "drivers/git/git_values.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::string_view remote_prefix = "refs/remotes/origin/";
constexpr std::string_view branch_prefix = "refs/heads/";
constexpr std::string_view tag_prefix = "refs/tags/";
constexpr std::string_view marker_prefix = "refs/gitproc/";
// Tips that the walk for the negotiation begins at.
constexpr std::size_t max_walk_tips = 128;
constexpr unsigned max_parents_told = 64;

CommitHandle find_commit(git_repository* repository, const ObjectId& id) {
  git_oid oid = to_git(id);
  git_commit* commit = nullptr;
  if (git_commit_lookup(&commit, repository, &oid) < 0) git_error_clear();
  return CommitHandle(commit);
}

// Newest first, as the negotiation walks.
std::vector<KnownCommit> newest_commits(git_repository* repository, const std::set<ObjectId>& tips) {
  auto is_older = [](const CommitHandle& a, const CommitHandle& b) {
    return git_commit_time(a.get()) < git_commit_time(b.get());
  };
  std::vector<CommitHandle> heap;
  std::set<ObjectId> seen;
  auto add = [&](CommitHandle commit) {
    if (!commit || !seen.insert(from_git(*git_commit_id(commit.get()))).second) return;
    heap.push_back(std::move(commit));
    std::ranges::push_heap(heap, is_older);
  };
  for (const ObjectId& tip : tips)
    add(find_commit(repository, tip));
  std::vector<CommitHandle> told;
  while (!heap.empty() && told.size() < max_told_commits) {
    std::ranges::pop_heap(heap, is_older);
    told.push_back(std::move(heap.back()));
    heap.pop_back();
    git_commit* commit = told.back().get();
    for (unsigned i = 0; i < std::min(git_commit_parentcount(commit), max_parents_told); ++i)
      add(find_commit(repository, from_git(*git_commit_parent_id(commit, i))));
  }
  std::set<ObjectId> ids;
  for (const CommitHandle& commit : told)
    ids.insert(from_git(*git_commit_id(commit.get())));
  std::vector<KnownCommit> commits;
  for (const CommitHandle& commit : told) {
    KnownCommit known{
        .id = from_git(*git_commit_id(commit.get())), .time = git_commit_time(commit.get()), .parents = {}};
    for (unsigned i = 0; i < std::min(git_commit_parentcount(commit.get()), max_parents_told); ++i) {
      ObjectId parent = from_git(*git_commit_parent_id(commit.get(), i));
      if (ids.contains(parent)) known.parents.push_back(parent);
    }
    commits.push_back(std::move(known));
  }
  return commits;
}

Result<void> rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return fail_with_errno("cannot move the new pack to '" + to + "'");
  return {};
}

Result<void> sync_folder(const std::string& folder) {
  Result<UniqueFd> fd = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!fd) return std::unexpected(fd.error());
  if (::fsync(fd->get()) != 0) return fail_with_errno("cannot sync '" + folder + "'");
  return {};
}

std::string objects_folder(Repository& repository) { return repository.common_dir() + "/objects"; }
std::string incoming_folder(Repository& repository) {
  return objects_folder(repository) + "/incoming-gitproc";
}

// The index last: a pack without one is nothing.
Result<void> move_pack(Repository& repository, const std::string& name) {
  bool is_name = !name.empty() && name.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_name) return fail("the indexer named the pack '" + printable(name, 80) + "'");
  std::string folder = objects_folder(repository) + "/pack";
  for (const char* suffix : {".pack", ".idx"}) {
    std::string file = "/pack-" + name + suffix;
    if (Result<void> moved = rename_file(incoming_folder(repository) + file, folder + file); !moved)
      return moved;
  }
  if (Result<void> synced = sync_folder(folder); !synced) return synced;
  git_odb* odb = nullptr;
  if (int status = git_repository_odb(&odb, repository.handle()); status < 0)
    return git_fail(status, "cannot open the repository's objects");
  int status = git_odb_refresh(odb);
  git_odb_free(odb);
  if (status < 0) return git_fail(status, "cannot read the new pack");
  return {};
}

Result<void> write_ref(git_repository* repository, const std::string& name, const ObjectId& id,
                       bool overwrites) {
  git_oid oid = to_git(id), current;
  if (git_reference_name_to_id(&current, repository, name.c_str()) == 0) {
    if (git_oid_equal(&current, &oid) || !overwrites) return {};
  }
  git_error_clear();
  git_reference* reference = nullptr;
  if (int status =
          git_reference_create(&reference, repository, name.c_str(), &oid, overwrites, "gitproc: fetch");
      status < 0)
    return git_fail(status, "cannot write '" + printable(name) + "'");
  git_reference_free(reference);
  return {};
}

// 1: `descendant` comes after `ancestor`, or is it; 0: it does not; negative: it cannot be told.
int is_after(git_repository* repository, const ObjectId& descendant, const ObjectId& ancestor) {
  if (descendant == ancestor) return 1;
  git_oid later = to_git(descendant), earlier = to_git(ancestor);
  return git_graph_descendant_of(repository, &later, &earlier);
}

// What is not here any more was before nothing.
bool is_known_after(git_repository* repository, const ObjectId& descendant, const ObjectId& ancestor) {
  int status = is_after(repository, descendant, ancestor);
  if (status < 0) git_error_clear();
  return status == 1;
}

// Some working tree shows the branch, born or not.
bool is_checked_out(git_repository* repository, const std::string& name) {
  if (!git_repository_is_bare(repository)) {
    git_reference* head = nullptr;
    if (git_reference_lookup(&head, repository, "HEAD") < 0) return true;
    ReferenceHandle handle(head);
    const char* target = git_reference_symbolic_target(head);
    if (target != nullptr && name == target) return true;
  }
  git_reference* branch = nullptr;
  if (git_reference_lookup(&branch, repository, name.c_str()) < 0) {
    git_error_clear();
    return false;
  }
  ReferenceHandle handle(branch);
  return git_branch_is_checked_out(branch) != 0;
}

}  // namespace

Result<FetchBasis> fetch_basis(Repository& repository) {
  git_reference_iterator* made = nullptr;
  if (int status = git_reference_iterator_new(&made, repository.handle()); status < 0)
    return git_fail(status, "cannot list refs");
  GitHandle<git_reference_iterator, git_reference_iterator_free> iterator(made);
  FetchBasis basis;
  std::set<ObjectId> tips;
  const char* next = nullptr;
  while (git_reference_next_name(&next, made) == 0) {
    std::string_view name = next;
    bool is_remote = name.starts_with(remote_prefix), is_tag = name.starts_with(tag_prefix);
    bool is_local = name.starts_with(branch_prefix) || name.starts_with(marker_prefix);
    if (!is_remote && !is_tag && !is_local) continue;
    git_oid oid;
    if (git_reference_name_to_id(&oid, repository.handle(), next) < 0) {
      git_error_clear();
      continue;
    }
    if ((is_remote || is_local) && tips.size() < max_walk_tips) tips.insert(from_git(oid));
    std::string there = is_remote
                            ? std::string(branch_prefix) + std::string(name.substr(remote_prefix.size()))
                            : std::string(name);
    if ((is_remote || is_tag) && basis.refs.size() < max_remote_refs && there.size() <= max_ref_name_bytes)
      basis.refs.push_back({std::move(there), from_git(oid)});
  }
  basis.commits = newest_commits(repository.handle(), tips);
  return basis;
}

Result<std::string> make_incoming_folder(Repository& repository) {
  std::string folder = incoming_folder(repository);
  ActingAsOwner acting(repository.owner());
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) return fail("cannot remove '" + folder + "': " + error.message());
  if (::mkdir(folder.c_str(), 0755) != 0) return fail_with_errno("cannot make '" + folder + "'");
  return folder;
}

Result<void> install_fetched(Repository& repository, const std::string& name, const OfferedRefs& offered,
                             const std::string& followed) {
  ActingAsOwner acting(repository.owner());
  if (!name.empty()) {
    if (Result<void> moved = move_pack(repository, name); !moved) return moved;
  }
  std::error_code ignored;
  std::filesystem::remove_all(incoming_folder(repository), ignored);

  std::string wanted = std::string(branch_prefix) + followed;
  auto is_followed = [&](const NamedRef& ref) { return ref.name == wanted; };
  if (!followed.empty() && std::ranges::none_of(offered.refs, is_followed))
    return fail("it has no branch '" + printable(followed) + "'");
  for (const NamedRef& ref : offered.refs) {
    if (ref.name.starts_with(branch_prefix) && !find_commit(repository.handle(), ref.id))
      return fail("its branch '" + printable(ref.name.substr(branch_prefix.size())) +
                  "' names no commit that came");
  }
  // The followed branch first: what another one may hinder must not hold it up.
  for (bool is_first : {true, false}) {
    for (const NamedRef& ref : offered.refs) {
      if (is_followed(ref) != is_first) continue;
      bool is_branch = ref.name.starts_with(branch_prefix);
      if (!is_branch && !ref.name.starts_with(tag_prefix)) continue;
      std::string here =
          is_branch ? std::string(remote_prefix) + ref.name.substr(branch_prefix.size()) : ref.name;
      Result<void> written = write_ref(repository.handle(), here, ref.id, is_branch);
      if (!written && is_first) return written;
    }
  }
  return {};
}

TipsCompared compare_tips(Repository& repository, const TipQuestion& question) {
  TipsCompared compared{.question = question};
  git_repository* here = repository.handle();
  if (question.local && question.local != question.remote) {
    int is_ahead = is_after(here, *question.local, question.remote);
    int is_behind = is_ahead < 0 ? is_ahead : is_after(here, question.remote, *question.local);
    if (is_behind < 0) {
      compared.error =
          git_error_of(is_behind, "cannot compare branch '" + question.branch + "' with the remote's")
              .message;
      return compared;
    }
    using Relation = TipsCompared::Relation;
    compared.relation = is_ahead ? Relation::ahead : is_behind ? Relation::behind : Relation::diverged;
  }
  compared.is_local_in_base =
      question.base && (!question.local || is_known_after(here, *question.base, *question.local));
  compared.is_remote_after_base = !question.base || is_known_after(here, question.remote, *question.base);
  compared.is_remote_after_applied =
      question.applied && is_known_after(here, question.remote, *question.applied);
  return compared;
}

Result<void> move_branch(Repository& repository, const MoveBranch& command) {
  std::string name = std::string(branch_prefix) + command.branch;
  Result<std::optional<ObjectId>> current = repository.ref(name);
  if (!current) return std::unexpected(current.error());
  if (*current != command.from || is_checked_out(repository.handle(), name)) return {};
  ActingAsOwner acting(repository.owner());
  git_oid to = to_git(command.to);
  git_reference* moved = nullptr;
  int status = 0;
  if (command.from) {
    git_oid from = to_git(*command.from);
    status = git_reference_create_matching(&moved, repository.handle(), name.c_str(), &to, /*force=*/1, &from,
                                           "gitproc: follow the remote");
  } else {
    status = git_reference_create(&moved, repository.handle(), name.c_str(), &to, /*force=*/0,
                                  "gitproc: follow the remote");
  }
  git_reference_free(moved);
  if (status < 0) return git_fail(status, "cannot move branch '" + printable(command.branch) + "' along");
  return {};
}

Result<void> make_clone(const std::string& path, const std::string& branch, const std::string& shown_url) {
  if (Result<void> loaded = libgit2.load(); !loaded) return loaded;
  GitLibrary library;
  git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
  options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_MKPATH;
  options.initial_head = branch.c_str();
  git_repository* made = nullptr;
  if (int status = git_repository_init_ext(&made, path.c_str(), &options); status < 0)
    return git_fail(status, "cannot make repository '" + printable(path) + "'");
  RepositoryHandle repository(made);
  git_config* opened = nullptr;
  int status = git_repository_config(&opened, made);
  GitHandle<git_config, git_config_free> configuration(opened);
  // As git clone leaves it, so that a person can use git there.
  if (status == 0) status = git_config_set_string(opened, "remote.origin.url", shown_url.c_str());
  if (status == 0)
    status = git_config_set_string(opened, "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*");
  if (status < 0) return git_fail(status, "cannot configure repository '" + printable(path) + "'");
  return {};
}

Result<void> follow_remote_head(Repository& repository, const std::string& branch) {
  int is_unborn = git_repository_head_unborn(repository.handle());
  if (is_unborn != 1 || !git_repository_is_bare(repository.handle())) return {};
  ActingAsOwner acting(repository.owner());
  git_reference* head = nullptr;
  std::string target = std::string(branch_prefix) + branch;
  int status =
      git_reference_symbolic_create(&head, repository.handle(), "HEAD", target.c_str(), /*force=*/1, nullptr);
  git_reference_free(head);
  if (status < 0) return git_fail(status, "cannot let HEAD name '" + printable(branch) + "'");
  return {};
}

}  // namespace gitproc
