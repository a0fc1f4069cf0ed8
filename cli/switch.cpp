// gitproc switch: follow another branch.
#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "cli/until_option.h"

namespace gitproc {
namespace {

ExitCode run(Session& session, const RequestArguments& args) {
  Result<Json> answer = session.ask({.command = RequestCommand::switch_branch, .args = args}, std::nullopt);
  if (!answer) return session.report_failure(answer.error());
  if (session.prints_json) {
    session.print_json(*answer);
    return ExitCode::done;
  }
  std::string text = "following " + text_of(*answer, "branch");
  if (std::string commit = text_of(*answer, "commit"); !commit.empty()) text += " at " + short_commit(commit);
  if (flag_of(*answer, "configured")) text += ", the configured branch";
  session.out.line(for_terminal(text));
  return ExitCode::done;
}

}  // namespace

void add_switch(CLI::App& app, Session& session) {
  auto args = std::make_shared<RequestArguments>();
  CLI::App* command = app.add_subcommand("switch", "Follow another branch from now on");
  command->add_option("branch", args->branch, "Default: the configured branch again")->type_name("BRANCH");
  add_until_option(*command, session, args->until);
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, args] { session.exit_code = run(session, *args); });
}

}  // namespace gitproc
