// The command line as a whole: all commands under one CLI::App, and what is common to their mistakes.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"

namespace gitproc {

// Runs the command that `arguments` (without the program's name) say; returns the exit code of the process.
int run_command_line(const std::vector<std::string>& arguments, Session& session);

}  // namespace gitproc
