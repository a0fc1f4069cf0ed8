// gitproc agent-reload: let the agent read its configuration again.
#include <CLI/App.hpp>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/text.h"

namespace gitproc {
namespace {

ExitCode run(Session& session) {
  Result<Json> answer = session.ask({.command = RequestCommand::agent_reload});
  if (!answer) return session.report_failure(answer.error());
  if (session.prints_json) {
    session.print_json(*answer);
    return ExitCode::done;
  }
  auto print_keys = [&](const char* key, const char* text) {
    for (const Json& name : items_of(*answer, key)) {
      if (name.is_string()) session.out.line(for_terminal(name.get<std::string>()) + text);
    }
  };
  if (items_of(*answer, "changed").empty() && items_of(*answer, "needs_restart").empty())
    session.out.line("nothing changed");
  print_keys("changed", ": changed");
  print_keys("needs_restart", ": takes effect when the agent is restarted");
  return ExitCode::done;
}

}  // namespace

void add_agent_reload(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("agent-reload", "Let the agent read its configuration again");
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session] { session.exit_code = run(session); });
}

}  // namespace gitproc
