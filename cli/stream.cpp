#include "cli/stream.h"

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <nlohmann/json.hpp>

namespace gitproc {

ExitCode follow(Session& session, const Request& request, const std::function<void(const Json&)>& print) {
  Result<Client> client = session.connect();
  if (!client) return session.report(client.error());
  if (Result<void> sent = client->send(request); !sent) return session.report(sent.error());
  while (session.out.stream()) {
    // What came at once is written at once.
    if (!client->wait(std::chrono::milliseconds(0))) session.out.stream().flush();
    Result<Json> answer = client->receive(std::nullopt);
    if (!answer) return session.report(answer.error());
    if (session.prints_json) {
      session.out.line(dump_json(*answer));
    } else {
      print(*answer);
    }
  }
  return ExitCode::done;
}

void add_lines_option(CLI::App& command, std::optional<unsigned>& lines) {
  command.add_option("-n,--lines", lines, "Begin with the last N")
      ->type_name("N")
      ->check(CLI::Range(0u, max_request_lines, "0 to " + std::to_string(max_request_lines)));
}

}  // namespace gitproc
