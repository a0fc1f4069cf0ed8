#include "drivers/git/directory_files.h"

#include <fcntl.h>
#include <git2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "drivers/base/lazy_library.h"
#include "drivers/base/system_call.h"
#include "drivers/git/folder_listing.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

Result<ObjectId> id_of(std::string_view content, git_object_t type) {
  git_oid oid;
  if (int status = git_odb_hash(&oid, content.data(), content.size(), type); status < 0) {
    return git_fail(status, "cannot compute an object id");
  }
  ObjectId id;
  std::copy(std::begin(oid.id), std::end(oid.id), id.bytes.begin());
  return id;
}

std::string_view mode_of(EntryKind kind) {
  switch (kind) {
    case EntryKind::file: return "100644";
    case EntryKind::executable: return "100755";
    case EntryKind::symlink: return "120000";
    case EntryKind::submodule: return "160000";
    case EntryKind::folder: return "40000";
  }
  return "";
}

std::string below(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

}  // namespace

Result<DirectoryFiles> DirectoryFiles::open(const std::string& path) {
  if (Result<void> loaded = libgit2.load(); !loaded) return std::unexpected(loaded.error());
  auto top = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!top) return std::unexpected(top.error());
  return DirectoryFiles(std::move(*top), path);
}

// Opens part by part, so that no symlink on the way is followed.
Result<UniqueFd> DirectoryFiles::open_below(std::string_view path, int flags) const {
  UniqueFd folder;
  int at = top_.get();
  while (true) {
    std::size_t slash = path.find('/');
    bool is_last = slash == std::string_view::npos;
    auto next = open_file_at(at, std::string(path.substr(0, slash)),
                             O_NOFOLLOW | O_NONBLOCK | (is_last ? flags : O_PATH | O_DIRECTORY));
    if (!next || is_last) return next;
    folder = std::move(*next);
    at = folder.get();
    path.remove_prefix(slash + 1);
  }
}

Result<std::string> DirectoryFiles::content(const std::string& path, bool is_symlink,
                                            std::size_t limit_bytes) const {
  if (!is_symlink) {
    auto file = open_below(path, O_RDONLY);
    if (!file) return std::unexpected(file.error());
    return read_descriptor(file->get(), limit_bytes, path);
  }
  auto link = open_below(path, O_PATH);
  if (!link) return std::unexpected(link.error());
  std::string target(PATH_MAX, '\0');
  ssize_t size = readlinkat(link->get(), "", target.data(), target.size());
  if (size < 0) return fail_with_errno("cannot read symlink '" + printable(path) + "'");
  target.resize(static_cast<std::size_t>(size));
  return target;
}

Result<TreeEntry> DirectoryFiles::leaf(const std::string& path, bool is_symlink) {
  auto text = content(path, is_symlink, max_directory_file_bytes);
  if (!text) return std::unexpected(text.error());
  auto id = id_of(*text, GIT_OBJECT_BLOB);
  if (!id) return std::unexpected(id.error());
  places_[*id] = Place{path, is_symlink};
  if (is_symlink) return TreeEntry{EntryKind::symlink, *id};
  auto file = open_below(path, O_PATH);
  struct stat status{};
  if (!file || fstat(file->get(), &status) != 0) return fail("cannot read '" + printable(path) + "'");
  return TreeEntry{(status.st_mode & S_IXUSR) != 0 ? EntryKind::executable : EntryKind::file, *id};
}

