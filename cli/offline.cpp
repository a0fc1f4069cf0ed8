#include "cli/offline.h"

#include <unistd.h>

#include <CLI/App.hpp>
#include <array>
#include <filesystem>

#include "agent/protocol/paths.h"
#include "drivers/git/git_library.h"

namespace gitproc {

void add_node_options(CLI::App& command, NodeOptions& options) {
  command.add_option("--node", options.name, "For the node of this name")->type_name("NAME");
  auto add_label = [&options](const std::string& text) {
    std::size_t at = text.find('=');
    if (at == 0 || at == std::string::npos)
      throw CLI::ValidationError("--label", "'" + text + "' is not KEY=VALUE");
    options.labels[text.substr(0, at)] = text.substr(at + 1);
  };
  command
      .add_option_function<std::vector<std::string>>(
          "--label",
          [add_label](const std::vector<std::string>& labels) {
            for (const std::string& label : labels)
              add_label(label);
          },
          "For a node with this label; may be given often")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

Catalog::Options catalog_options(const NodeIdentity& node) {
  SpecifierContext machine;
  machine.host_name = node.name;
  machine.short_host_name = node.name.substr(0, node.name.find('.'));
  machine.user_name = machine.group_name = "root";
  machine.user_id = machine.group_id = "0";
  machine.home = "/root";
  machine.shell = "/bin/sh";
  machine.tree = default_paths({.is_root = true}).state_dir + "/tree";
  return {.node = node, .specifiers = machine, .skips_invalid = false};
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

Result<Repository> open_repository(const std::string& path) {
  // It lives on in the repository.
  Result<GitLibrary> git = GitLibrary::for_local_use();
  if (!git) return std::unexpected(git.error());
  if (!path.empty()) return Repository::open(path);
  std::error_code unreadable;
  std::filesystem::path folder = std::filesystem::current_path(unreadable);
  for (; !folder.empty(); folder = folder.parent_path()) {
    bool has_repository = std::filesystem::exists(folder / ".git", unreadable) ||
                          (std::filesystem::exists(folder / "HEAD", unreadable) &&
                           std::filesystem::is_directory(folder / "objects", unreadable));
    if (has_repository) return Repository::open(folder.string());
    if (folder == folder.root_path()) break;
  }
  return Repository::open(default_paths(path_environment()).repo);
}

}  // namespace gitproc
