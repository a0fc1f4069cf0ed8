#include "cli/until_option.h"

#include <CLI/App.hpp>

#include "cli/human_time.h"

namespace gitproc {

void add_until_option(CLI::App& command, const Session& session, std::optional<WallTime>& until) {
  auto read = [&session, &until](const std::string& text) {
    Result<WallTime> time = parse_until(text, session.now);
    if (!time) throw CLI::ValidationError("--until", time.error().message);
    until = *time;
  };
  command.add_option_function<std::string>("--until", read, "Until then: 2h, 18:00, 2030-12-31 18:00 (UTC)")
      ->type_name("TIME");
}

}  // namespace gitproc
