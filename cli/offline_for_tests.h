// For tests of the commands that need no agent: nobody answers at the session's socket.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "cli/command_line.h"

namespace gitproc {

struct OfflineOutcome {
  int exit_code = 0;
  std::string out;
  std::string err;
};

inline OfflineOutcome run_offline(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  Session session{
      .out = Output(out, false, false), .err = Output(err, false, false), .now = {}, .run_agent = {}};
  session.socket = "/nonexistent/s";
  int exit_code = run_command_line(arguments, session);
  return {exit_code, out.str(), err.str()};
}

}  // namespace gitproc
