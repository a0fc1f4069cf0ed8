// The commands, one file each: every function adds one (or a family that differs in a word only) to the command
// line. A command runs while the line is parsed and leaves its exit code in the session.
#pragma once

#include "cli/session.h"

namespace gitproc {

void add_agent(CLI::App& app, Session& session);
void add_status(CLI::App& app, Session& session);
void add_list(CLI::App& app, Session& session);
void add_service_operations(CLI::App& app, Session& session);  // start, stop, restart, reload
void add_logs(CLI::App& app, Session& session);
void add_sync(CLI::App& app, Session& session);
void add_rollback(CLI::App& app, Session& session);
void add_approve(CLI::App& app, Session& session);
void add_accept(CLI::App& app, Session& session);
void add_import(CLI::App& app, Session& session);
void add_switch(CLI::App& app, Session& session);
void add_init(CLI::App& app, Session& session);
void add_plan(CLI::App& app, Session& session);
void add_nodes(CLI::App& app, Session& session);
void add_verify(CLI::App& app, Session& session);
void add_why(CLI::App& app, Session& session);
void add_history(CLI::App& app, Session& session);
void add_events(CLI::App& app, Session& session);
void add_agent_reload(CLI::App& app, Session& session);
void add_version(CLI::App& app, Session& session);
void add_completion(CLI::App& app, Session& session);

}  // namespace gitproc
