#include "reconcile/actual/exit_status.h"

namespace gitproc {

std::string signal_name(int signal) {
  // The Linux numbers of signal(7) on x86 and ARM; this module may not include <csignal>'s platform view.
  static constexpr const char* names[] = {"",       "HUP",  "INT",    "QUIT", "ILL",   "TRAP", "ABRT", "BUS",
                                          "FPE",    "KILL", "USR1",   "SEGV", "USR2",  "PIPE", "ALRM", "TERM",
                                          "STKFLT", "CHLD", "CONT",   "STOP", "TSTP",  "TTIN", "TTOU", "URG",
                                          "XCPU",   "XFSZ", "VTALRM", "PROF", "WINCH", "IO",   "PWR",  "SYS"};
  static constexpr int rtmin = 34, rtmax = 64;
  if (signal > 0 && signal < 32) return names[signal];
  if (signal == rtmin) return "RTMIN";
  if (signal > rtmin && signal <= rtmax) return "RTMIN+" + std::to_string(signal - rtmin);
  return std::to_string(signal);
}

std::string to_string(const ExitStatus& status) {
  switch (status.kind) {
    case ExitStatus::Kind::exited: {
      std::string stage = exec_stage_name(status.value);
      return "exited with status " + std::to_string(status.value) + (stage.empty() ? "" : " (" + stage + ")");
    }
    case ExitStatus::Kind::killed: return "killed by SIG" + signal_name(status.value);
    case ExitStatus::Kind::dumped: return "dumped core on SIG" + signal_name(status.value);
    case ExitStatus::Kind::unknown: return "ended while the agent was away";
  }
  __builtin_unreachable();
}

std::string exec_stage_name(int exit_code) {
  switch (exit_code) {
    case 200: return "CHDIR";
    case 201: return "NICE";
    case 202: return "FDS";
    case 203: return "EXEC";
    case 204: return "MEMORY";
    case 205: return "LIMITS";
    case 206: return "OOM_ADJUST";
    case 207: return "SIGNAL_MASK";
    case 208: return "STDIN";
    case 209: return "STDOUT";
    case 210: return "CHROOT";
    case 211: return "IOPRIO";
    case 213: return "SECUREBITS";
    case 214: return "SETSCHEDULER";
    case 215: return "CPUAFFINITY";
    case 216: return "GROUP";
    case 217: return "USER";
    case 218: return "CAPABILITIES";
    case 219: return "CGROUP";
    case 220: return "SETSID";
    case 222: return "STDERR";
    case 226: return "NAMESPACE";
    case 227: return "NO_NEW_PRIVILEGES";
    case 228: return "SECCOMP";
    case 233: return "RUNTIME_DIRECTORY";
    case 238: return "STATE_DIRECTORY";
    case 239: return "CACHE_DIRECTORY";
    case 240: return "LOGS_DIRECTORY";
    case 241: return "CONFIGURATION_DIRECTORY";
    default: return "";
  }
}

}  // namespace gitproc
