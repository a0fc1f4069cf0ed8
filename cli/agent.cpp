// gitproc agent: the daemon itself. Only the arguments are gathered here.
#include <CLI/App.hpp>
#include <cstdlib>
#include <memory>

#include "agent/agent.h"
#include "cli/commands.h"

namespace gitproc {
namespace {

void add_text(CLI::App& command, const char* name, std::optional<std::string>& value, const char* type,
              const char* help) {
  command.add_option(name, value, help)->type_name(type);
}

void add_list_of(CLI::App& command, const char* name, std::vector<std::string>& values, const char* type,
                 const char* help) {
  command.add_option(name, values, help)->type_name(type)->allow_extra_args(false);
}

}  // namespace

void add_agent(CLI::App& app, Session& session) {
  auto arguments = std::make_shared<AgentArguments>();
  CLI::App* command = app.add_subcommand("agent", "Run the agent, in the foreground");
  add_text(*command, "--config", arguments->config, "FILE",
           "Configuration file; the flags below override it");
  add_text(*command, "--repo", arguments->repo, "DIR", "Repository of units");
  add_text(*command, "--branch", arguments->branch, "NAME", "Branch to follow");
  add_text(*command, "--remote", arguments->remote, "URL", "Remote to fetch the branch from");
  add_text(*command, "--state-dir", arguments->state_dir, "DIR", "Durable state and exported trees");
  add_text(*command, "--log-dir", arguments->log_dir, "DIR", "Logs of the agent and its services");
  add_text(*command, "--run-dir", arguments->run_dir, "DIR", "What need not outlive a boot");
  add_text(*command, "--socket", arguments->socket, "PATH", "Control socket (or $GITPROC_SOCKET)");
  add_text(*command, "--http", arguments->http, "ADDR:PORT", "Serve metrics, health and the webhook there");
  add_text(*command, "--node", arguments->node, "NAME", "This node's name, instead of the host name");
  add_list_of(*command, "--label", arguments->labels, "KEY=VALUE",
              "A label of this node; may be given often");
  add_list_of(*command, "--set", arguments->sets, "KEY=VALUE",
              "A configuration value by its dotted key; may be given often");
  command->callback([&session, arguments] {
    if (!arguments->socket) {
      std::string path = session.socket;
      const char* variable = std::getenv("GITPROC_SOCKET");
      if (path.empty() && variable != nullptr) path = variable;
      if (!path.empty()) arguments->socket = path;
    }
    session.exit_code = static_cast<ExitCode>(session.run_agent(*arguments));
  });
}

}  // namespace gitproc
