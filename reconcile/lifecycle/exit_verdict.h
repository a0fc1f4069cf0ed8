// What the end of one process means for the result of its service: a clean end is `success`.
#pragma once

#include "reconcile/actual/exit_status.h"
#include "reconcile/actual/service.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// Whether the list names this exit code, or this signal (with a core dump or without). Never for unknown.
bool contains(const ExitStatusSet& set, const ExitStatus& status);

// Of the main process, which runs command `index` of ExecStart=. Clean are exit 0, what SuccessExitStatus=
// lists and, but for oneshot, death by SIGHUP, SIGINT, SIGTERM and SIGPIPE; everything with the prefix "-". An end
// that nobody saw is clean for oneshot and under Restart=no, and `exit_code` otherwise.
ServiceResult judge_main_exit(const Unit& unit, unsigned index, const ExitStatus& status,
                              bool was_oom_killed);

// Of command `index` of another Exec...= line, or of the first process of Type=forking. ExecCondition= with an
// exit code from 1 to 254 is `condition`. An end that nobody saw is clean: the sequence goes on after it.
ServiceResult judge_command_exit(const Unit& unit, ExecPhase phase, unsigned index, const ExitStatus& status,
                                 bool was_oom_killed);

}  // namespace gitproc
