// A repository for tests: files in a map, blobs named by their content.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcile/desired/catalog.h"

namespace gitproc {

class RepositoryInMemory : public CommitFiles {
 public:
  void write(const std::string& path, const std::string& text, EntryKind kind = EntryKind::file) {
    const ObjectId id = id_of(text);
    blobs_[id] = text;
    working_[path] = {kind, id};
  }
  void link(const std::string& path, const std::string& target) { write(path, target, EntryKind::symlink); }
  void remove(const std::string& path) { working_.erase(path); }
  bool holds(const std::string& path) const { return working_.contains(path); }
  // As if the object database had lost it.
  void lose(const std::string& path) { blobs_.erase(working_.at(path).id); }
  void revert() { working_ = accepted_; }  // to the last tree that was accepted

  // What differs from the last tree that was accepted.
  std::vector<FileChange> changes() const { return difference(accepted_, working_); }
  void accept() { accepted_ = working_; }
  std::vector<FileChange> everything() const { return difference({}, working_); }

  Result<std::string> read(const ObjectId& blob, std::size_t limit_bytes) override {
    const auto found = blobs_.find(blob);
    if (found == blobs_.end())
      return fail("object " + blob.abbreviated() + " is missing", ErrorCode::not_found);
    if (found->second.size() > limit_bytes) return fail("too large", ErrorCode::invalid);
    reads.insert(blob);
    return found->second;
  }
  // A folder's id follows from what is in it.
  Result<std::optional<TreeEntry>> entry(std::string_view path) override {
    const auto found = working_.find(path);
    if (found != working_.end()) return found->second;
    std::string content;
    const std::string below = std::string(path) + (path.empty() ? "" : "/");
    for (const auto& [name, entry] : working_) {
      if (name.starts_with(below)) content += name + entry.id.hex() + "\n";
    }
    if (content.empty()) return std::nullopt;
    return TreeEntry{EntryKind::folder, id_of(content)};
  }

  static ObjectId id_of(const std::string& text) {
    ObjectId id;
    std::uint64_t hash = 14695981039346656037u;
    for (std::size_t i = 0; i < id.bytes.size(); ++i) {
      for (const char c : text)
        hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211u;
      hash = (hash ^ i) * 1099511628211u;
      id.bytes[i] = static_cast<std::uint8_t>(hash >> 56);
    }
    return id;
  }

  std::set<ObjectId> reads;  // blobs that were read; for the tests to clear and look at

 private:
  using Tree = std::map<std::string, TreeEntry, std::less<>>;

  static std::vector<FileChange> difference(const Tree& before, const Tree& after) {
    std::vector<FileChange> changes;
    for (const auto& [path, entry] : before) {
      const auto next = after.find(path);
      if (next == after.end()) {
        changes.push_back({path, entry, std::nullopt});
      } else if (next->second != entry) {
        changes.push_back({path, entry, next->second});
      }
    }
    for (const auto& [path, entry] : after) {
      if (!before.contains(path)) changes.push_back({path, std::nullopt, entry});
    }
    return changes;
  }

  Tree accepted_, working_;
  std::map<ObjectId, std::string> blobs_;
};

}  // namespace gitproc
