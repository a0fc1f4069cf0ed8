#include "cli/session.h"

#include <CLI/App.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "agent/protocol/paths.h"
#include "cli/human_time.h"
#include "cli/text.h"
#include "reconcile/base/civil.h"

namespace gitproc {

std::string Session::socket_path() const {
  if (!socket.empty()) return socket;
  const char* variable = std::getenv("GITPROC_SOCKET");
  if (variable != nullptr && *variable != '\0') return variable;
  return default_client_socket(path_environment());
}

Result<Json> Session::ask(const Request& request, Client::Timeout timeout) const {
  Result<Client> client = connect();
  if (!client) return std::unexpected(client.error());
  return client->call(request, timeout);
}

ExitCode Session::report(const Error& error) {
  out.stream().flush();
  err.line("gitproc: " + for_terminal(error.message));
  return exit_code_of(error.code);
}

ExitCode Session::report_failure(const Error& error) {
  ExitCode code = report(error);
  return code == ExitCode::no_such_service ? ExitCode::failed : code;
}

void Session::print_json(const Json& document) {
  out.line(out.is_terminal() ? dump_json_indented(document) : dump_json(document));
}

void Session::print_json_line(const Json& document) {
  out.line(dump_json(document));
  out.stream().flush();
}

std::string Session::shown_time(WallTime at) const {
  return out.is_terminal() ? relative_time(at, now) : to_rfc3339(at);
}

void add_agent_options(CLI::App& command, Session& session, PrintsData prints_data) {
  command.add_option("--socket", session.socket, "The agent's control socket (or $GITPROC_SOCKET)")
      ->type_name("PATH");
  if (prints_data == PrintsData::yes)
    command.add_flag("--json", session.prints_json, "Print the data as JSON");
}

}  // namespace gitproc
