// gitproc events: state changes, those of late or as they happen.
#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/event_text.h"
#include "cli/human_time.h"
#include "cli/stream.h"

namespace gitproc {
namespace {

struct Options {
  bool follows = false;
  std::optional<unsigned> lines;
  std::vector<std::string> services;
};

void print_event(const Json& event, Session& session) {
  auto at = time_of(event, "at");
  std::string text = at ? session.out.paint(human_time(*at), Style::faint) + "  " : "";
  session.out.line(text + event_text(event));
}

ExitCode run(Session& session, const Options& options) {
  Request request{.command = RequestCommand::events,
                  .services = options.services,
                  .args = {.lines = options.lines, .follow = options.follows}};
  if (options.follows) {
    return follow(session, request, [&session](const Json& event) { print_event(event, session); });
  }
  Result<Json> answer = session.ask(request);
  if (!answer) return session.report(answer.error());
  if (session.prints_json) {
    session.print_json(*answer);
    return ExitCode::done;
  }
  for (const Json& event : items_of(*answer, "events"))
    print_event(event, session);
  return ExitCode::done;
}

}  // namespace

void add_events(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("events", "Show state changes");
  command->add_option("service", options->services, "Only those of these services")->type_name("SERVICE");
  command->add_flag("-f,--follow", options->follows, "Go on showing them as they happen");
  add_lines_option(*command, options->lines);
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, options] { session.exit_code = run(session, *options); });
}

}  // namespace gitproc
