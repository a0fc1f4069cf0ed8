// gitproc list: a line per service.
#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/service_text.h"
#include "cli/text.h"

namespace gitproc {
namespace {

std::vector<Cell> row_of(const Json& service, const Session& session) {
  auto since = time_of(service, "since");
  auto pid = integer_of(service, "pid");
  auto restarts = integer_of(service, "restarts").value_or(0);
  std::string about = text_of(service, is_active(service) ? "description" : "reason");
  return {{text_of(service, "name"), Style::bold},
          {state_text(service), style_of_service(service)},
          {pid ? std::to_string(*pid) : "-"},
          {since ? session.shown_time(*since) : "-"},
          {std::to_string(restarts), restarts > 0 ? Style::yellow : Style::plain},
          {about.empty() ? text_of(service, "description") : about}};
}

ExitCode run(Session& session, bool prints_names) {
  Result<Json> answer = session.ask({.command = RequestCommand::list});
  if (!answer) return session.report_failure(answer.error());
  if (session.prints_json) {
    session.print_json(*answer);
    return ExitCode::done;
  }
  std::vector<Json> services = items_of(*answer, "services");
  if (prints_names) {
    for (const Json& service : services)
      session.out.line(for_terminal(text_of(service, "name")));
    return ExitCode::done;
  }
  if (services.empty() && session.out.is_terminal()) {
    session.out.line("no services");
    return ExitCode::done;
  }
  Table table({"NAME", "STATE", "PID", "SINCE", "RESTARTS", "DESCRIPTION"});
  for (const Json& service : services)
    table.add(row_of(service, session));
  table.print(session.out);
  return ExitCode::done;
}

}  // namespace

void add_list(CLI::App& app, Session& session) {
  auto prints_names = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("list", "List the services of this node");
  command->add_flag("--names", *prints_names, "Print the names only");
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, prints_names] { session.exit_code = run(session, *prints_names); });
}

}  // namespace gitproc
