// gitproc nodes: which node runs what, by a commit alone. The nodes are those with a folder in nodes/ and those of
// nodes.json, where there is one: an object of node names, each with an object of labels. For CI: exit code 1 when a
// node could not apply the commit.
#include <CLI/App.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/protocol/json.h"
#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/offline.h"
#include "cli/text.h"
#include "drivers/git/commit_loader.h"
#include "drivers/git/tree_diff.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::string_view inventory_file = "nodes.json";
constexpr std::size_t max_inventory_bytes = 4u << 20;
constexpr std::size_t max_nodes = 10'000;
constexpr std::size_t max_node_name_bytes = 255;
// Errors of one node that are printed.
constexpr std::size_t shown_errors = 20;

struct Options {
  std::string repo;
  std::string revision = "HEAD";
};

using Inventory = std::map<std::string, NodeIdentity>;

bool is_node_name(std::string_view name) {
  return !name.empty() && name.size() <= max_node_name_bytes && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && is_utf8(name);
}

std::unexpected<Error> bad_inventory(std::string what) {
  return fail("cannot use '" + std::string(inventory_file) + "': " + std::move(what), ErrorCode::invalid);
}

// {"web-1": {"role": "web"}, ...}
Result<void> add_inventory(std::string_view text, Inventory& nodes) {
  Result<Json> json = parse_json(text);
  if (!json) return bad_inventory(json.error().message);
  if (!json->is_object()) return bad_inventory("it is not an object of nodes");
  for (const auto& [name, labels] : json->items()) {
    std::string shown = "'" + printable(name) + "'";
    if (!is_node_name(name)) return bad_inventory(shown + " is no name of a node");
    if (!labels.is_object()) return bad_inventory("the labels of " + shown + " are not an object");
    NodeIdentity& node = nodes[name];
    node.name = name;
    for (const auto& [key, value] : labels.items()) {
      if (!value.is_string())
        return bad_inventory("label '" + printable(key) + "' of " + shown + " is not text");
      node.labels.insert_or_assign(key, value.get<std::string>());
    }
  }
  return {};
}

// The folders in nodes/.
Result<void> add_folders(Repository& repository, const ObjectId& tree, Inventory& nodes) {
  Result<std::optional<TreeEntry>> folder = entry_at(repository.objects(), tree, "nodes");
  if (!folder) return std::unexpected(folder.error());
  if (!*folder || (*folder)->kind != EntryKind::folder) return {};
  Result<RawObject> object =
      repository.objects().read((*folder)->id, ObjectKind::tree, max_tree_object_bytes);
  if (!object) return std::unexpected(object.error());
  Result<std::vector<TreeRecord>> records = parse_tree(object->bytes());
  if (!records) return std::unexpected(records.error());
  for (const TreeRecord& record : *records) {
    if (record.kind == EntryKind::folder && is_node_name(record.name))
      nodes[std::string(record.name)].name = record.name;
  }
  return {};
}

Result<Inventory> nodes_of(Repository& repository, const ObjectId& tree) {
  Inventory nodes;
  if (Result<void> added = add_folders(repository, tree, nodes); !added)
    return std::unexpected(added.error());
  Result<std::optional<TreeEntry>> file = entry_at(repository.objects(), tree, inventory_file);
  if (!file) return std::unexpected(file.error());
  if (*file && (*file)->kind != EntryKind::folder) {
    Result<RawObject> blob = repository.objects().read((*file)->id, ObjectKind::blob, max_inventory_bytes);
    if (!blob) return std::unexpected(blob.error());
    if (Result<void> added = add_inventory(blob->bytes(), nodes); !added)
      return std::unexpected(added.error());
  }
  if (nodes.size() > max_nodes)
    return fail("there are more than " + std::to_string(max_nodes) + " nodes", ErrorCode::invalid);
  return nodes;
}

