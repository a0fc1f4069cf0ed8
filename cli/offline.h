// What the commands that need no agent share: for which node they look, what its specifiers stand for, and which
// repository is meant.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"
#include "drivers/git/repository.h"
#include "reconcile/desired/catalog.h"

namespace gitproc {

// --node NAME, --label KEY=VALUE...
struct NodeOptions {
  std::string name;
  std::map<std::string, std::string, std::less<>> labels;

  bool is_given() const { return !name.empty() || !labels.empty(); }
};
void add_node_options(CLI::App& command, NodeOptions& options);

// Loads for a node whatever the machine is that this runs on: what specifiers expand to follows from the node's
// name alone, so that equal inputs give equal results everywhere.
Catalog::Options catalog_options(const NodeIdentity& node);

// This machine's name, as the agent would take it.
std::string host_name();

// `path` where it is given; else the repository around the working directory; else the agent's default place.
Result<Repository> open_repository(const std::string& path);

}  // namespace gitproc
