// What commands with -f and -n share: following a stream of answers, and the option for how many to begin with.
#pragma once

#include <functional>
#include <optional>

#include "cli/session.h"

namespace gitproc {

// Hands each answer to `print`, or prints it as a line of JSON, and flushes; until the agent goes away, which is
// what the exit code says then, or standard output does.
ExitCode follow(Session& session, const Request& request, const std::function<void(const Json&)>& print);

// -n, --lines: 0 to max_request_lines.
void add_lines_option(CLI::App& command, std::optional<unsigned>& lines);

}  // namespace gitproc
