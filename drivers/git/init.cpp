#include "drivers/git/init.h"

#include <fcntl.h>
#include <git2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "drivers/base/lazy_library.h"
#include "drivers/base/system_call.h"
#include "drivers/base/unique_fd.h"
#include "drivers/git/git_library.h"
#include "drivers/git/git_values.h"
#include "drivers/git/repository.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr const char* fallback_name = "GitProc";
constexpr const char* fallback_mail = "gitproc@localhost";

struct Opened {
  RepositoryHandle repository;
  bool is_new = false;
};

Result<Opened> open_or_make(const std::string& path) {
  git_repository* repository = nullptr;
  int status = git_repository_open(&repository, path.c_str());
  if (status == 0) return Opened{RepositoryHandle(repository), false};
  if (status != GIT_ENOTFOUND) return git_fail(status, "cannot open repository '" + printable(path) + "'");
  std::string branch(default_branch);
  git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
  options.flags = GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_MKPATH;
  options.initial_head = branch.c_str();
  if (status = git_repository_init_ext(&repository, path.c_str(), &options); status < 0) {
    return git_fail(status, "cannot make repository '" + printable(path) + "'");
  }
  return Opened{RepositoryHandle(repository), true};
}

// A file that exists already, of whatever kind, stays as it is.
Result<void> write_new_file(const std::string& top, const InitialFile& file) {
  std::string path = top + file.path;
  if (std::size_t slash = path.rfind('/'); slash != std::string::npos) {
    if (auto made = make_directories(path.substr(0, slash), 0777); !made) return made;
  }
  UniqueFd fd(retry_on_interrupt(
      [&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }));
  if (!fd)
    return errno == EEXIST ? Result<void>{} : fail_with_errno("cannot write '" + printable(path) + "'");
  if (int failed = write_all(fd.get(), file.content); failed != 0) {
    return fail_with_errno("cannot write '" + printable(path) + "'", failed);
  }
  return {};
}

Result<void> stage(git_repository* repository, git_index* index, const InitialFile& file) {
  int status = 0;
  if (const char* top = git_repository_workdir(repository)) {
    if (auto written = write_new_file(top, file); !written) return written;
    status = git_index_add_bypath(index, file.path.c_str());
  } else {
    git_index_entry entry{};
    entry.mode = GIT_FILEMODE_BLOB;
    entry.path = file.path.c_str();
    status = git_index_add_from_buffer(index, &entry, file.content.data(), file.content.size());
  }
  if (status < 0) return git_fail(status, "cannot add '" + printable(file.path) + "'");
  return {};
}

Result<ObjectId> commit_first(git_repository* repository, const std::vector<InitialFile>& files,
                              std::string_view message) {
  git_index* index = nullptr;
  if (int status = git_repository_index(&index, repository); status < 0)
    return git_fail(status, "cannot open the index");
  GitHandle<git_index, git_index_free> index_handle(index);
  for (const InitialFile& file : files) {
    if (auto staged = stage(repository, index, file); !staged) return std::unexpected(staged.error());
  }
  git_oid tree_id;
  if (int status = git_index_write_tree(&tree_id, index); status < 0)
    return git_fail(status, "cannot write the first tree");
  if (git_repository_workdir(repository) != nullptr) {
    if (int status = git_index_write(index); status < 0) return git_fail(status, "cannot write the index");
  }
  git_tree* tree = nullptr;
  if (int status = git_tree_lookup(&tree, repository, &tree_id); status < 0)
    return git_fail(status, "cannot read the first tree");
  GitHandle<git_tree, git_tree_free> tree_handle(tree);
  git_signature* signature = nullptr;
  int status = git_signature_default(&signature, repository);
  if (status < 0) status = git_signature_now(&signature, fallback_name, fallback_mail);
  if (status < 0) return git_fail(status, "cannot make a signature for the first commit");
  GitHandle<git_signature, git_signature_free> signature_handle(signature);
  git_oid oid;
  status = git_commit_create(&oid, repository, "HEAD", signature, signature, nullptr,
                             std::string(message).c_str(), tree, 0, nullptr);
  if (status < 0) return git_fail(status, "cannot make the first commit");
  ObjectId id;
  std::copy(std::begin(oid.id), std::end(oid.id), id.bytes.begin());
  return id;
}

}  // namespace

Result<InitOutcome> init_repository(const std::string& path, const std::vector<InitialFile>& files,
                                    std::string_view message) {
  if (Result<void> loaded = libgit2.load(); !loaded) return std::unexpected(loaded.error());
  GitLibrary library;
  UserConfiguration who_commits;
  auto opened = open_or_make(path);
  if (!opened) return std::unexpected(opened.error());
  git_repository* repository = opened->repository.get();
  InitOutcome outcome{.is_new_repository = opened->is_new};

  git_reference* head = nullptr;
  if (int status = git_reference_lookup(&head, repository, "HEAD"); status < 0)
    return git_fail(status, "cannot read HEAD");
  const char* target = git_reference_symbolic_target(head);
  constexpr std::string_view prefix = "refs/heads/";
  std::string_view name = target != nullptr ? target : "";
  outcome.branch = name.starts_with(prefix) ? name.substr(prefix.size()) : default_branch;
  git_reference_free(head);

  int unborn = git_repository_head_unborn(repository);
  if (unborn < 0) return git_fail(unborn, "cannot read HEAD");
  if (unborn == 0) return outcome;
  auto commit = commit_first(repository, files, message);
  if (!commit) return std::unexpected(commit.error());
  outcome.commit = *commit;
  return outcome;
}

}  // namespace gitproc
