// libgit2 as this program uses it: initialised while any GitLibrary lives, with its caches bounded and its
// own owner check replaced by the one of repository_access.h. libgit2 counts the initialisations itself, so
// any number of these may exist, in any thread. libgit2.load() (drivers/base/lazy_library.h) must have succeeded.
#pragma once

#include <cstddef>
#include <string>

#include "reconcile/base/error.h"

namespace gitproc {

// What libgit2 may keep of unpacked trees, commits and tags, over all repositories of the process.
inline constexpr long object_cache_bytes = 4l << 20;
inline constexpr std::size_t cached_tree_bytes = 4u
                                                 << 10;  // larger trees are not kept in it: a hundred entries
// How packs are mapped: in windows of this size, together at most the limit. A window that is in use stays
// mapped past the limit; packs beyond the file limit are closed and opened again when needed.
inline constexpr unsigned long pack_window_bytes = 8ul << 20;
inline constexpr unsigned long pack_mapped_limit_bytes = 64ul << 20;
inline constexpr unsigned long pack_open_files_limit = 64;

// While it lives, libgit2 reads the configuration of the user and the system as git does. Else it does not: what the
// agent does with a repository must not depend on who started it, or on whether that user's files can be read.
class UserConfiguration {
 public:
  UserConfiguration();
  ~UserConfiguration();
  UserConfiguration(const UserConfiguration&) = delete;
  UserConfiguration& operator=(const UserConfiguration&) = delete;
};

class GitLibrary {
 public:
  GitLibrary();
  // For all that speak no TLS: beginning it without the certificate authorities of the system, which it would read and
  // take apart, is a quarter of the time and half a megabyte less. Loads it, too; errors as of LazyLibrary::load().
  // The process must have no other thread yet: for a moment it can open no file.
  static Result<GitLibrary> without_tls();
  // The same for all that speak to no other machine: without SSH's cryptography, which takes 1.5 megabytes.
  static Result<GitLibrary> for_local_use();
  ~GitLibrary();
  GitLibrary(const GitLibrary&);
  GitLibrary& operator=(const GitLibrary&) = default;
};

// "attempted: what libgit2 says", with the code that libgit2's `status` (negative) stands for. Must be called
// by the thread that got the status, before its next call of libgit2.
Error git_error_of(int status, std::string attempted);
inline std::unexpected<Error> git_fail(int status, std::string attempted) {
  return std::unexpected(git_error_of(status, std::move(attempted)));
}

}  // namespace gitproc
