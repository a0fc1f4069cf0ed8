#include "cli/settle.h"

#include <CLI/App.hpp>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/progress.h"
#include "cli/service_text.h"
#include "cli/text.h"

namespace gitproc {
namespace {

bool is_failure(const std::string& sync) {
  return sync == "degraded" || sync == "held" || sync == "rejected" || sync == "error";
}

void print_outcome(const Json& outcome, Session& session) {
  std::string sync = text_of(outcome, "sync");
  std::string text = session.out.paint(for_terminal(sync), style_of_sync(sync));
  if (std::string commit = text_of(outcome, "commit"); !commit.empty()) {
    text += (text.empty() ? "" : " at ") + for_terminal(short_commit(commit));
  }
  if (std::string message = text_of(outcome, "message"); !message.empty())
    text += ": " + for_terminal(message);
  session.out.line(text);
}

}  // namespace

void add_settle_options(CLI::App& command, Session& session, RequestArguments& args) {
  command.add_flag_callback("--no-wait", [&args] { args.wait = false; }, "Do not wait until it has settled");
  add_agent_options(command, session, PrintsData::yes);
}

ExitCode settle(Session& session, const Request& request) {
  Result<Client> client = session.connect();
  if (!client) return session.report(client.error());
  Progress progress(session);
  if (Result<void> sent = client->send(request); !sent) return session.report(sent.error());
  Result<Json> outcome = progress.receive(*client);
  if (!outcome) return session.report_failure(outcome.error());
  if (session.prints_json) {
    session.print_json(*outcome);
  } else {
    print_outcome(*outcome, session);
  }
  return request.args.wait && is_failure(text_of(*outcome, "sync")) ? ExitCode::failed : ExitCode::done;
}

}  // namespace gitproc
