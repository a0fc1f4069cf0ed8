// What every command is given: where to print, what time it is, where the agent is, and how to talk to it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/protocol/client.h"
#include "agent/protocol/response.h"
#include "cli/output.h"
#include "reconcile/base/time.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace gitproc {

struct AgentArguments;  // agent/agent.h

class Session {
 public:
  Output out;
  Output err;
  WallTime now;
  // What `gitproc agent` calls; the agent itself is linked by main only.
  std::function<int(const AgentArguments&)> run_agent;

  // Set by the options that all commands share.
  std::string socket;
  bool prints_json = false;

  // What the chosen command ended with.
  ExitCode exit_code = ExitCode::done;

  // --socket, else $GITPROC_SOCKET, else the default place.
  std::string socket_path() const;

  Result<Client> connect() const { return Client::connect(socket_path()); }

  // One question, one answer, on a connection of its own.
  Result<Json> ask(const Request& request, Client::Timeout timeout = answer_timeout) const;

  // Prints "gitproc: <message>" on standard error and gives the exit code that the error stands for.
  ExitCode report(const Error& error);
  // The same where not_found does not mean a service: the exit code is `failed` then.
  ExitCode report_failure(const Error& error);

  // With --json: the document on standard output, on one line for a stream.
  void print_json(const Json& document);
  void print_json_line(const Json& document);

  // "3min ago" on a terminal, the exact time elsewhere.
  std::string shown_time(WallTime at) const;
};

// Adds --socket, and --json where the command prints data.
enum class PrintsData { no, yes };
void add_agent_options(CLI::App& command, Session& session, PrintsData prints_data);

}  // namespace gitproc
