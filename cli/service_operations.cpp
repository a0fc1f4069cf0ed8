// gitproc start, stop, restart, reload: what an operator does to services by hand.
#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/text.h"

namespace gitproc {
namespace {

void print_outcome(const Json& outcome, Session& session) {
  std::string text = text_of(outcome, "service") + ": " + text_of(outcome, "state");
  if (auto pid = integer_of(outcome, "pid")) text += ", PID " + std::to_string(*pid);
  std::string message = text_of(outcome, "message");
  if (!message.empty() && message != text_of(outcome, "state")) text += ", " + message;
  session.out.line(for_terminal(text));
  session.out.stream().flush();
}

// All are asked for at once, so that the agent can order them by their dependencies; the answers come in order.
ExitCode run(Session& session, RequestCommand verb, const std::vector<std::string>& services) {
  Result<Client> client = session.connect();
  if (!client) return session.report(client.error());
  Progress progress(session);
  ExitCode exit_code = ExitCode::done;
  Json outcomes = Json::array();
  std::size_t sent = 0;
  for (std::size_t answered = 0; answered < services.size(); ++answered) {
    constexpr std::size_t most_ahead = 32;
    for (; sent < services.size() && sent < answered + most_ahead; ++sent) {
      Result<void> asked = client->send({.command = verb, .services = {services[sent]}});
      if (!asked) return session.report(asked.error());
    }
    Result<Json> outcome = progress.receive(*client);
    if (!outcome) {
      ExitCode code = session.report(outcome.error());
      if (exit_code == ExitCode::done) exit_code = code;
      if (client->is_closed()) break;
    } else if (session.prints_json) {
      outcomes.push_back(std::move(*outcome));
    } else {
      print_outcome(*outcome, session);
    }
  }
  if (session.prints_json && !outcomes.empty())
    session.print_json(services.size() == 1 ? outcomes.front() : outcomes);
  return exit_code;
}

void add(CLI::App& app, Session& session, const char* name, RequestCommand verb, const char* help) {
  auto services = std::make_shared<std::vector<std::string>>();
  CLI::App* command = app.add_subcommand(name, help);
  command->add_option("service", *services, "Names, with or without .service")
      ->type_name("SERVICE")
      ->required();
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, services, verb] { session.exit_code = run(session, verb, *services); });
}

}  // namespace

void add_service_operations(CLI::App& app, Session& session) {
  add(app, session, "start", RequestCommand::start, "Start services, and lift an operator's hold");
  add(app, session, "stop", RequestCommand::stop,
      "Stop services and hold them until they are started by hand");
  add(app, session, "restart", RequestCommand::restart, "Stop services, where they run, and start them");
  add(app, session, "reload", RequestCommand::reload,
      "Let services re-read their configuration (ExecReload=)");
}

}  // namespace gitproc
