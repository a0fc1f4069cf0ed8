#include "drivers/git/tree_export.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "drivers/base/atomic_file.h"
#include "drivers/base/system_call.h"
#include "drivers/base/unique_fd.h"
#include "drivers/git/folder_listing.h"
#include "drivers/git/tree_diff.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::string_view temporary_prefix = ".new-";
constexpr std::string_view discarded_prefix = ".old-";
constexpr std::string_view boot_file = ".boot";
constexpr unsigned max_listed_trees = 10'000;
constexpr mode_t folder_mode = 0755;

mode_t mode_of(EntryKind kind) { return kind == EntryKind::executable ? 0755 : 0644; }

using Leaves = std::map<std::string, TreeEntry, std::less<>>;

// Neither nodes/ and groups/ nor drop-in folders hold data, so they need not be read.
bool may_hold_data(std::string_view folder) { return is_data(folder); }

// Submodules are left out: what is in them is not in this repository.
Result<Leaves> data_of(ObjectReader& objects, const ObjectId& tree) {
  Leaves leaves;
  auto listed = diff_trees(objects, std::nullopt, tree, may_hold_data, [&](FileChange change) {
    if (!is_data(change.path) || change.after->kind == EntryKind::submodule) return;
    leaves.emplace_hint(leaves.end(), std::move(change.path), *change.after);
  });
  if (!listed) return std::unexpected(listed.error());
  return leaves;
}

// The paths of data that differ.
Result<std::set<std::string, std::less<>>> changed_data(ObjectReader& objects, const ObjectId& before,
                                                        const ObjectId& after) {
  std::set<std::string, std::less<>> changed;
  auto diffed = diff_trees(objects, before, after, may_hold_data, [&](FileChange change) {
    if (is_data(change.path)) changed.insert(std::move(change.path));
  });
  if (!diffed) return std::unexpected(diffed.error());
  return changed;
}

// The open folders from a tree's top down to where work is going on. Paths are visited in order, so each
// folder is opened once; none is reached through a symlink.
class FolderStack {
 public:
  enum class Mode { open, make };

  FolderStack(UniqueFd top, Mode mode) : mode_(mode) { open_.push_back({"", std::move(top)}); }

