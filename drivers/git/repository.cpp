#include "drivers/git/repository.h"

#include <fcntl.h>
#include <git2.h>
#include <git2/sys/repository.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <queue>
#include <set>
#include <tuple>
#include <utility>

#include "drivers/base/lazy_library.h"
#include "drivers/base/system_call.h"
#include "drivers/git/git_library.h"
#include "drivers/git/git_values.h"
#include "drivers/git/tree.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::size_t max_commit_bytes = 16u << 20;
constexpr std::size_t max_compared_file_bytes = 1u << 20;
constexpr std::size_t max_line_text_bytes = 256;
constexpr unsigned max_ref_hops = 8;

// A file's content; "" where there is no such file.
Result<std::string> text_at(ObjectReader& objects, const ObjectId& tree, const std::string& path) {
  auto entry = entry_at(objects, tree, path);
  if (!entry) return std::unexpected(entry.error());
  if (!*entry || ((*entry)->kind != EntryKind::file && (*entry)->kind != EntryKind::executable)) return "";
  auto blob = objects.read((*entry)->id, ObjectKind::blob, max_compared_file_bytes);
  if (!blob) return std::unexpected(blob.error());
  return std::string(blob->bytes());
}

std::string without_trailing_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/')
    path.pop_back();
  return path;
}

// What tells one directory from another that was made later at the same path, even on the same inode.
struct DirectoryIdentity {
  std::uint64_t device_major = 0, device_minor = 0, inode = 0;
  std::int64_t born_sec = 0;
  std::uint32_t born_nsec = 0;

  bool operator==(const DirectoryIdentity&) const = default;
};

Result<DirectoryIdentity> identity_of(const std::string& path) {
  struct statx status{};
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &status) != 0) {
    return fail_with_errno("cannot open repository '" + printable(path) + "'");
  }
  return DirectoryIdentity{status.stx_dev_major, status.stx_dev_minor, status.stx_ino,
                           status.stx_btime.tv_sec, status.stx_btime.tv_nsec};
}

// Commit texts may hold anything; people and JSON want one line of UTF-8.
std::string line_of_text(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  std::string line = printable(trim(text), max_line_text_bytes);
  while (!line.empty() && !is_utf8(line)) {
    // Either an old encoding or a character cut by the limit: keep what is ASCII.
    for (char& c : line) {
      if (static_cast<unsigned char>(c) >= 0x80) c = '?';
    }
  }
  return line;
}

WallTime wall_time(git_time_t seconds) {
  constexpr git_time_t most = INT64_MAX / 2'000'000;
  return WallTime(std::chrono::seconds(std::clamp<git_time_t>(seconds, -most, most)));
}

std::string ref_of_branch(std::string_view branch) { return "refs/heads/" + std::string(branch); }

std::string ref_of_marker(Marker marker) {
  switch (marker) {
    case Marker::verified: return "refs/gitproc/verified";
    case Marker::applied: return "refs/gitproc/applied";
    case Marker::healthy: return "refs/gitproc/healthy";
    case Marker::pinned: return "refs/gitproc/pinned";
    case Marker::fetched: return "refs/gitproc/fetched";
  }
  return "";
}

// The part of a revision that names something, before ~, ^, @{ and :.
std::string_view revision_base(std::string_view revision) {
  std::size_t end = std::min({revision.find_first_of("~^:"), revision.find("@{"), revision.size()});
  return revision.substr(0, end);
}

// "HEAD" and "@" in `revision` mean the followed branch.
std::string with_head_as(std::string_view branch, std::string_view revision) {
  std::string_view base = revision_base(revision);
  if (base == "HEAD" || base == "@" || (base.empty() && revision.starts_with("@{"))) {
    return ref_of_branch(branch) + std::string(revision.substr(base.size()));
  }
  return std::string(revision);
}

