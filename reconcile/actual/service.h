// What is known of a service at run time, in the words of the outside (interface: `state`, `result`, `health`)
// and the records that outlive the agent.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "reconcile/actual/exit_status.h"
#include "reconcile/base/ids.h"
#include "reconcile/base/time.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

enum class ServiceState : std::uint8_t {
  stopped,
  waiting,
  starting,
  running,
  reloading,
  stopping,
  backoff,
  failed,
  completed
};

// systemd's Result=, plus `dependency` and `condition` of jobs. The first failure of an invocation wins.
enum class ServiceResult : std::uint8_t {
  success,
  protocol,
  exit_code,
  signal,
  core_dump,
  timeout,
  watchdog,
  start_limit_hit,
  oom_kill,
  resources,
  dependency,
  condition,
};

enum class HealthState : std::uint8_t { none, starting, healthy, unhealthy };

// How one probe of [X-GitProc] HealthCheck...= ended, for people.
struct ProbeResult {
  WallTime at{};  // when it began
  Duration took{};
  bool is_healthy = false;
  std::string detail;  // "HTTP 503", "connection refused", ...

  bool operator==(const ProbeResult&) const = default;
};

// The words used in JSON, logs and $SERVICE_RESULT: "exit-code", "running", ...
std::string_view to_string(ServiceState state);
std::string_view to_string(ServiceResult result);
std::string_view to_string(HealthState health);
std::string_view to_string(ExecPhase phase);
// The inverse, for the run journal; nullopt for any other word.
std::optional<ServiceResult> parse_service_result(std::string_view word);
std::optional<ExecPhase> parse_exec_phase(std::string_view word);

// One run of a service, from its first ExecStartPre to its last ExecStopPost: 128 random bits, handed in by
// the agent; $INVOCATION_ID is its 32 hexadecimal digits.
struct InvocationId {
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const InvocationId&) const = default;
  std::string hex() const;
  static std::optional<InvocationId> parse(std::string_view hex);
};

// Why a service that is wanted is not running and must not be started again by itself, until a change of its
// unit, an operator or a boot. Kept in the run journal, which does not outlive a boot.
enum class LatchKind { completed, stopped, failed };
struct Latch {
  LatchKind kind = LatchKind::completed;
  ServiceResult result = ServiceResult::success;
  std::optional<ExitStatus> exit;

  bool operator==(const Latch&) const = default;
};

// A process of an earlier agent, found in the run journal. `is_alive` was checked by the driver: the pid
// exists and started no later than the record says.
struct AdoptedProcess {
  Pid pid = 0;
  bool is_alive = false;

  bool operator==(const AdoptedProcess&) const = default;
};

// What the run journal says of one service at the start of the agent.
struct AdoptedService {
  std::string name;
  std::uint64_t fingerprint = 0;  // of the unit it was started with (Unit::fingerprint)
  InvocationId invocation;
  unsigned restarts = 0;
  std::optional<AdoptedProcess> main;
  // The last Exec...= command that was started besides the main process, if it was not seen to end.
  std::optional<AdoptedProcess> control;
  // Of the main process's PID namespace, where it has one; of interest to the driver alone.
  std::optional<AdoptedProcess> init;
  ExecPhase phase = ExecPhase::start;  // of the last command that was started
  unsigned command_index = 0;          // of that command in its phase
  bool was_started = false;            // start-up was complete (ready and ExecStartPost= done)
  Instant started_at{};                // when it was
  bool was_stopping = false;           // a stop was under way: its end is no exit to be judged by Restart=
  std::optional<Latch> latch;          // set when the invocation is over

  bool operator==(const AdoptedService&) const = default;
};

}  // namespace gitproc
