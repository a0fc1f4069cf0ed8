// A plain folder read as if it were a commit: the ids are those that git would give its files.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "drivers/git/git_library.h"
#include "drivers/git/tree_diff.h"
#include "reconcile/desired/catalog.h"

namespace gitproc {

// Files larger than this cannot be given an id: an error that names the file.
inline constexpr std::size_t max_directory_file_bytes = 256u << 20;

class DirectoryFiles : public CommitFiles {
 public:
  static Result<DirectoryFiles> open(const std::string& path);

  // All wanted leaves in the folders to be entered, as if they were new. ".git" is left out; what is neither
  // file, folder nor symlink is left out, too.
  Result<std::vector<FileChange>> list(const FolderFilter& enters,
                                       const std::function<bool(std::string_view)>& wants);

  // Only blobs that list() or entry() gave an id.
  Result<std::string> read(const ObjectId& blob, std::size_t limit_bytes) override;
  Result<std::optional<TreeEntry>> entry(std::string_view path) override;

 private:
  DirectoryFiles(UniqueFd top, std::string shown) : top_(std::move(top)), shown_(std::move(shown)) {}
  Result<UniqueFd> open_below(std::string_view path, int flags) const;
  Result<std::string> content(const std::string& path, bool is_symlink, std::size_t limit_bytes) const;
  Result<TreeEntry> leaf(const std::string& path, bool is_symlink);
  Result<TreeEntry> folder(const std::string& path, unsigned depth);
  Result<void> list_below(const std::string& folder, unsigned depth, const FolderFilter& enters,
                          const std::function<bool(std::string_view)>& wants, std::vector<FileChange>& found);

  struct Place {
    std::string path;
    bool is_symlink = false;
  };
  GitLibrary library_;
  UniqueFd top_;
  std::string shown_;
  std::map<ObjectId, Place> places_;
};

}  // namespace gitproc