  // A descriptor of the folder that `path` lies in, valid until the next call.
  Result<int> parent_of(std::string_view path) {
    std::size_t slash = path.rfind('/');
    std::string_view folder = slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
    while (open_.size() > 1 &&
           !(folder == open_.back().path || folder.starts_with(open_.back().path + "/"))) {
      open_.pop_back();
    }
    while (open_.back().path.size() < folder.size()) {
      std::size_t begin = open_.back().path.empty() ? 0 : open_.back().path.size() + 1;
      std::string next(folder.substr(0, folder.find('/', begin)));
      std::string name = next.substr(begin);
      int above = open_.back().fd.get();
      if (mode_ == Mode::make && mkdirat(above, name.c_str(), folder_mode) != 0) {
        return fail_with_errno("cannot make folder '" + printable(next) + "'");
      }
      auto fd = open_file_at(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (!fd) return std::unexpected(fd.error());
      if (mode_ == Mode::make && fchmod(fd->get(), folder_mode) != 0) {
        return fail_with_errno("cannot make folder '" + printable(next) + "'");
      }
      open_.push_back({std::move(next), std::move(*fd)});
    }
    return open_.back().fd.get();
  }

 private:
  struct Open {
    std::string path;
    UniqueFd fd;
  };
  Mode mode_;
  std::vector<Open> open_;
};

std::string name_of(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

Result<void> write_leaf(ObjectReader& objects, int folder, const std::string& path, const TreeEntry& entry) {
  auto blob = objects.read(entry.id, ObjectKind::blob, max_exported_file_bytes);
  if (!blob)
    return fail("cannot export '" + printable(path) + "': " + blob.error().message, blob.error().code);
  std::string attempted = "cannot export '" + printable(path) + "'";
  std::string name = name_of(path);
  if (entry.kind == EntryKind::symlink) {
    std::string target(blob->bytes());
    if (target.empty() || target.size() >= PATH_MAX || target.find('\0') != std::string::npos) {
      return fail(attempted + ": its symlink target is empty or too long or holds a NUL", ErrorCode::invalid);
    }
    return symlinkat(target.c_str(), folder, name.c_str()) == 0 ? Result<void>{} : fail_with_errno(attempted);
  }
  auto file = open_file_at(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode_of(entry.kind));
  if (!file) return std::unexpected(file.error());
  if (int failed = write_all(file->get(), blob->bytes()); failed != 0)
    return fail_with_errno(attempted, failed);
  // The umask may have taken from the mode.
  return fchmod(file->get(), mode_of(entry.kind)) == 0 ? Result<void>{} : fail_with_errno(attempted);
}

// A hard link to the same file of the tree before, if that is what it should be by its looks. Anything that
// speaks against it (too many links, a file system without them) only means that the file is written anew.
bool link_leaf(FolderStack& before, int folder, const std::string& path, const TreeEntry& entry) {
  if (entry.kind == EntryKind::symlink) return false;  // as cheap to make
  auto old_folder = before.parent_of(path);
  if (!old_folder) return false;
  std::string name = name_of(path);
  struct stat status;
  if (fstatat(*old_folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode) ||
      (status.st_mode & 07777) != mode_of(entry.kind) || status.st_uid != geteuid()) {
    return false;
  }
  return linkat(*old_folder, name.c_str(), folder, name.c_str(), 0) == 0;
}

// A complete tree that the new one may share files with.
struct Base {
  std::string path;
  ObjectId tree;
};

Result<void> build(ObjectReader& objects, const ObjectId& tree, const std::string& path,
                   const std::optional<Base>& base) {
  auto leaves = data_of(objects, tree);
  if (!leaves) return std::unexpected(leaves.error());
  std::set<std::string, std::less<>> changed;
  std::optional<FolderStack> before;
  if (base) {
    auto differing = changed_data(objects, base->tree, tree);
    auto top = open_file(base->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (differing && top) {
      changed = std::move(*differing);
      before.emplace(std::move(*top), FolderStack::Mode::open);
    }
  }
  if (mkdir(path.c_str(), folder_mode) != 0) return fail_with_errno("cannot make folder '" + path + "'");
  auto top = open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!top) return std::unexpected(top.error());
  if (fchmod(top->get(), folder_mode) != 0) return fail_with_errno("cannot make folder '" + path + "'");
  FolderStack folders(std::move(*top), FolderStack::Mode::make);
  for (const auto& [leaf, entry] : *leaves) {
    auto folder = folders.parent_of(leaf);
    if (!folder) return std::unexpected(folder.error());
    if (before && !changed.contains(leaf) && link_leaf(*before, *folder, leaf, entry)) continue;
    if (auto written = write_leaf(objects, *folder, leaf, entry); !written) return written;
  }
  return {};
}

// Compares what is on disk with what the repository says, without following symlinks.
class Inspection {
 public:
  Inspection(ObjectReader& objects, const Leaves& leaves) : objects_(objects), leaves_(leaves) {}

  Result<bool> is_intact(const std::string& path) {
    auto top = open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!top) return false;
    auto same = folder(top->get(), "", 0);
    if (!same) return same;
    return *same && matched_ == leaves_.size();
  }

 private:
  Result<bool> folder(int fd, const std::string& prefix, unsigned depth) {
    struct stat status;
    if (depth > max_tree_depth || fstat(fd, &status) != 0 || (status.st_mode & 07777) != folder_mode)
      return false;
    auto entries = list_folder(fd, prefix, max_tree_entries);
    if (!entries) return false;
    for (const ListedEntry& entry : *entries) {
      std::string path = prefix + entry.name;
      auto same = entry.kind == ListedKind::folder ? subfolder(fd, entry.name, path + "/", depth)
                                                   : leaf(fd, entry.name, path);
      if (!same || !*same) return same;
    }
    return true;
  }

  Result<bool> subfolder(int fd, const std::string& name, const std::string& prefix, unsigned depth) {
    auto first = leaves_.lower_bound(prefix);
    if (first == leaves_.end() || !first->first.starts_with(prefix)) return false;
    auto opened = open_file_at(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    return opened ? folder(opened->get(), prefix, depth + 1) : Result<bool>(false);
  }

  Result<bool> leaf(int fd, const std::string& name, const std::string& path) {
    auto expected = leaves_.find(path);
    if (expected == leaves_.end()) return false;
    ++matched_;
    auto blob = objects_.read(expected->second.id, ObjectKind::blob, max_exported_file_bytes);
    if (!blob) return std::unexpected(blob.error());
    if (expected->second.kind == EntryKind::symlink) {
      std::string target(PATH_MAX, '\0');
      ssize_t size = readlinkat(fd, name.c_str(), target.data(), target.size());
      return size >= 0 && std::string_view(target).substr(0, static_cast<std::size_t>(size)) == blob->bytes();
    }
    auto file = open_file_at(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    struct stat status;
    if (!file || fstat(file->get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
        (status.st_mode & 07777) != mode_of(expected->second.kind) ||
        static_cast<std::size_t>(status.st_size) != blob->bytes().size()) {
      return false;
    }
    auto content = read_descriptor(file->get(), max_exported_file_bytes, path);
    return content && *content == blob->bytes();
  }

  ObjectReader& objects_;
  const Leaves& leaves_;
  std::size_t matched_ = 0;
};

Result<bool> is_intact(ObjectReader& objects, const ObjectId& tree, const std::string& path) {
  auto leaves = data_of(objects, tree);
  if (!leaves) return std::unexpected(leaves.error());
  return Inspection(objects, *leaves).is_intact(path);
}

void remove_tree(const std::string& path) {
  std::error_code ignored;  // what cannot be removed is tried again by the next export
  std::filesystem::remove_all(path, ignored);
}

std::optional<std::string> read_link(const std::string& path) {
  std::string target(PATH_MAX, '\0');
  ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size < 0) return std::nullopt;
  target.resize(static_cast<std::size_t>(size));
  return target;
}

// Makes `path` a symlink to `target`, replacing the symlink that is there in one step.
Result<void> point(const std::string& path, const std::string& target) {
  std::string temporary = path + ".new";
  std::string attempted = "cannot make symlink '" + path + "'";
  if (::unlink(temporary.c_str()) != 0 && errno != ENOENT) return fail_with_errno(attempted);
  if (::symlink(target.c_str(), temporary.c_str()) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    return fail_with_errno(attempted);
  }
  return {};
}

std::string boot_id() {
  auto id = read_file("/proc/sys/kernel/random/boot_id", 64);
  return id ? std::string(trim(*id)) : std::string();
}

}  // namespace

TreeExport::TreeExport(const std::string& state_dir)
    : link_(state_dir + "/tree"), trees_(state_dir + "/trees") {}

std::string TreeExport::path_of(const ObjectId& tree) const { return trees_ + "/" + tree.hex(); }

// The tree in use, if <state-dir>/tree is one of ours.
std::optional<ObjectId> TreeExport::tree_in_use() const {
  auto target = read_link(link_);
  constexpr std::string_view prefix = "trees/";
  if (!target || !target->starts_with(prefix)) return std::nullopt;
  return ObjectId::parse(std::string_view(*target).substr(prefix.size()));
}

// The tree whose folder holds the files of `tree`: itself, or the one that its symlink names.
std::optional<ObjectId> TreeExport::folder_of(const ObjectId& tree) const {
  struct stat status;
  if (lstat(path_of(tree).c_str(), &status) != 0) return std::nullopt;
  if (S_ISDIR(status.st_mode)) return tree;
  auto target = read_link(path_of(tree));
  auto other = target ? ObjectId::parse(*target) : std::nullopt;
  if (!other || lstat(path_of(*other).c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return std::nullopt;
  return other;
}

std::string TreeExport::folder_in_use() const {
  auto in_use = tree_in_use();
  auto folder = in_use ? folder_of(*in_use) : std::nullopt;
  return folder ? path_of(*folder) : "";
}

Result<std::vector<ObjectId>> TreeExport::exported_trees() const {
  auto entries = list_folder(trees_, max_listed_trees);
  if (!entries) return std::unexpected(entries.error());
  std::vector<ObjectId> trees;
  for (const ListedEntry& entry : *entries) {
    if (auto tree = ObjectId::parse(entry.name)) trees.push_back(*tree);
  }
  return trees;
}

void TreeExport::remove_discarded() {
  auto entries = list_folder(trees_, max_listed_trees);
  if (!entries) return;  // nothing was exported yet, or the next call sees to it
  for (const ListedEntry& entry : *entries) {
    if (entry.name.starts_with(temporary_prefix) || entry.name.starts_with(discarded_prefix)) {
      remove_tree(trees_ + "/" + entry.name);
    }
  }
}

// Out of sight at once, whatever its size; remove_discarded() does the work.
void TreeExport::discard(const ObjectId& tree) {
  std::string aside = trees_ + "/" + std::string(discarded_prefix) + tree.hex();
  if (::rename(path_of(tree).c_str(), aside.c_str()) != 0) remove_tree(path_of(tree));
}

// Builds aside and puts it in place, exchanging it with what is there: <state-dir>/tree always leads somewhere.
Result<void> TreeExport::build_in_place(ObjectReader& objects, const ObjectId& tree,
                                        const std::optional<ObjectId>& base) {
  std::string temporary = trees_ + "/" + std::string(temporary_prefix) + tree.hex();
  remove_tree(temporary);
  auto built =
      build(objects, tree, temporary, base ? std::optional(Base{path_of(*base), *base}) : std::nullopt);
  if (built &&
      renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path_of(tree).c_str(), RENAME_EXCHANGE) != 0) {
    if (::rename(temporary.c_str(), path_of(tree).c_str()) != 0) {
      built = fail_with_errno("cannot put exported tree " + tree.abbreviated() + " in place");
    }
  }
  remove_tree(temporary);
  return built;
}

// Trees written in an earlier boot may have lost data with the power. True when all that are there now are
// known to be whole.
Result<bool> TreeExport::establish_trust(ObjectReader& objects) {
  std::string boot = boot_id();
  auto written = read_file(trees_ + "/" + std::string(boot_file), 64);
  if (!boot.empty() && written && *written == boot) return true;
  auto checked = check_all(objects);
  if (!checked) return std::unexpected(checked.error());
  if (checked->is_in_doubt) return false;
  if (auto noted = replace_file(trees_ + "/" + std::string(boot_file), boot, 0644); !noted)
    return std::unexpected(noted.error());
  return true;
}

// Compares all trees with the repository: damaged ones are removed, but the one in use is written anew.
Result<TreeExport::Checked> TreeExport::check_all(ObjectReader& objects) {
  auto trees = exported_trees();
  if (!trees) return std::unexpected(trees.error());
  auto in_use = tree_in_use();
  auto used_folder = in_use ? folder_of(*in_use) : std::nullopt;
  Checked checked;
  for (const ObjectId& tree : *trees) {
    if (folder_of(tree) != tree) continue;  // a symlink: judged by what it leads to
    auto intact = is_intact(objects, tree, path_of(tree));
    if (intact && *intact) continue;
    if (tree != used_folder) {
      discard(tree);
    } else if (intact) {
      if (auto built = build_in_place(objects, tree, std::nullopt); !built)
        return std::unexpected(built.error());
    } else {
      // Its commit is gone from the repository: services use it until there is something better.
      checked.is_in_doubt = true;
      continue;
    }
    checked.was_damaged = true;
  }
  return checked;
}

Result<void> TreeExport::export_commit(Repository& repository, const ObjectId& commit) {
  auto info = repository.commit_info(commit);
  if (!info) return std::unexpected(info.error());
  const ObjectId& tree = info->tree;
  ObjectReader& objects = repository.objects();
  if (auto made = make_directories(trees_, folder_mode); !made) return made;
  if (::chmod(trees_.c_str(), folder_mode) != 0)
    return fail_with_errno("cannot open '" + trees_ + "' to everybody");
  remove_discarded();
  auto is_trusted = establish_trust(objects);
  if (!is_trusted) return std::unexpected(is_trusted.error());

  auto in_use = tree_in_use();
  auto base = in_use && *is_trusted ? folder_of(*in_use) : std::nullopt;
  if (!folder_of(tree)) {
    auto changed = base ? changed_data(objects, *base, tree) : std::unexpected(Error{});
    auto done =
        changed && changed->empty() ? point(path_of(tree), base->hex()) : build_in_place(objects, tree, base);
    if (!done) return done;
  }
  if (in_use == tree) return {};
  if (auto pointed = point(link_, "trees/" + tree.hex()); !pointed) return pointed;
  prune(tree, in_use);
  return {};
}

void TreeExport::prune(const ObjectId& current, const std::optional<ObjectId>& previous) {
  std::set<ObjectId> kept = {current};
  if (previous) kept.insert(*previous);
  for (const ObjectId& tree : std::vector<ObjectId>(kept.begin(), kept.end())) {
    if (auto folder = folder_of(tree)) kept.insert(*folder);
  }
  auto trees = exported_trees();
  if (!trees) return;  // they are pruned by the next export
  for (const ObjectId& tree : *trees) {
    if (!kept.contains(tree)) discard(tree);
  }
}

Result<bool> TreeExport::restore(Repository& repository, const ObjectId& commit) {
  auto info = repository.commit_info(commit);
  if (!info) return std::unexpected(info.error());
  bool is_elsewhere = tree_in_use() != info->tree || !folder_of(info->tree);
  if (auto exported = export_commit(repository, commit); !exported) return std::unexpected(exported.error());
  auto checked = check_all(repository.objects());
  if (!checked) return std::unexpected(checked.error());
  return checked->was_damaged || is_elsewhere;
}

}  // namespace gitproc
