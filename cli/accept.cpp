// gitproc accept: follow a tip of the remote's branch that is held.
#include <CLI/App.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/settle.h"

namespace gitproc {

void add_accept(CLI::App& app, Session& session) {
  struct Options {
    std::string commit;
    bool does_not_wait = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("accept", "Follow the remote's branch although it was rewritten or diverged");
  command->add_option("commit", options->commit, "Exactly the tip that is held, as 'gitproc status' names it")
      ->type_name("COMMIT")
      ->required();
  command->add_flag("--no-wait", options->does_not_wait, "Do not wait until it has settled");
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, options] {
    session.exit_code =
        settle(session, {.command = RequestCommand::accept,
                         .args = {.wait = !options->does_not_wait, .commit = options->commit}});
  });
}

}  // namespace gitproc