bool is_hexadecimal(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

Result<ObjectId> peel_to_commit(const git_object* object, std::string_view revision) {
  git_object* peeled = nullptr;
  if (int status = git_object_peel(&peeled, object, GIT_OBJECT_COMMIT); status < 0) {
    return fail("'" + printable(revision) + "' names a " + git_object_type2string(git_object_type(object)) +
                    ", not a commit",
                ErrorCode::invalid);
  }
  return from_git(*git_object_id(ObjectHandle(peeled).get()));
}

}  // namespace

struct Repository::State {
  GitLibrary library;  // first: the others end before libgit2 does
  std::string path;    // as given to open
  std::string git_dir, common_dir;
  DirectoryIdentity git_identity, common_identity;
  Owner owner;
  RepositoryHandle repository;
  std::optional<ObjectReader> objects;

  Result<CommitHandle> commit(const ObjectId& id) {
    if (auto raw = objects->read(id, ObjectKind::commit, max_commit_bytes); !raw)
      return std::unexpected(raw.error());
    git_oid oid = to_git(id);
    git_commit* commit = nullptr;
    if (int status = git_commit_lookup(&commit, repository.get(), &oid); status < 0) {
      return git_fail(status, "cannot read commit " + id.abbreviated());
    }
    return CommitHandle(commit);
  }
};

Repository::Repository(std::unique_ptr<State> state) : state_(std::move(state)) {}
Repository::~Repository() = default;
Repository::Repository(Repository&&) noexcept = default;
Repository& Repository::operator=(Repository&&) noexcept = default;

const std::string& Repository::git_dir() const { return state_->git_dir; }
const std::string& Repository::common_dir() const { return state_->common_dir; }
const Owner& Repository::owner() const { return state_->owner; }
ObjectReader& Repository::objects() { return *state_->objects; }
git_repository* Repository::handle() { return state_->repository.get(); }

Result<Repository> Repository::open(const std::string& path) {
  if (Result<void> loaded = libgit2.load(); !loaded) return std::unexpected(loaded.error());
  auto state = std::make_unique<State>();
  state->path = path;
  git_repository* repository = nullptr;
  if (int status = git_repository_open(&repository, path.c_str()); status < 0) {
    return git_fail(status, "cannot open repository '" + printable(path) + "'");
  }
  state->repository.reset(repository);
  state->git_dir = without_trailing_slash(git_repository_path(repository));
  state->common_dir = without_trailing_slash(git_repository_commondir(repository));
  auto owner = owner_of(state->common_dir);
  if (!owner) return std::unexpected(owner.error());
  state->owner = *owner;
  if (geteuid() == 0) {
    if (auto checked = check_writers(state->git_dir, state->common_dir, *owner); !checked) {
      return std::unexpected(checked.error());
    }
  }
  auto git_identity = identity_of(state->git_dir);
  if (!git_identity) return std::unexpected(git_identity.error());
  auto common_identity = identity_of(state->common_dir);
  if (!common_identity) return std::unexpected(common_identity.error());
  state->git_identity = *git_identity;
  state->common_identity = *common_identity;
  state->objects.emplace(repository);
  return Repository(std::move(state));
}

Result<void> Repository::reopen_if_replaced() {
  auto git_identity = identity_of(state_->git_dir);
  auto common_identity = identity_of(state_->common_dir);
  if (git_identity == state_->git_identity && common_identity == state_->common_identity) return {};
  auto reopened = open(state_->path);
  if (!reopened) return std::unexpected(reopened.error());
  *this = std::move(*reopened);
  return {};
}

void Repository::release_caches() {
  constexpr std::size_t many_reads = 256;
  if (state_->objects->reads() < many_reads) return;
  state_->objects.reset();
  git_repository__cleanup(state_->repository.get());
  state_->objects.emplace(state_->repository.get());
}

