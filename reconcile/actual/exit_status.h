// How a process ended, as waitid(2) tells it.
#pragma once

#include <compare>
#include <string>

namespace gitproc {

struct ExitStatus {
  enum class Kind {
    exited,   // value is the exit code
    killed,   // value is the signal
    dumped,   // killed, with a core dump
    unknown,  // nobody could see it: it ended while the agent was away
  };
  Kind kind = Kind::exited;
  int value = 0;

  auto operator<=>(const ExitStatus&) const = default;
};

// "SIGTERM" -> "TERM", "RTMIN+3"; the number where there is no name. For $EXIT_STATUS and messages.
std::string signal_name(int signal);

// For people: "exited with status 3", "killed by SIGKILL", "dumped core on SIGSEGV".
std::string to_string(const ExitStatus& status);

// The exit codes of a child that failed before execve, systemd.exec(5) "Process Exit Codes": 203 -> "EXEC";
// "" for any other code.
std::string exec_stage_name(int exit_code);

}  // namespace gitproc
