// gitproc: agent and command line in one binary. Only here both are linked together.
#include <iostream>
#include <string_view>

#include "agent/agent.h"
#include "cli/command_line.h"
#include "drivers/base/clock.h"
#include "drivers/git/fetch_worker.h"

int main(int argc, char** argv) {
  // What the agent starts to fetch with; not a command for people.
  if (argc == 2 && std::string_view(argv[1]) == "fetch-worker") return gitproc::run_fetch_worker();
  std::ios::sync_with_stdio(false);
  gitproc::Session session{.out = gitproc::Output::of_descriptor(1, std::cout),
                           .err = gitproc::Output::of_descriptor(2, std::cerr),
                           .now = gitproc::read_clocks().wall,
                           .run_agent = gitproc::run_agent};
  return gitproc::run_command_line({argv + 1, argv + argc}, session);
}
