// gitproc import: take commits from a git bundle, on a node without network.
#include <CLI/App.hpp>
#include <climits>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "drivers/base/system_call.h"

namespace gitproc {
namespace {

Result<std::string> absolute_path(const std::string& file) {
  char* path = ::realpath(file.c_str(), nullptr);
  if (path == nullptr) return fail_with_errno("cannot open '" + file + "'");
  std::string absolute = path;
  ::free(path);
  return absolute;
}

ExitCode import_bundle(Session& session, const std::string& file) {
  Result<std::string> path = absolute_path(file);
  if (!path) return session.report_failure(path.error());
  Result<Client> client = session.connect();
  if (!client) return session.report(client.error());
  Progress progress(session);
  if (Result<void> sent = client->send({.command = RequestCommand::import_bundle, .args = {.file = *path}});
      !sent)
    return session.report(sent.error());
  Result<Json> outcome = progress.receive(*client);
  if (!outcome) return session.report_failure(outcome.error());
  if (session.prints_json) {
    session.print_json(*outcome);
    return ExitCode::done;
  }
  for (const auto& [name, commit] : field(*outcome, "imported").items()) {
    if (commit.is_string())
      session.out.line(for_terminal(name) + " " + for_terminal(short_commit(commit.get<std::string>())));
  }
  return ExitCode::done;
}

}  // namespace

void add_import(CLI::App& app, Session& session) {
  auto file = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("import", "Take commits from a git bundle, under the rules of a remote");
  command->add_option("file", *file, "Made by 'git bundle create FILE BRANCH'")
      ->type_name("FILE.bundle")
      ->required();
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, file] { session.exit_code = import_bundle(session, *file); });
}

}  // namespace gitproc
