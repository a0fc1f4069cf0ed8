// The agent: the daemon behind `gitproc agent`, in the foreground. It makes the processes of this node match the
// units of a git commit, and goes on doing so until it is told to stop.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace gitproc {

// What the command line says; each overrides the configuration file. As written, not yet checked.
struct AgentArguments {
  std::optional<std::string> config;  // the configuration file; it must exist when it is named
  std::optional<std::string> repo;
  std::optional<std::string> branch;
  std::optional<std::string> remote;
  std::optional<std::string> state_dir;
  std::optional<std::string> log_dir;
  std::optional<std::string> run_dir;
  std::optional<std::string> socket;
  std::optional<std::string> http;  // ADDR:PORT
  std::optional<std::string> node;
  std::vector<std::string> labels;  // "key=value"
  std::vector<std::string> sets;    // "dotted.key=value"

  bool operator==(const AgentArguments&) const = default;
};

// Runs until a signal ends it. Returns the exit code of the process: 0 after an ordered end, 1 where it could
// not start or go on, 2 where the arguments or the configuration are wrong.
int run_agent(const AgentArguments& arguments);

}  // namespace gitproc
