// gitproc accept: follow a tip of the remote's branch that is held.
#include <CLI/App.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/settle.h"

namespace gitproc {

void add_accept(CLI::App& app, Session& session) {
  auto args = std::make_shared<RequestArguments>();
  CLI::App* command =
      app.add_subcommand("accept", "Follow the remote's branch although it was rewritten or diverged");
  command->add_option("commit", args->commit, "Exactly the tip that is held, as 'gitproc status' names it")
      ->type_name("COMMIT")
      ->required();
  add_settle_options(*command, session, *args);
  command->callback([&session, args] {
    session.exit_code = settle(session, {.command = RequestCommand::accept, .args = *args});
  });
}

}  // namespace gitproc
