#include "cli/command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "cli/commands.h"
#include "cli/text.h"
#include "reconcile/unit/suggestion.h"

namespace gitproc {
namespace {

constexpr int usage_exit = static_cast<int>(ExitCode::usage);

void add_commands(CLI::App& app, Session& session) {
  add_status(app, session);
  add_list(app, session);
  add_service_operations(app, session);
  add_logs(app, session);
  add_why(app, session);
  add_events(app, session);
  add_sync(app, session);
  add_rollback(app, session);
  add_approve(app, session);
  add_switch(app, session);
  add_accept(app, session);
  add_import(app, session);
  add_history(app, session);
  add_plan(app, session);
  add_nodes(app, session);
  add_verify(app, session);
  add_init(app, session);
  add_agent(app, session);
  add_agent_reload(app, session);
  add_version(app, session);
  add_completion(app, session);
}

// The command that was meant, where a word was given in place of one.
std::string unknown_command(const CLI::App& app) {
  if (!app.get_subcommands().empty()) return "";
  const std::vector<std::string> unused = app.remaining();
  auto word = std::ranges::find_if(unused, [](const std::string& a) { return !a.starts_with('-'); });
  if (word == unused.end()) return "";
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  std::string text = "unknown command '" + for_terminal(*word) + "'";
  std::string_view meant = closest(*word, std::vector<std::string_view>(names.begin(), names.end()));
  if (!meant.empty()) text += "; did you mean '" + std::string(meant) + "'?";
  return text;
}

int report_usage(const CLI::App& app, const std::string& message, Session& session) {
  session.err.line("gitproc: " + message);
  std::string command = app.get_subcommands().empty() ? "" : app.get_subcommands().front()->get_name() + " ";
  session.err.line("Try 'gitproc " + command + "--help'.");
  return usage_exit;
}

}  // namespace

int run_command_line(const std::vector<std::string>& arguments, Session& session) {
  CLI::App app("Runs services as a git repository says.", "gitproc");
  app.require_subcommand(1);
  app.add_option("--socket", session.socket, "The agent's control socket (or $GITPROC_SOCKET)")
      ->type_name("PATH");
  app.fallthrough();  // every command takes --socket, behind its name too
  add_commands(app, session);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    if (std::string unknown = unknown_command(app); !unknown.empty())
      return report_usage(app, unknown, session);
    session.out.stream() << app.help();  // of the command, where one was named
  } catch (const CLI::ParseError& error) {
    if (arguments.empty()) {
      session.err.stream() << app.help();
      return usage_exit;
    }
    std::string unknown = unknown_command(app);
    return report_usage(app, unknown.empty() ? for_terminal(error.what()) : unknown, session);
  }
  // A full disk or a closed pipe must not pass for success.
  if (!session.out.stream().flush() && session.exit_code == ExitCode::done) {
    session.err.line("gitproc: cannot write to standard output");
    return static_cast<int>(ExitCode::failed);
  }
  return static_cast<int>(session.exit_code);
}

}  // namespace gitproc
