// gitproc verify: an offline check of a folder of units, of one unit file, or of a commit. Without --node all
// nodes of the repository are checked: one without labels, one for each folder of nodes/ and of groups/; and what
// none of them would run (NodeSelector=, templates) is parsed by itself.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "agent/protocol/json.h"
#include "cli/commands.h"
#include "cli/machine_checks.h"
#include "cli/offline.h"
#include "cli/text.h"
#include "drivers/base/system_call.h"
#include "drivers/git/commit_loader.h"
#include "drivers/git/git_library.h"
#include "drivers/git/tree_diff.h"
#include "reconcile/base/strings.h"
#include "reconcile/unit/loader.h"
#include "reconcile/unit/names.h"

namespace gitproc {
namespace {

// More folders of nodes/ and groups/ than these are not checked one by one.
constexpr std::size_t max_checked_nodes = 2'000;

struct Options {
  std::string target;
  std::string repo;
  NodeOptions node;
};

// The files to verify, wherever they are.
struct Target {
  std::vector<std::string> node_folders;   // below nodes/
  std::vector<std::string> group_folders;  // below groups/
  std::vector<std::string> unit_files;     // *.service at the top
  SourceReader read;
  std::function<std::expected<Snapshot, CatalogFailure>(Catalog::Options)> load;
};

std::vector<NodeIdentity> identities_of(const Target& target, const NodeOptions& options) {
  if (options.is_given()) return {{.name = options.name, .labels = options.labels}};
  std::vector<NodeIdentity> identities = {{}};
  for (const std::string& name : target.node_folders)
    identities.push_back({.name = name, .labels = {}});
  for (const std::string& folder : target.group_folders) {
    std::size_t at = folder.find('=');
    if (at == std::string::npos) continue;
    identities.push_back({.name = {}, .labels = {{folder.substr(0, at), folder.substr(at + 1)}}});
  }
  if (identities.size() > max_checked_nodes) identities.resize(max_checked_nodes);
  return identities;
}

// One unit file by itself; a template as if it had an instance.
UnitLoad load_alone(const std::string& path, const std::string& text) {
  if (text.empty()) return {};  // masked, as by a link to /dev/null
  std::string name(without_service_suffix(path.substr(path.rfind('/') + 1)));
  if (is_template(name)) name += "instance";
  return load_unit(name, {SourceText{.path = path, .blob = {}, .text = text}},
                   catalog_options({}).specifiers);
}

using DiagnosticSet = std::set<Diagnostic>;

Result<DiagnosticSet> verify(const Target& target, const NodeOptions& options) {
  DiagnosticSet found;
  std::set<std::string> seen_files;
  auto check = [&](const Unit& unit) {
    for (const UnitSource& source : unit.sources)
      seen_files.insert(source.path);
    for (Diagnostic& warning : check_against_machine(unit, target.read, ::geteuid() == 0))
      found.insert(std::move(warning));
  };
  for (const NodeIdentity& node : identities_of(target, options)) {
    auto snapshot = target.load(catalog_options(node));
    if (!snapshot) {
      if (snapshot.error().unreadable) return std::unexpected(*snapshot.error().unreadable);
      found.insert(snapshot.error().errors.begin(), snapshot.error().errors.end());
      continue;
    }
    found.insert(snapshot->warnings.begin(), snapshot->warnings.end());
    for (const auto& [name, unit] : snapshot->units)
      check(*unit);
  }
  if (options.is_given()) return found;
  for (const std::string& path : target.unit_files) {
    if (seen_files.contains(path)) continue;
    UnitLoad alone = load_alone(path, target.read(path));
    found.insert(alone.diagnostics.begin(), alone.diagnostics.end());
    if (alone.unit) check(*alone.unit);
  }
  return found;
}

std::string read_text(const std::string& path) {
  Result<std::string> text = read_file(path, max_unit_file_bytes);
  return text ? *text : "";
}

Target directory_target(const std::string& directory) {
  Target target;
  auto folders_of = [&](const char* parent) {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator it(directory + "/" + parent, error), end; !error && it != end;
         it.increment(error)) {
      if (it->is_directory(error)) names.push_back(it->path().filename());
    }
    std::ranges::sort(names);
    return names;
  };
  target.node_folders = folders_of("nodes");
  target.group_folders = folders_of("groups");
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    // What a link names is another file's business, or that of a file outside, which is none of ours to show.
    bool is_file = it->is_regular_file(error) && !it->is_symlink(error);
    if (it->path().extension() == ".service" && is_file) target.unit_files.push_back(it->path().filename());
  }
  target.read = [directory](const std::string& path) { return read_text(directory + "/" + path); };
  target.load = [directory](Catalog::Options options) {
    // Only to have begun it in this way; where it cannot be loaded, loading says so.
    Result<GitLibrary> git = GitLibrary::for_local_use();
    return load_directory(directory, std::move(options));
  };
  return target;
}