Result<std::string> Repository::head_branch() {
  if (auto usable = reopen_if_replaced(); !usable) return std::unexpected(usable.error());
  git_reference* head = nullptr;
  if (int status = git_reference_lookup(&head, state_->repository.get(), "HEAD"); status < 0) {
    return git_fail(status, "cannot read HEAD of '" + printable(state_->path) + "'");
  }
  ReferenceHandle handle(head);
  const char* target = git_reference_symbolic_target(head);
  std::string_view name = target != nullptr ? target : "";
  constexpr std::string_view prefix = "refs/heads/";
  if (!name.starts_with(prefix)) return std::string(default_branch);
  return std::string(name.substr(prefix.size()));
}

Result<std::optional<ObjectId>> Repository::tip(std::string_view branch) {
  return ref(ref_of_branch(branch));
}

Result<std::optional<ObjectId>> Repository::ref(const std::string& name) {
  if (auto usable = reopen_if_replaced(); !usable) return std::unexpected(usable.error());
  std::string current = name;
  for (unsigned hop = 0; hop < max_ref_hops; ++hop) {
    git_reference* reference = nullptr;
    int status = git_reference_lookup(&reference, state_->repository.get(), current.c_str());
    if (status == GIT_ENOTFOUND) {
      git_error_clear();
      // A repository that went away meanwhile has no refs either, and that is not the same.
      if (auto usable = reopen_if_replaced(); !usable) return std::unexpected(usable.error());
      return std::nullopt;
    }
    if (status < 0) return git_fail(status, "cannot read '" + printable(current) + "'");
    ReferenceHandle handle(reference);
    if (const char* target = git_reference_symbolic_target(reference)) {
      current = target;
      continue;
    }
    ObjectId id = from_git(*git_reference_target(reference));
    auto kind = state_->objects->kind_of(id);
    if (!kind) return fail("'" + printable(current) + "': " + kind.error().message, kind.error().code);
    if (*kind != ObjectKind::commit) {
      return fail(
          "'" + printable(current) + "' points to a " + std::string(to_string(*kind)) + ", not to a commit",
          ErrorCode::invalid);
    }
    return id;
  }
  return fail("cannot read '" + printable(name) + "': too many symbolic refs in a row", ErrorCode::invalid);
}

