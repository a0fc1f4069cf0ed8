// gitproc sync: converge on the branch's tip.
#include <CLI/App.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/settle.h"

namespace gitproc {

void add_sync(CLI::App& app, Session& session) {
  auto args = std::make_shared<RequestArguments>();
  CLI::App* command = app.add_subcommand("sync", "Fetch, lift a rollback and converge on the branch's tip");
  command->add_flag("--retry", args->retry, "Try again what is remembered as failed");
  add_settle_options(*command, session, *args);
  command->callback([&session, args] {
    session.exit_code = settle(session, {.command = RequestCommand::sync, .args = *args});
  });
}

}  // namespace gitproc
