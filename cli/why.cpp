// gitproc why: the chain of causes of a service's present state.
#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/text.h"

namespace gitproc {
namespace {

std::string cause_text(const Json& cause, const Session& session) {
  std::string text = for_terminal(text_of(cause, "message"));
  if (std::string commit = text_of(cause, "commit"); !commit.empty()) {
    text += "; commit " + for_terminal(short_commit(commit));
    if (std::string subject = text_of(cause, "subject");
        !subject.empty() && subject != text_of(cause, "message"))
      text += " \"" + for_terminal(subject) + "\"";
    if (std::string author = text_of(cause, "author"); !author.empty()) text += " by " + for_terminal(author);
  }
  if (std::string file = text_of(cause, "file"); !file.empty()) {
    auto line = integer_of(cause, "line").value_or(0);
    text += ", " + for_terminal(file) + (line > 0 ? ":" + std::to_string(line) : "");
    if (std::string changed = text_of(cause, "text"); !changed.empty()) text += ": " + for_terminal(changed);
  }
  if (auto at = time_of(cause, "at"))
    text += session.out.paint(" (" + session.shown_time(*at) + ")", Style::faint);
  return text;
}

ExitCode run(Session& session, const std::string& service) {
  // Finding who wrote a line walks through the history: it may take longer than a plain question.
  constexpr std::chrono::milliseconds patience = std::chrono::minutes(2);
  Result<Json> answer = session.ask({.command = RequestCommand::why, .services = {service}}, patience);
  if (!answer) return session.report(answer.error());
  if (session.prints_json) {
    session.print_json(*answer);
    return ExitCode::done;
  }
  std::string reason = text_of(*answer, "reason");
  session.out.line(session.out.paint(for_terminal(text_of(*answer, "service")), Style::bold) + " is " +
                   for_terminal(text_of(*answer, "state")) +
                   (reason.empty() ? "" : ": " + for_terminal(reason)));
  for (const Json& cause : items_of(*answer, "causes"))
    session.out.line("  because " + cause_text(cause, session));
  return ExitCode::done;
}

}  // namespace

void add_why(CLI::App& app, Session& session) {
  auto service = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("why", "Explain why a service is in its state");
  command->add_option("service", *service, "A name, with or without .service")
      ->type_name("SERVICE")
      ->required();
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, service] { session.exit_code = run(session, *service); });
}

}  // namespace gitproc
