// gitproc history: which commits were applied here, and what came of them.
#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/human_time.h"
#include "cli/stream.h"
#include "cli/text.h"

namespace gitproc {
namespace {

Style style_of_outcome(const std::string& outcome) {
  if (outcome == "healthy") return Style::green;
  if (outcome == "progressing") return Style::yellow;
  if (outcome == "superseded") return Style::faint;
  return Style::red;
}

std::vector<Cell> row_of(const Json& entry, const Session& session) {
  auto at = time_of(entry, "at");
  auto took = number_of(entry, "took");
  std::string outcome = text_of(entry, "outcome");
  std::string message = text_of(entry, "message");
  std::string subject = text_of(entry, "subject");
  auto span = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(took.value_or(0)));
  return {{at ? session.shown_time(*at) : "-"},
          {short_commit(text_of(entry, "commit")), Style::bold},
          {outcome, style_of_outcome(outcome)},
          {text_of(entry, "cause")},
          {took ? human_duration(span) : "-"},
          {text_of(entry, "author")},
          {message.empty() ? subject : subject + " (" + message + ")"}};
}

ExitCode run(Session& session, std::optional<unsigned> lines) {
  Result<Json> answer = session.ask({.command = RequestCommand::history, .args = {.lines = lines}});
  if (!answer) return session.report_failure(answer.error());
  if (session.prints_json) {
    session.print_json(*answer);
    return ExitCode::done;
  }
  Table table({"WHEN", "COMMIT", "OUTCOME", "CAUSE", "TOOK", "AUTHOR", "SUBJECT"});
  for (const Json& entry : items_of(*answer, "history"))
    table.add(row_of(entry, session));
  table.print(session.out);
  return ExitCode::done;
}

}  // namespace

void add_history(CLI::App& app, Session& session) {
  auto lines = std::make_shared<std::optional<unsigned>>();
  CLI::App* command = app.add_subcommand("history", "List the commits applied on this node, newest first");
  add_lines_option(*command, *lines);
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, lines] { session.exit_code = run(session, *lines); });
}

}  // namespace gitproc