// What one node runs, or why it cannot apply the commit.
Result<Json> view_of(Repository& repository, const ObjectId& commit, const NodeIdentity& node) {
  Json services = Json::array(), errors = Json::array(), labels = Json::object();
  for (const auto& [key, value] : node.labels)
    labels[key] = value;
  auto snapshot = load_snapshot(repository, commit, catalog_options(node));
  if (snapshot) {
    for (const auto& [name, unit] : snapshot->units) {
      services.push_back({{"name", name},
                          {"desired", unit->is_desired_running ? "running" : "stopped"},
                          {"file", unit->sources.empty() ? "" : unit->sources.front().path}});
    }
  } else if (snapshot.error().unreadable) {
    return std::unexpected(*snapshot.error().unreadable);
  } else {
    errors = diagnostics_json(snapshot.error().errors);
  }
  return Json{{"name", node.name}, {"labels", labels}, {"services", services}, {"errors", errors}};
}

Result<Json> view(const Options& options) {
  Result<Repository> repository = open_repository(options.repo);
  if (!repository) return std::unexpected(repository.error());
  Result<std::string> branch = repository->head_branch();
  if (!branch) return std::unexpected(branch.error());
  Result<ObjectId> commit = repository->resolve(options.revision, *branch);
  if (!commit) return std::unexpected(commit.error());
  Result<CommitInfo> info = repository->commit_info(*commit);
  if (!info) return std::unexpected(info.error());
  Result<Inventory> nodes = nodes_of(*repository, info->tree);
  if (!nodes) return std::unexpected(nodes.error());
  Json list = Json::array();
  for (const auto& [name, node] : *nodes) {
    Result<Json> shown = view_of(*repository, *commit, node);
    if (!shown) return std::unexpected(shown.error());
    list.push_back(*std::move(shown));
  }
  return Json{{"commit", commit->hex()}, {"nodes", list}};
}

std::string services_text(const Json& node) {
  std::vector<std::string> names;
  for (const Json& service : items_of(node, "services")) {
    bool is_stopped = text_of(service, "desired") == "stopped";
    names.push_back(text_of(service, "name") + (is_stopped ? " (stopped)" : ""));
  }
  return names.empty() ? "-" : join(names, ", ");
}

std::string labels_text(const Json& node) {
  std::vector<std::string> labels;
  for (const auto& [key, value] : node["labels"].items())
    labels.push_back(key + "=" + value.get<std::string>());
  return labels.empty() ? "-" : join(labels, ",");
}

void print(const Json& data, Session& session) {
  Table table({"NODE", "LABELS", "SERVICES"});
  for (const Json& node : items_of(data, "nodes")) {
    bool is_good = items_of(node, "errors").empty();
    table.add(
        {{text_of(node, "name"), Style::bold},
         {labels_text(node)},
         {is_good ? services_text(node) : "cannot apply the commit", is_good ? Style::plain : Style::red}});
  }
  table.print(session.out);
  for (const Json& node : items_of(data, "nodes")) {
    std::vector<Json> errors = items_of(node, "errors");
    for (std::size_t i = 0; i < std::min(errors.size(), shown_errors); ++i) {
      auto line = integer_of(errors[i], "line").value_or(0);
      std::string place = text_of(errors[i], "file") + (line > 0 ? ":" + std::to_string(line) : "");
      session.err.line(
          for_terminal(text_of(node, "name") + ": " + place + ": error: " + text_of(errors[i], "message")));
    }
  }
}

ExitCode run(Session& session, const Options& options) {
  Result<Json> data = view(options);
  if (!data) {
    session.report(data.error());
    return ExitCode::failed;
  }
  std::vector<Json> nodes = items_of(*data, "nodes");
  if (session.prints_json) {
    session.print_json(*data);
  } else if (nodes.empty() && session.out.is_terminal()) {
    session.out.line("no nodes: neither folders in nodes/ nor a " + std::string(inventory_file));
  } else {
    print(*data, session);
  }
  bool is_good =
      std::ranges::all_of(nodes, [](const Json& node) { return items_of(node, "errors").empty(); });
  return is_good ? ExitCode::done : ExitCode::failed;
}

}  // namespace

void add_nodes(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "nodes",
      "Show which node runs what, by the repository alone; exit code 1: a node cannot apply the commit");
  command->add_option("revision", options->revision, "Default: the tip of the branch")->type_name("REVISION");
  command->add_option("--repo", options->repo, "The repository (default: the one around this folder)")
      ->type_name("DIR");
  command->add_flag("--json", session.prints_json, "Print the data as JSON");
  command->callback([&session, options] { session.exit_code = run(session, *options); });
}

}  // namespace gitproc
