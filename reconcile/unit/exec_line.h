// The commands of an Exec...= line (systemd.service(5), "Command lines"). Private to this room.
#pragma once

#include <string>
#include <vector>

#include "reconcile/unit/draft.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// All commands of the line, separated by " ; ". Faults are reported; then nothing is returned.
std::vector<ExecCommand> read_exec_line(Reader& reader);

// The command as a value that read_exec_line reads back.
std::string print_exec_command(const ExecCommand& command);

}  // namespace gitproc
