// gitproc sync: converge on the branch's tip.
#include <CLI/App.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/settle.h"

namespace gitproc {

void add_sync(CLI::App& app, Session& session) {
  struct Options {
    bool does_not_wait = false;
    bool retries = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("sync", "Fetch, lift a rollback and converge on the branch's tip");
  command->add_flag("--no-wait", options->does_not_wait, "Do not wait until it has settled");
  command->add_flag("--retry", options->retries, "Try again what is remembered as failed");
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, options] {
    session.exit_code =
        settle(session, {.command = RequestCommand::sync,
                         .args = {.wait = !options->does_not_wait, .retry = options->retries}});
  });
}

}  // namespace gitproc
