// gitproc approve: let a commit go ahead that the prune guard holds.
#include <CLI/App.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/settle.h"

namespace gitproc {

void add_approve(CLI::App& app, Session& session) {
  auto args = std::make_shared<RequestArguments>();
  CLI::App* command =
      app.add_subcommand("approve", "Let a commit go ahead that removes much, and is held for that");
  command->add_option("commit", args->commit, "Only if this is the one that is held (default: whichever is)")
      ->type_name("COMMIT");
  add_settle_options(*command, session, *args);
  command->callback([&session, args] {
    session.exit_code = settle(session, {.command = RequestCommand::approve, .args = *args});
  });
}

}  // namespace gitproc
