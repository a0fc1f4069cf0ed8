// gitproc logs: what services wrote to their standard output and error.
#include <CLI/App.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/stream.h"
#include "cli/text.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

struct Options {
  std::vector<std::string> services;
  bool follows = false;
  std::optional<unsigned> lines;
};

// A program at the other end of a pipe gets what the service wrote; a terminal nothing that could harm it.
std::string shown_line(const std::string& line, const Output& out) {
  return out.is_terminal() ? for_terminal(line) : line;
}

// Lines of one service as they are; of several, each behind its service's name: "web | line".
class FollowPrinter {
 public:
  FollowPrinter(Session& session, const std::vector<std::string>& services) : out_(session.out) {
    for (const std::string& service : services) {
      width_ = std::max(width_, width_of(without_service_suffix(service)));
    }
    has_prefix_ = services.size() > 1;
  }

  void print(const Json& answer) {
    std::string service = text_of(answer, "service");
    bool is_continued = has_prefix_ && is_within_line_ && service == last_service_;
    if (is_within_line_ && service != last_service_) out_.stream() << '\n';
    if (has_prefix_ && !is_continued)
      out_.stream() << out_.paint(padded(for_terminal(service), width_) + " | ", Style::bold);
    out_.stream() << shown_line(text_of(answer, "line"), out_);
    is_within_line_ = flag_of(answer, "partial");
    last_service_ = service;
    if (!is_within_line_) out_.stream() << '\n';
  }

 private:
  Output& out_;
  std::size_t width_ = 0;
  bool has_prefix_ = false;
  bool is_within_line_ = false;  // the last piece had no line end
  std::string last_service_;
};

// One block per service that was asked for, headed as tail(1) does where there are several.
void print_blocks(const Json& answer, const std::vector<std::string>& services, Session& session) {
  std::map<std::string, std::vector<std::string>> lines;
  for (const Json& line : items_of(answer, "lines"))
    lines[text_of(line, "service")].push_back(text_of(line, "line"));
  Output& out = session.out;
  bool is_first = true;
  for (const std::string& service : services) {
    std::string name(without_service_suffix(service));
    if (services.size() > 1) {
      if (!is_first) out.line("");
      out.line(out.paint("==> " + for_terminal(name) + " <==", Style::bold));
    }
    is_first = false;
    for (const std::string& line : lines[name])
      out.line(shown_line(line, out));
  }
}

ExitCode run(Session& session, const Options& options) {
  Request request{.command = RequestCommand::logs,
                  .services = options.services,
                  .args = {.lines = options.lines, .follow = options.follows}};
  if (options.follows) {
    FollowPrinter printer(session, options.services);
    return follow(session, request, [&printer](const Json& answer) { printer.print(answer); });
  }
  Result<Json> answer = session.ask(request);
  if (!answer) return session.report(answer.error());
  if (session.prints_json) {
    session.print_json(*answer);
    return ExitCode::done;
  }
  print_blocks(*answer, options.services, session);
  if (flag_of(*answer, "truncated")) {
    session.out.stream().flush();
    session.err.line("gitproc: older lines are left out; 'gitproc status SERVICE' names the log file");
  }
  return ExitCode::done;
}

}  // namespace

void add_logs(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("logs", "Show what services wrote");
  command->add_option("service", options->services, "Names, with or without .service")
      ->type_name("SERVICE")
      ->required();
  command->add_flag("-f,--follow", options->follows, "Go on showing lines as they arrive");
  add_lines_option(*command, options->lines);
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, options] { session.exit_code = run(session, *options); });
}

}  // namespace gitproc
