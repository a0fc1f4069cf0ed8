// StandardOutput=journal: a stream that journald (systemd-journald.service(8)) takes lines from, opened as
// sd_journal_stream_fd(3) does it.
#pragma once

#include <string>

#include "drivers/base/unique_fd.h"
#include "reconcile/base/error.h"

namespace gitproc {

inline constexpr const char* journal_stream_socket = "/run/systemd/journal/stdout";

struct JournalStream {
  std::string identifier;  // SYSLOG_IDENTIFIER=: the program's name
  std::string unit;        // "web.service"; journald believes it of root only
};

// For a process to write to. Never waits: a journald that accepts nobody is an error like one that is not there.
Result<UniqueFd> open_journal_stream(const std::string& socket, const JournalStream& stream);

}  // namespace gitproc
