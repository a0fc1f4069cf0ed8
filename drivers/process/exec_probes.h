// HealthCheckExec=: the probe commands under way. Each is a process in the service's surroundings that has until
// its time-out; its exit status is the answer, the last line that it printed the detail.
//
// The process leads a session of its own, so that at the time-out it is killed with all that it started, and it
// dies with the agent (PR_SET_PDEATHSIG). Commands that cannot be killed (their disk hangs) do not pile up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "drivers/base/timer.h"
#include "reconcile/event.h"

namespace gitproc {

class ExecProbes {
 public:
  // Of the end of the output, kept for the detail.
  static constexpr std::size_t output_kept_bytes = 512;
  // A command that prints more than this finds nobody listening (EPIPE).
  static constexpr std::size_t output_limit_bytes = 1u << 20;

  // Killed processes of a service that have not ended: with so many it is not probed.
  static constexpr std::ptrdiff_t unended_limit = 3;

  // Aborts where the kernel has no descriptors left: the agent is only starting.
  ExecProbes();

  struct Pipe {
    UniqueFd reader, writer;
  };
  // For a command's output.
  static Result<Pipe> make_pipe();

  // Whether unended_limit is reached.
  bool is_busy(ServiceId service) const;
  void begin(ServiceId service, Pid pid, Duration timeout, UniqueFd reader, Instant now);
  // Kills the command; nothing is told of it any more.
  void cancel(ServiceId service);

  // Whether the process is one of these; then nobody else is to hear of its end.
  bool owns(Pid pid) const { return probes_.contains(pid); }
  // It has ended, and was reaped. nullopt where its time-out was told already, or it was cancelled.
  std::optional<ProbeFinished> ended(Pid pid, const ExitStatus& status);

  // Readable when drain() has something to do.
  int fd() const { return epoll_.get(); }
  // Reads what was printed, and ends what takes too long.
  std::vector<ProbeFinished> drain(Instant now);

 private:
  struct Probe {
    ServiceId service{};
    Instant due{};
    Duration timeout{};
    bool is_over = false;  // told, or cancelled: only its end is waited for
    UniqueFd output;
    std::size_t printed_bytes = 0;
    std::string tail;
  };

  void read_output(Probe& probe);
  void end(Pid pid, Probe& probe);
  void arm();

  std::unordered_map<Pid, Probe> probes_;
  std::set<std::pair<Instant, Pid>> due_;
  Instant armed_ = never;
  Timer timer_;
  UniqueFd epoll_;
};

}  // namespace gitproc
