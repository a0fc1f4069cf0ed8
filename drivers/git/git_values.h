// libgit2's values in this program's words, and owners of what it allocates. For the .cpp files of this folder alone, as
// <git2.h> is.
#pragma once

#include <git2.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "reconcile/base/object_id.h"

namespace gitproc {

template <typename T, void (*free)(T*)>
struct FreeWith {
  void operator()(T* object) const { free(object); }
};
template <typename T, void (*free)(T*)>
using GitHandle = std::unique_ptr<T, FreeWith<T, free>>;

using RepositoryHandle = GitHandle<git_repository, git_repository_free>;
using ReferenceHandle = GitHandle<git_reference, git_reference_free>;
using CommitHandle = GitHandle<git_commit, git_commit_free>;
using ObjectHandle = GitHandle<git_object, git_object_free>;

inline git_oid to_git(const ObjectId& id) {
  git_oid oid;
  git_oid_fromraw(&oid, id.bytes.data());
  return oid;
}

inline ObjectId from_git(const git_oid& oid) {
  ObjectId id;
  std::copy(std::begin(oid.id), std::end(oid.id), id.bytes.begin());
  return id;
}

}  // namespace gitproc
