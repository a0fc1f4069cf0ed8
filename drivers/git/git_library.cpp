#include "drivers/git/git_library.h"

#include <dlfcn.h>
#include <git2.h>
#include <sys/resource.h>

#include <cstdlib>

#include "drivers/base/lazy_library.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

// nullptr: where git looks; "": nowhere.
void search_configuration_in(const char* path) {
  for (git_config_level_t level :
       {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL})
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, static_cast<int>(level), path);
}

// None of these can fail but for want of memory, and the defaults would do then.
void set_options() {
  git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, static_cast<ssize_t>(object_cache_bytes));
  git_libgit2_opts(GIT_OPT_SET_CACHE_OBJECT_LIMIT, GIT_OBJECT_TREE, cached_tree_bytes);
  git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, static_cast<size_t>(pack_window_bytes));
  git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, static_cast<size_t>(pack_mapped_limit_bytes));
  git_libgit2_opts(GIT_OPT_SET_MWINDOW_FILE_LIMIT, static_cast<size_t>(pack_open_files_limit));
  git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1);
  // A marker that a power loss left empty would make the owner's own `git gc` fail.
  git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  search_configuration_in("");
  // Changes only where a linked worktree's own configuration is; nothing that is read here depends on it.
  // libgit2 compares with the key as its configuration parser writes it, in lower case.
  const char* extensions[] = {"worktreeconfig"};
  git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions, size_t{1});
}

// libgit2 has no option for it: the authorities are read while it begins, whichever TLS it is built with, and go
// without saying where their file cannot be opened.
class NoFilesMeanwhile {
 public:
  NoFilesMeanwhile() {
    if (::getrlimit(RLIMIT_NOFILE, &before_) != 0) return;
    rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    is_set_ = ::setrlimit(RLIMIT_NOFILE, &none) == 0;
  }
  ~NoFilesMeanwhile() {
    if (is_set_) ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  NoFilesMeanwhile(const NoFilesMeanwhile&) = delete;
  NoFilesMeanwhile& operator=(const NoFilesMeanwhile&) = delete;

 private:
  rlimit before_{};
  bool is_set_ = false;
};

// Whether libssh2 is begun with libgit2. As long as without_tls() it is read by one thread.
bool speaks_ssh = true;

ErrorCode code_of(int status) {
  switch (status) {
    case GIT_ENOTFOUND:
    case GIT_EUNBORNBRANCH: return ErrorCode::not_found;
    case GIT_EAMBIGUOUS:
    case GIT_EINVALIDSPEC:
    case GIT_EPEEL: return ErrorCode::invalid;
    case GIT_ELOCKED: return ErrorCode::busy;
    case GIT_EOWNER: return ErrorCode::denied;
    default: return ErrorCode::failed;
  }
}

}  // namespace

GitLibrary::GitLibrary() {
  // Whoever can report it has loaded it before.
  if (!libgit2.load()) std::abort();
  if (git_libgit2_init() == 1) set_options();
}

Result<GitLibrary> GitLibrary::without_tls() {
  if (Result<void> loaded = libgit2.load(); !loaded) return std::unexpected(loaded.error());
  NoFilesMeanwhile no_files;
  return GitLibrary();
}

Result<GitLibrary> GitLibrary::for_local_use() {
  speaks_ssh = false;
  Result<GitLibrary> library = without_tls();
  speaks_ssh = true;
  return library;
}

UserConfiguration::UserConfiguration() { search_configuration_in(nullptr); }

UserConfiguration::~UserConfiguration() { search_configuration_in(""); }

GitLibrary::GitLibrary(const GitLibrary&) : GitLibrary() {}

GitLibrary::~GitLibrary() { git_libgit2_shutdown(); }

Error git_error_of(int status, std::string attempted) {
  const git_error* last = git_error_last();
  std::string reason =
      last != nullptr && last->message != nullptr ? printable(last->message) : "unknown error";
  git_error_clear();
  return Error{std::move(attempted) + ": " + reason, code_of(status)};
}

}  // namespace gitproc

// What libgit2 calls when it begins, in place of libssh2's function of that name: the program's symbols come before
// those of the libraries that it loads (ld.so(8)), for which this one is exported (CMakeLists.txt).
extern "C" [[gnu::visibility("default")]] int libssh2_init(int flags) {
  if (!gitproc::speaks_ssh) return 0;
  void* library = ::dlopen("libssh2.so.1", RTLD_LAZY | RTLD_LOCAL);
  auto* begin =
      library != nullptr ? reinterpret_cast<int (*)(int)>(::dlsym(library, "libssh2_init")) : nullptr;
  return begin != nullptr ? begin(flags) : -1;
}
