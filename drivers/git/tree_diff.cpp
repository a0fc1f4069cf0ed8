#include "drivers/git/tree_diff.h"

#include <string>
#include <utility>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

// The entries of one tree; the records point into the object, which a move leaves where it is.
struct Folder {
  std::optional<RawObject> object;
  std::vector<TreeRecord> records;
};

class Walk {
 public:
  Walk(ObjectReader& objects, const FolderFilter& enters, const ChangeSink& sink)
      : objects_(objects), enters_(enters), sink_(sink) {}

  // Both are the trees of the folder path_ ("" or ending in '/'); nullopt where that side has none.
  Result<void> compare(const std::optional<ObjectId>& before, const std::optional<ObjectId>& after) {
    auto old_folder = read(before);
    if (!old_folder) return std::unexpected(old_folder.error());
    auto new_folder = read(after);
    if (!new_folder) return std::unexpected(new_folder.error());
    auto old_record = old_folder->records.begin(), old_end = old_folder->records.end();
    auto new_record = new_folder->records.begin(), new_end = new_folder->records.end();
    while (old_record != old_end || new_record != new_end) {
      int order = old_record == old_end   ? 1
                  : new_record == new_end ? -1
                                          : compare_in_tree_order(*old_record, *new_record);
      const TreeRecord* gone_or_was = order <= 0 ? &*old_record++ : nullptr;
      const TreeRecord* come_or_is = order >= 0 ? &*new_record++ : nullptr;
      if (auto done = compare_entries(gone_or_was, come_or_is); !done) return done;
    }
    return {};
  }

 private:
  // At least one is there; if both are, they have the same name, and both or none is a folder.
  Result<void> compare_entries(const TreeRecord* before, const TreeRecord* after) {
    if (before != nullptr && after != nullptr && before->kind == after->kind &&
        before->object_id() == after->object_id()) {
      return {};
    }
    const TreeRecord& either = after != nullptr ? *after : *before;
    std::size_t parent_size = path_.size();
    path_ += either.name;
    Result<void> done;
    if (either.kind == EntryKind::folder) {
      if (enters_(path_)) done = enter(before, after);
    } else {
      sink_(FileChange{path_, leaf(before), leaf(after)});
    }
    path_.resize(parent_size);
    return done;
  }

  Result<void> enter(const TreeRecord* before, const TreeRecord* after) {
    if (depth_ == max_tree_depth) {
      return fail(
          "folders nest deeper than " + std::to_string(max_tree_depth) + " at '" + printable(path_) + "'",
          ErrorCode::invalid);
    }
    path_ += '/';
    ++depth_;
    auto done = compare(before ? std::optional(before->object_id()) : std::nullopt,
                        after ? std::optional(after->object_id()) : std::nullopt);
    --depth_;
    return done;
  }

  Result<Folder> read(const std::optional<ObjectId>& tree) {
    Folder folder;
    if (!tree) return folder;
    auto object = objects_.read(*tree, ObjectKind::tree, max_tree_object_bytes);
    if (!object) return in_this_folder(std::move(object.error()));
    auto records = parse_tree(object->bytes());
    if (!records) return in_this_folder(std::move(records.error()));
    visited_ += records->size();
    if (visited_ > max_tree_entries) {
      return fail("more than " + std::to_string(max_tree_entries) + " files and folders", ErrorCode::invalid);
    }
    folder.object = std::move(*object);
    folder.records = std::move(*records);
    return folder;
  }

  std::unexpected<Error> in_this_folder(Error error) const {
    if (!path_.empty()) error.message += " (folder '" + printable(path_) + "')";
    return std::unexpected(std::move(error));
  }

  static std::optional<TreeEntry> leaf(const TreeRecord* record) {
    if (record == nullptr) return std::nullopt;
    return TreeEntry{record->kind, record->object_id()};
  }

  ObjectReader& objects_;
  const FolderFilter& enters_;
  const ChangeSink& sink_;
  std::string path_;
  unsigned depth_ = 0;
  std::size_t visited_ = 0;
};

}  // namespace

Result<void> diff_trees(ObjectReader& objects, const std::optional<ObjectId>& before, const ObjectId& after,
                        const FolderFilter& enters, const ChangeSink& sink) {
  if (before == after) return {};
  return Walk(objects, enters, sink).compare(before, after);
}

}  // namespace gitproc
