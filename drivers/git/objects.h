// Objects of the repository by their id, as bytes. Every object is checked against its id when it is read
// (libgit2's strict hash verification), so what comes out is what the commit names or an error; an error is
// never an absence.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "reconcile/base/error.h"
#include "reconcile/base/object_id.h"

struct git_odb;
struct git_odb_object;
struct git_oid;
struct git_repository;

namespace gitproc {

enum class ObjectKind { commit, tree, blob, tag };

std::string_view to_string(ObjectKind kind);

// The bytes of one object, for as long as this lives.
class RawObject {
 public:
  explicit RawObject(git_odb_object* object) : object_(object) {}
  std::string_view bytes() const;

 private:
  struct Free {
    void operator()(git_odb_object* object) const;
  };
  RawObject share() const;

  std::unique_ptr<git_odb_object, Free> object_;

  friend class ObjectReader;
};

// Refers to a repository, which must outlive it. One thread only.
class ObjectReader {
 public:
  explicit ObjectReader(git_repository* repository);

  // Errors: missing, corrupt, of another kind, or larger than `limit_bytes` (found before it is unpacked).
  Result<RawObject> read(const ObjectId& id, ObjectKind kind, std::size_t limit_bytes);

  // What the object is, without unpacking it whole; the content is not verified.
  Result<ObjectKind> kind_of(const ObjectId& id);

  // How many objects were read.
  std::size_t reads() const { return reads_; }

 private:
  struct Free {
    void operator()(git_odb* odb) const;
  };
  std::optional<RawObject> kept_tree(const git_oid& id) const;
  void keep_tree(const RawObject& tree);

  std::unique_ptr<git_odb, Free> odb_;
  // The two newest trees that libgit2 does not keep, the newest first. That of a repository's top, or of its nodes, is
  // what every load reads twice: as the new tree, and as the old one the next time. The one before is where a rollback
  // goes to.
  std::array<std::optional<RawObject>, 2> large_trees_;
  std::size_t reads_ = 0;
};

}  // namespace gitproc
