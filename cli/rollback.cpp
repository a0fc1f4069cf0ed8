// gitproc rollback: run an older commit, and stay there.
#include <CLI/App.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/settle.h"
#include "cli/until_option.h"

namespace gitproc {

void add_rollback(CLI::App& app, Session& session) {
  struct Options {
    RequestArguments args;
    bool does_not_wait = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("rollback", "Run another commit and stay there, until 'gitproc sync'");
  command
      ->add_option("revision", options->args.commit,
                   "A commit (default: the newest other one that was healthy here)")
      ->type_name("REVISION");
  command->add_option("--reason", options->args.reason, "Kept with the pin, for others to read")
      ->type_name("TEXT");
  add_until_option(*command, session, options->args.until);
  command->add_flag("--no-wait", options->does_not_wait, "Do not wait until it has settled");
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, options] {
    options->args.wait = !options->does_not_wait;
    session.exit_code = settle(session, {.command = RequestCommand::rollback, .args = options->args});
  });
}

}  // namespace gitproc