Result<ObjectId> Repository::resolve(std::string_view revision, std::string_view followed_branch) {
  if (auto usable = reopen_if_replaced(); !usable) return std::unexpected(usable.error());
  std::string shown = "'" + printable(revision) + "'";
  if (revision.empty() || revision.size() > max_revision_bytes ||
      revision.find('\0') != std::string_view::npos || revision.find("..") != std::string_view::npos) {
    return fail(shown + " is no revision", ErrorCode::invalid);
  }
  std::string spec = with_head_as(followed_branch, revision);
  git_repository* repository = state_->repository.get();

  // Git warns of a name that stands for several things and takes one; here it decides what a node runs.
  std::string base(revision_base(spec));
  std::set<ObjectId> meanings;
  if (!base.empty() && !(base.size() == GIT_OID_HEXSZ && is_hexadecimal(base))) {
    for (const char* prefix : {"", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"}) {
      git_oid oid;
      if (git_reference_name_to_id(&oid, repository, (prefix + base).c_str()) == 0)
        meanings.insert(from_git(oid));
    }
    if (!meanings.empty() && base.size() >= GIT_OID_MINPREFIXLEN && is_hexadecimal(base)) {
      git_object* object = nullptr;
      git_oid prefix;
      if (git_oid_fromstrn(&prefix, base.c_str(), base.size()) == 0 &&
          git_object_lookup_prefix(&object, repository, &prefix, base.size(), GIT_OBJECT_COMMIT) == 0) {
        meanings.insert(from_git(*git_object_id(ObjectHandle(object).get())));
      }
    }
    git_error_clear();
  }
  std::set<ObjectId> commits;
  for (const ObjectId& meaning : meanings) {
    git_oid oid = to_git(meaning);
    git_object* object = nullptr;
    if (git_object_lookup(&object, repository, &oid, GIT_OBJECT_ANY) < 0) continue;
    ObjectHandle handle(object);
    if (auto commit = peel_to_commit(object, revision)) commits.insert(*commit);
  }
  if (commits.size() > 1) return fail(shown + " is ambiguous: it names several commits", ErrorCode::invalid);

  git_object* object = nullptr;
  if (int status = git_revparse_single(&object, repository, spec.c_str()); status < 0) {
    if (status == GIT_ENOTFOUND) {
      git_error_clear();
      return fail("no commit " + shown + " in the repository", ErrorCode::not_found);
    }
    return git_fail(status, "cannot resolve " + shown);
  }
  ObjectHandle handle(object);
  return peel_to_commit(object, revision);
}

Result<CommitInfo> Repository::commit_info(const ObjectId& id) {
  if (auto usable = reopen_if_replaced(); !usable) return std::unexpected(usable.error());
  auto commit = state_->commit(id);
  if (!commit) return std::unexpected(commit.error());
  const git_signature* author = git_commit_author(commit->get());
  return CommitInfo{
      .id = id,
      .tree = from_git(*git_commit_tree_id(commit->get())),
      .author = line_of_text(std::string(author->name) + " <" + author->email + ">"),
      .subject = line_of_text(git_commit_message(commit->get())),
      .at = wall_time(git_commit_time(commit->get())),
  };
}

Result<unsigned> Repository::count_behind(const ObjectId& from, const ObjectId& to, unsigned limit) {
  if (from == to) return 0;
  // Newest first, painting what `from` has; a commit painted later than it was counted (clocks of committers
  // differ) is counted off again.
  struct Reached {
    bool is_in_from = false;
    bool is_counted = false;
  };
  using Waiting = std::tuple<git_time_t, ObjectId>;
  std::map<ObjectId, Reached> reached;
  std::priority_queue<Waiting> waiting;
  std::set<ObjectId> interesting;  // of those waiting, the ones that `from` is not known to have
  unsigned count = 0, walked = 0;
  git_time_t oldest_counted = INT64_MAX;

  auto reach = [&](const ObjectId& id, bool is_in_from) -> Result<void> {
    auto [place, is_new] = reached.try_emplace(id);
    if (!is_new && (place->second.is_in_from || !is_in_from)) return {};
    auto commit = state_->commit(id);
    if (!commit) return std::unexpected(commit.error());
    place->second.is_in_from = is_in_from;
    if (is_in_from) {
      interesting.erase(id);
      if (std::exchange(place->second.is_counted, false)) --count;
    } else {
      interesting.insert(id);
    }
    waiting.emplace(git_commit_time(commit->get()), id);
    return {};
  };

  if (auto done = reach(from, true); !done) return std::unexpected(done.error());
  if (auto done = reach(to, false); !done) return std::unexpected(done.error());
  // When nothing interesting waits any more, what is as new as the oldest counted one may still paint it.
  while (!waiting.empty() && (!interesting.empty() || std::get<0>(waiting.top()) >= oldest_counted) &&
         count < limit && walked++ < max_walked_commits) {
    auto [time, id] = waiting.top();
    waiting.pop();
    Reached& place = reached.at(id);
    if (!place.is_in_from && interesting.erase(id) == 0) continue;  // seen already
    if (!place.is_in_from) {
      place.is_counted = true;
      oldest_counted = std::min(oldest_counted, time);
      ++count;
    }
    auto commit = state_->commit(id);
    if (!commit) return std::unexpected(commit.error());
    for (unsigned i = 0; i < git_commit_parentcount(commit->get()); ++i) {
      if (auto done = reach(from_git(*git_commit_parent_id(commit->get(), i)), place.is_in_from); !done) {
        return std::unexpected(done.error());
      }
    }
  }
  return count;
}

Result<std::vector<CommitInfo>> Repository::path_history(const std::vector<std::string>& paths,
                                                         const ObjectId& from, unsigned limit) {
  using Entries = std::vector<std::optional<TreeEntry>>;
  auto entries_of = [&](const git_commit* commit) -> Result<Entries> {
    Entries entries;
    for (const std::string& path : paths) {
      auto entry = entry_at(*state_->objects, from_git(*git_commit_tree_id(commit)), path);
      if (!entry) return std::unexpected(entry.error());
      entries.push_back(*entry);
    }
    return entries;
  };

  std::vector<CommitInfo> history;
  auto commit = state_->commit(from);
  if (!commit) return std::unexpected(commit.error());
  auto entries = entries_of(commit->get());
  if (!entries) return std::unexpected(entries.error());
  for (unsigned walked = 0; history.size() < limit && walked < max_walked_commits; ++walked) {
    // A parent that has the same is where it came from; without one this commit changed it.
    CommitHandle next;
    Entries next_entries(paths.size());
    for (unsigned i = 0; i < git_commit_parentcount(commit->get()); ++i) {
      auto parent = state_->commit(from_git(*git_commit_parent_id(commit->get(), i)));
      if (!parent) return std::unexpected(parent.error());
      auto parent_entries = entries_of(parent->get());
      if (!parent_entries) return std::unexpected(parent_entries.error());
      bool is_same = *parent_entries == *entries;
      if (is_same || i == 0) {
        next = std::move(*parent);
        next_entries = std::move(*parent_entries);
      }
      if (is_same) break;
    }
    if (next_entries != *entries) {
      auto info = commit_info(from_git(*git_commit_id(commit->get())));
      if (!info) return std::unexpected(info.error());
      history.push_back(std::move(*info));
    }
    if (!next) break;
    commit = std::move(next);
    entries = std::move(next_entries);
  }
  return history;
}

Result<std::optional<LineChange>> Repository::first_change(const std::vector<std::string>& paths,
                                                           const ObjectId& id) {
  auto commit = state_->commit(id);
  if (!commit) return std::unexpected(commit.error());
  ObjectId tree = from_git(*git_commit_tree_id(commit->get()));
  std::optional<ObjectId> tree_before;
  if (git_commit_parentcount(commit->get()) > 0) {
    auto parent = state_->commit(from_git(*git_commit_parent_id(commit->get(), 0)));
    if (!parent) return std::unexpected(parent.error());
    tree_before = from_git(*git_commit_tree_id(parent->get()));
  }
  for (const std::string& path : paths) {
    auto after = text_at(*state_->objects, tree, path);
    if (!after) return std::unexpected(after.error());
    auto before = tree_before ? text_at(*state_->objects, *tree_before, path) : std::string();
    if (!before) return std::unexpected(before.error());
    if (*before == *after) continue;
    std::vector<std::string_view> old_lines = split(*before, '\n'), lines = split(*after, '\n');
    std::size_t at = 0;
    while (at < lines.size() && at < old_lines.size() && lines[at] == old_lines[at])
      ++at;
    if (at == lines.size() || lines[at].empty()) return std::nullopt;
    return LineChange{path, static_cast<unsigned>(at) + 1,
                      printable(lines[at].substr(0, max_line_text_bytes))};
  }
  return std::nullopt;
}

Result<std::optional<ObjectId>> Repository::marker(Marker marker) { return ref(ref_of_marker(marker)); }

Result<void> Repository::set_marker(Marker marker, const std::optional<ObjectId>& commit) {
  std::string name = ref_of_marker(marker);
  // One that cannot be read, because its commit is gone, is written over.
  auto current = ref(name);
  if (current && *current == commit) return {};
  ActingAsOwner acting(state_->owner);
  if (!commit) {
    if (int status = git_reference_remove(state_->repository.get(), name.c_str());
        status < 0 && status != GIT_ENOTFOUND) {
      return git_fail(status, "cannot remove '" + name + "'");
    }
    return {};
  }
  git_oid oid = to_git(*commit);
  git_reference* reference = nullptr;
  int status =
      git_reference_create(&reference, state_->repository.get(), name.c_str(), &oid, /*force=*/1, nullptr);
  if (status < 0) return git_fail(status, "cannot write '" + name + "'");
  git_reference_free(reference);
  return {};
}

}  // namespace gitproc
