// gitproc approve: let a commit go ahead that the prune guard holds.
#include <CLI/App.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/settle.h"

namespace gitproc {

void add_approve(CLI::App& app, Session& session) {
  struct Options {
    RequestArguments args;
    bool does_not_wait = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("approve", "Let a commit go ahead that removes much, and is held for that");
  command
      ->add_option("commit", options->args.commit,
                   "Only if this is the one that is held (default: whichever is)")
      ->type_name("COMMIT");
  command->add_flag("--no-wait", options->does_not_wait, "Do not wait until it has settled");
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, options] {
    options->args.wait = !options->does_not_wait;
    session.exit_code = settle(session, {.command = RequestCommand::approve, .args = options->args});
  });
}

}  // namespace gitproc