// `repository` must outlive the target.
Result<Target> commit_target(Repository& repository, const ObjectId& commit) {
  Result<CommitInfo> info = repository.commit_info(commit);
  if (!info) return std::unexpected(info.error());
  Target target;
  auto blobs = std::make_shared<std::map<std::string, ObjectId>>();
  auto enters = [&target](std::string_view folder) {
    std::size_t slash = folder.find('/');
    if (slash == std::string_view::npos)
      return folder == "nodes" || folder == "groups" || folder.ends_with(".service.d");
    std::string_view top = folder.substr(0, slash);
    if (folder.find('/', slash + 1) == std::string_view::npos && top == "nodes")
      target.node_folders.emplace_back(folder.substr(slash + 1));
    if (folder.find('/', slash + 1) == std::string_view::npos && top == "groups")
      target.group_folders.emplace_back(folder.substr(slash + 1));
    return top == "nodes" || top == "groups";
  };
  auto take = [&](const FileChange& change) {
    bool is_file = change.after &&
                   (change.after->kind == EntryKind::file || change.after->kind == EntryKind::executable);
    if (!is_file) return;
    (*blobs)[change.path] = change.after->id;
    if (change.path.find('/') == std::string::npos && change.path.ends_with(".service"))
      target.unit_files.push_back(change.path);
  };
  Result<void> listed = diff_trees(repository.objects(), std::nullopt, info->tree, enters, take);
  if (!listed) return std::unexpected(listed.error());
  target.read = [&repository, blobs](const std::string& path) -> std::string {
    auto found = blobs->find(path);
    if (found == blobs->end()) return "";
    Result<RawObject> blob = repository.objects().read(found->second, ObjectKind::blob, max_unit_file_bytes);
    return blob ? std::string(blob->bytes()) : "";
  };
  target.load = [&repository, commit](Catalog::Options options) {
    return load_snapshot(repository, commit, std::move(options));
  };
  return target;
}

Result<DiagnosticSet> verify_file(const std::string& path) {
  if (!path.ends_with(".service"))
    return fail("'" + printable(path) + "' is no unit file: its name must end in .service");
  Result<std::string> text = read_file(path, max_unit_file_bytes);
  if (!text) return std::unexpected(text.error());
  UnitLoad alone = load_alone(path, *text);
  DiagnosticSet found(alone.diagnostics.begin(), alone.diagnostics.end());
  if (alone.unit) {
    Diagnostics warnings = check_against_machine(*alone.unit, read_text, ::geteuid() == 0);
    found.insert(warnings.begin(), warnings.end());
  }
  return found;
}

Result<DiagnosticSet> verify_commit(const std::string& revision, const Options& options) {
  Result<Repository> repository = open_repository(options.repo);
  if (!repository) return std::unexpected(repository.error());
  Result<std::string> branch = repository->head_branch();
  if (!branch) return std::unexpected(branch.error());
  Result<ObjectId> commit = repository->resolve(revision, *branch);
  if (!commit) return std::unexpected(commit.error());
  Result<Target> target = commit_target(*repository, *commit);
  if (!target) return std::unexpected(target.error());
  return verify(*target, options.node);
}

// A path where there is one, else a revision; with --repo a revision in any case.
Result<DiagnosticSet> verify_target(const Options& options) {
  std::string target = options.target;
  struct stat status{};
  if (!options.repo.empty()) return verify_commit(target.empty() ? "HEAD" : target, options);
  if (target.empty()) target = ".";
  if (::stat(target.c_str(), &status) != 0) return verify_commit(target, options);
  if (!S_ISDIR(status.st_mode)) return verify_file(target);

  Result<DiagnosticSet> found = verify(directory_target(target), options.node);
  if (!found || options.target.empty() || target == ".") return found;
  // As compilers do: a path that an editor finds from where the command was run.
  DiagnosticSet placed;
  for (Diagnostic diagnostic : *found) {
    diagnostic.file = (std::filesystem::path(target) / diagnostic.file).lexically_normal();
    placed.insert(std::move(diagnostic));
  }
  return placed;
}

void print(const DiagnosticSet& diagnostics, Session& session) {
  if (session.prints_json) {
    session.print_json({{"diagnostics", diagnostics_json({diagnostics.begin(), diagnostics.end()})}});
    return;
  }
  for (const Diagnostic& diagnostic : diagnostics)
    session.out.line(for_terminal(to_string(diagnostic)));
}

ExitCode run(Session& session, const Options& options) {
  Result<DiagnosticSet> found = verify_target(options);
  if (!found) {
    session.report(found.error());
    return ExitCode::failed;
  }
  print(*found, session);
  return has_errors({found->begin(), found->end()}) ? ExitCode::failed : ExitCode::done;
}

}  // namespace

void add_verify(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("verify", "Check units without running them; exit code 1: there are errors");
  command
      ->add_option("target", options->target,
                   "A folder, a unit file or a commit (default: the working directory)")
      ->type_name("PATH|REVISION");
  command->add_option("--repo", options->repo, "Check a commit (default: HEAD) of this repository")
      ->type_name("DIR");
  add_node_options(*command, options->node);
  command->add_flag("--json", session.prints_json, "Print the data as JSON");
  command->callback([&session, options] { session.exit_code = run(session, *options); });
}

}  // namespace gitproc
