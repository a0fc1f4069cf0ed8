#include "drivers/git/objects.h"

#include <git2.h>

#include <cstring>
#include <optional>
#include <utility>

#include "drivers/git/git_library.h"
#include "drivers/git/git_values.h"

namespace gitproc {
namespace {

std::optional<ObjectKind> from_git(git_object_t type) {
  switch (type) {
    case GIT_OBJECT_COMMIT: return ObjectKind::commit;
    case GIT_OBJECT_TREE: return ObjectKind::tree;
    case GIT_OBJECT_BLOB: return ObjectKind::blob;
    case GIT_OBJECT_TAG: return ObjectKind::tag;
    default: return std::nullopt;
  }
}

constexpr std::size_t max_kept_tree_bytes = 256u << 10;

std::string reading(const ObjectId& id, ObjectKind kind) {
  return "cannot read " + std::string(to_string(kind)) + " " + id.abbreviated();
}

}  // namespace

std::string_view to_string(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::commit: return "commit";
    case ObjectKind::tree: return "tree";
    case ObjectKind::blob: return "blob";
    case ObjectKind::tag: return "tag";
  }
  return "";
}

void RawObject::Free::operator()(git_odb_object* object) const { git_odb_object_free(object); }

std::string_view RawObject::bytes() const {
  return {static_cast<const char*>(git_odb_object_data(object_.get())), git_odb_object_size(object_.get())};
}

void ObjectReader::Free::operator()(git_odb* odb) const { git_odb_free(odb); }

ObjectReader::ObjectReader(git_repository* repository) {
  git_odb* odb = nullptr;
  if (git_repository_odb(&odb, repository) == 0) odb_.reset(odb);
}

RawObject RawObject::share() const {
  git_odb_object* same = nullptr;
  git_odb_object_dup(&same, object_.get());
  return RawObject(same);
}

std::optional<RawObject> ObjectReader::kept_tree(const git_oid& id) const {
  for (const std::optional<RawObject>& tree : large_trees_) {
    if (tree && git_oid_equal(git_odb_object_id(tree->object_.get()), &id) != 0) return tree->share();
  }
  return std::nullopt;
}

void ObjectReader::keep_tree(const RawObject& tree) {
  std::size_t size = tree.bytes().size();
  if (size <= cached_tree_bytes || size > max_kept_tree_bytes) return;
  large_trees_[1] = std::exchange(large_trees_[0], tree.share());
}

Result<RawObject> ObjectReader::read(const ObjectId& id, ObjectKind kind, std::size_t limit_bytes) {
  if (!odb_) return fail(reading(id, kind) + ": the repository has no object database");
  ++reads_;
  git_oid oid = to_git(id);
  if (std::optional<RawObject> kept = kind == ObjectKind::tree ? kept_tree(oid) : std::nullopt;
      kept && kept->bytes().size() <= limit_bytes) {
    return *std::move(kept);
  }
  // Trees and commits are read whole at once: a header would cost as much again, and nothing good is to be
  // had from a repository whose trees do not fit in memory. Blobs are what users put in by mistake.
  if (kind == ObjectKind::blob) {
    size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    if (int status = git_odb_read_header(&size, &type, odb_.get(), &oid); status < 0) {
      return git_fail(status, reading(id, kind));
    }
    if (size > limit_bytes) {
      return fail(reading(id, kind) + ": it has " + std::to_string(size) + " bytes, more than " +
                      std::to_string(limit_bytes),
                  ErrorCode::invalid);
    }
  }
  git_odb_object* object = nullptr;
  if (int status = git_odb_read(&object, odb_.get(), &oid); status < 0)
    return git_fail(status, reading(id, kind));
  RawObject raw(object);
  if (from_git(git_odb_object_type(object)) != kind) {
    return fail(reading(id, kind) + ": the object is of another kind", ErrorCode::invalid);
  }
  if (raw.bytes().size() > limit_bytes) {
    return fail(reading(id, kind) + ": larger than " + std::to_string(limit_bytes) + " bytes",
                ErrorCode::invalid);
  }
  if (kind == ObjectKind::tree) keep_tree(raw);
  return raw;
}

Result<ObjectKind> ObjectReader::kind_of(const ObjectId& id) {
  std::string attempted = "cannot read object " + id.abbreviated();
  if (!odb_) return fail(attempted + ": the repository has no object database");
  git_oid oid = to_git(id);
  size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  if (int status = git_odb_read_header(&size, &type, odb_.get(), &oid); status < 0) {
    return git_fail(status, std::move(attempted));
  }
  if (auto kind = from_git(type)) return *kind;
  return fail(attempted + ": it is of no known kind");
}

}  // namespace gitproc
