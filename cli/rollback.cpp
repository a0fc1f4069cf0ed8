// gitproc rollback: run an older commit, and stay there.
#include <CLI/App.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/settle.h"
#include "cli/until_option.h"

namespace gitproc {

void add_rollback(CLI::App& app, Session& session) {
  auto args = std::make_shared<RequestArguments>();
  CLI::App* command =
      app.add_subcommand("rollback", "Run another commit and stay there, until 'gitproc sync'");
  command
      ->add_option("revision", args->commit, "A commit (default: the newest other one that was healthy here)")
      ->type_name("REVISION");
  command->add_option("--reason", args->reason, "Kept with the pin, for others to read")->type_name("TEXT");
  add_until_option(*command, session, args->until);
  add_settle_options(*command, session, *args);
  command->callback([&session, args] {
    session.exit_code = settle(session, {.command = RequestCommand::rollback, .args = *args});
  });
}

}  // namespace gitproc