Result<TreeEntry> DirectoryFiles::folder(const std::string& path, unsigned depth) {
  if (depth == max_tree_depth)
    return fail("folders nest too deep at '" + printable(path) + "'", ErrorCode::invalid);
  auto directory = open_below(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return std::unexpected(directory.error());
  auto listed = list_folder(directory->get(), path, max_tree_entries);
  if (!listed) return std::unexpected(listed.error());
  std::vector<std::pair<std::string, TreeEntry>> entries;  // by name as git sorts: folders end in '/'
  for (const ListedEntry& item : *listed) {
    if (item.name == ".git" || item.kind == ListedKind::other) continue;
    std::string child = below(path, item.name);
    auto entry = item.kind == ListedKind::folder ? folder(child, depth + 1)
                                                 : leaf(child, item.kind == ListedKind::symlink);
    if (!entry) return entry;
    entries.emplace_back(item.kind == ListedKind::folder ? item.name + "/" : item.name, *entry);
  }
  std::ranges::sort(entries, {}, &std::pair<std::string, TreeEntry>::first);
  std::string tree;
  for (const auto& [name, entry] : entries) {
    tree += mode_of(entry.kind);
    tree += ' ';
    tree += entry.kind == EntryKind::folder ? name.substr(0, name.size() - 1) : name;
    tree += '\0';
    tree.append(entry.id.bytes.begin(), entry.id.bytes.end());
  }
  auto id = id_of(tree, GIT_OBJECT_TREE);
  if (!id) return std::unexpected(id.error());
  return TreeEntry{EntryKind::folder, *id};
}

Result<std::vector<FileChange>> DirectoryFiles::list(const FolderFilter& enters,
                                                     const std::function<bool(std::string_view)>& wants) {
  std::vector<FileChange> found;
  if (auto done = list_below("", 0, enters, wants, found); !done) return std::unexpected(done.error());
  return found;
}

Result<void> DirectoryFiles::list_below(const std::string& folder, unsigned depth, const FolderFilter& enters,
                                        const std::function<bool(std::string_view)>& wants,
                                        std::vector<FileChange>& found) {
  if (depth == max_tree_depth)
    return fail("folders nest too deep at '" + printable(folder) + "'", ErrorCode::invalid);
  auto directory = open_below(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
  if (!directory) return std::unexpected(directory.error());
  auto listed = list_folder(directory->get(), below(shown_, folder), max_tree_entries);
  if (!listed) return std::unexpected(listed.error());
  for (const ListedEntry& item : *listed) {
    if (item.name == ".git") continue;
    std::string path = below(folder, item.name);
    if (item.kind == ListedKind::folder) {
      if (!enters(path)) continue;
      if (auto done = list_below(path, depth + 1, enters, wants, found); !done) return done;
    } else if (item.kind != ListedKind::other && wants(path)) {
      auto entry = leaf(path, item.kind == ListedKind::symlink);
      if (!entry) return std::unexpected(entry.error());
      found.push_back(FileChange{path, std::nullopt, *entry});
    }
  }
  return {};
}

Result<std::string> DirectoryFiles::read(const ObjectId& blob, std::size_t limit_bytes) {
  auto place = places_.find(blob);
  if (place == places_.end()) return fail("no file with the id " + blob.abbreviated(), ErrorCode::not_found);
  return content(place->second.path, place->second.is_symlink, limit_bytes);
}

Result<std::optional<TreeEntry>> DirectoryFiles::entry(std::string_view path) {
  std::string place(path.empty() ? "." : path);
  auto found = open_below(place, O_PATH);
  if (!found) {
    if (found.error().code == ErrorCode::not_found) return std::nullopt;
    // A file or a symlink where a folder would have to be is no entry either.
    for (std::size_t slash = place.find('/'); slash != std::string::npos;
         slash = place.find('/', slash + 1)) {
      auto part = open_below(place.substr(0, slash), O_PATH);
      struct stat status{};
      if (part && fstat(part->get(), &status) == 0 && !S_ISDIR(status.st_mode)) return std::nullopt;
    }
    return std::unexpected(found.error());
  }
  struct stat status{};
  if (fstat(found->get(), &status) != 0) return fail_with_errno("cannot read '" + printable(path) + "'");
  if (S_ISDIR(status.st_mode)) {
    auto entry = folder(place, 0);
    return entry ? Result<std::optional<TreeEntry>>(*entry) : std::unexpected(entry.error());
  }
  if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)) return std::nullopt;
  auto entry = leaf(place, S_ISLNK(status.st_mode));
  return entry ? Result<std::optional<TreeEntry>>(*entry) : std::unexpected(entry.error());
}

}  // namespace gitproc
