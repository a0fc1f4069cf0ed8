// gitproc init: a repository to begin with.
#include "drivers/git/init.h"

#include <CLI/App.hpp>
#include <filesystem>
#include <memory>

#include "cli/commands.h"
#include "cli/text.h"

namespace gitproc {
namespace {

constexpr const char* example_unit = R"([Unit]
Description=An example: says hello every minute

[Service]
ExecStart=/bin/sh -c 'while true; do echo hello; sleep 60; done'
Restart=always
)";

// In quotes where a shell would take it for more than one word.
std::string shell_word(const std::string& text) {
  constexpr std::string_view harmless =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:,";
  if (text.find_first_not_of(harmless) == std::string::npos) return text;
  std::string quoted = "'";
  for (char c : text)
    quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

ExitCode run(Session& session, const std::string& directory) {
  std::error_code error;
  std::filesystem::path path =
      std::filesystem::weakly_canonical(std::filesystem::absolute(directory, error), error);
  std::string absolute = error ? directory : path.string();
  Result<InitOutcome> outcome =
      init_repository(absolute, {{"hello.service", example_unit}}, "Add an example service");
  if (!outcome) return session.report_failure(outcome.error());

  std::string shown = for_terminal(absolute);
  if (!outcome->commit) {
    session.out.line(shown + " is a repository with commits already; nothing was changed.");
    return ExitCode::done;
  }
  session.out.line((outcome->is_new_repository ? "Made a repository in " : "Made the first commit in ") +
                   shown + ", branch " + for_terminal(outcome->branch) + ", with the example hello.service.");
  std::string word = for_terminal(shell_word(absolute));
  session.out.line("Next:");
  session.out.line("  gitproc agent --repo " + word);
  session.out.line("  gitproc status, in another terminal");
  session.out.line("Edit or add a *.service there; 'git commit' applies it at once.");
  return ExitCode::done;
}

}  // namespace

void add_init(CLI::App& app, Session& session) {
  auto directory = std::make_shared<std::string>(".");
  CLI::App* command = app.add_subcommand("init", "Make a repository with an example service");
  command->add_option("directory", *directory, "Default: the working directory")->type_name("DIR");
  command->callback([&session, directory] { session.exit_code = run(session, *directory); });
}

}  // namespace gitproc
