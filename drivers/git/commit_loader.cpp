#include "drivers/git/commit_loader.h"

#include <algorithm>
#include <utility>

#include "drivers/git/directory_files.h"
#include "drivers/git/tree.h"
#include "drivers/git/tree_diff.h"

namespace gitproc {
namespace {

class FilesOfCommit : public CommitFiles {
 public:
  FilesOfCommit(ObjectReader& objects, const ObjectId& tree) : objects_(objects), tree_(tree) {}

  Result<std::string> read(const ObjectId& blob, std::size_t limit_bytes) override {
    auto object = objects_.read(blob, ObjectKind::blob, limit_bytes);
    if (!object) return std::unexpected(object.error());
    return std::string(object->bytes());
  }

  Result<std::optional<TreeEntry>> entry(std::string_view path) override {
    return entry_at(objects_, tree_, path);
  }

 private:
  ObjectReader& objects_;
  ObjectId tree_;
};

// Whether `path` is `folder` or lies below it.
bool is_within(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// Everything of a commit that is the node's, into a Catalog that holds nothing yet.
std::expected<CatalogUpdate, CatalogFailure> fill(Catalog& catalog, const NodeIdentity& node,
                                                  ObjectReader& objects, const ObjectId& tree) {
  std::vector<FileChange> changes;
  auto diffed = diff_trees(
      objects, std::nullopt, tree, [&](std::string_view folder) { return may_hold_units(folder, node); },
      [&](FileChange change) {
        if (!is_data(change.path)) changes.push_back(std::move(change));
      });
  if (!diffed) return std::unexpected(CatalogFailure{{}, diffed.error()});
  FilesOfCommit files(objects, tree);
  return catalog.update(changes, files);
}

std::vector<UnitChange> differences(const UnitMap& before, const UnitMap& after) {
  std::vector<UnitChange> changes;
  for (const auto& [name, unit] : before) {
    if (!after.contains(name)) changes.push_back({name, nullptr});
  }
  for (const auto& [name, unit] : after) {
    auto old = before.find(name);
    if (old == before.end() || *old->second != *unit) changes.push_back({name, unit});
  }
  std::ranges::sort(changes, {}, &UnitChange::name);
  return changes;
}

LoadOutcome refused(CommitInfo info, CatalogFailure failure) {
  if (failure.unreadable) return CommitUnreadable{info.id, std::move(failure.unreadable->message)};
  return CommitRejected{std::move(info), std::move(failure.errors)};
}

}  // namespace

CommitLoader::CommitLoader(Repository repository, Catalog::Options options)
    : repository_(std::move(repository)), options_(std::move(options)), catalog_(options_) {}

bool CommitLoader::enters(std::string_view folder) const {
  if (may_hold_units(folder, options_.node)) return true;
  return std::ranges::any_of(
      watched_, [&](const std::string& path) { return is_within(path, folder) || is_within(folder, path); });
}

bool CommitLoader::is_wanted(std::string_view path) const {
  return !is_data(path) ||
         std::ranges::any_of(watched_, [&](const std::string& watched) { return is_within(path, watched); });
}

LoadOutcome CommitLoader::load(const ObjectId& commit) {
  auto info = repository_.commit_info(commit);
  if (!info) return CommitUnreadable{commit, info.error().message};
  ObjectReader& objects = repository_.objects();
  std::vector<FileChange> changes;
  auto diffed = diff_trees(
      objects, tree_, info->tree, [this](std::string_view folder) { return enters(folder); },
      [&](FileChange change) {
        if (is_wanted(change.path)) changes.push_back(std::move(change));
      });
  if (!diffed && tree_) return load_anew(std::move(*info));
  if (!diffed) return CommitUnreadable{commit, diffed.error().message};
  FilesOfCommit files(objects, info->tree);
  auto update = catalog_.update(changes, files);
  if (!update) return refused(std::move(*info), std::move(update.error()));
  return loaded(std::move(*info), std::move(update->changes), std::move(update->warnings));
}

LoadOutcome CommitLoader::load_anew(CommitInfo info) {
  Catalog anew(options_);
  auto update = fill(anew, options_.node, repository_.objects(), info.tree);
  if (!update) return refused(std::move(info), std::move(update.error()));
  std::vector<UnitChange> changes = differences(catalog_.units(), anew.units());
  catalog_ = std::move(anew);
  return loaded(std::move(info), std::move(changes), std::move(update->warnings));
}

LoadOutcome CommitLoader::loaded(CommitInfo info, std::vector<UnitChange> changes, Diagnostics warnings) {
  tree_ = info.tree;
  note_watched_paths(changes);
  return CommitLoaded{std::move(info), std::move(changes), std::move(warnings)};
}

void CommitLoader::note_watched_paths(const std::vector<UnitChange>& changes) {
  bool is_changed = false;
  for (const UnitChange& change : changes) {
    is_changed |= watched_by_unit_.erase(change.name) != 0;
    if (!change.unit || change.unit->watched->empty()) continue;
    std::vector<std::string>& paths = watched_by_unit_[change.name];
    for (const WatchedPath& watched : *change.unit->watched)
      paths.push_back(watched.path);
    is_changed = true;
  }
  if (!is_changed) return;
  watched_.clear();
  for (const auto& [unit, paths] : watched_by_unit_)
    watched_.insert(watched_.end(), paths.begin(), paths.end());
  std::ranges::sort(watched_);
  watched_.erase(std::ranges::unique(watched_).begin(), watched_.end());
}

std::expected<Snapshot, CatalogFailure> load_snapshot(Repository& repository, const ObjectId& commit,
                                                      Catalog::Options options) {
  auto info = repository.commit_info(commit);
  if (!info) return std::unexpected(CatalogFailure{{}, info.error()});
  const NodeIdentity node = options.node;
  Catalog catalog(std::move(options));
  auto update = fill(catalog, node, repository.objects(), info->tree);
  if (!update) return std::unexpected(std::move(update.error()));
  return Snapshot{std::move(*info), catalog.units(), std::move(update->warnings)};
}

std::expected<Snapshot, CatalogFailure> load_directory(const std::string& path, Catalog::Options options) {
  auto files = DirectoryFiles::open(path);
  if (!files) return std::unexpected(CatalogFailure{{}, files.error()});
  auto changes = files->list([&](std::string_view folder) { return may_hold_units(folder, options.node); },
                             [](std::string_view file) { return !is_data(file); });
  if (!changes) return std::unexpected(CatalogFailure{{}, changes.error()});
  Catalog catalog(std::move(options));
  auto update = catalog.update(*changes, *files);
  if (!update) return std::unexpected(std::move(update.error()));
  return Snapshot{CommitInfo{}, catalog.units(), std::move(update->warnings)};
}

}  // namespace gitproc
