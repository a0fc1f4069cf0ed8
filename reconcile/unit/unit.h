// A Unit is what one .service file with its drop-ins means on this node: fully resolved (drop-ins merged,
// specifiers expanded, defaults filled in), immutable once loaded, and shared as `UnitPtr`.
//
// Field by field it follows systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.kill(5) and
// systemd.resource-control(5) of version 252; the semantics that differ from the manual are in
// reconcile/unit/README.md. Groups that most units leave alone are Defaulted, so that a plain unit stays
// small: 10,000 of them live on one node.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reconcile/base/defaulted.h"
#include "reconcile/base/object_id.h"
#include "reconcile/base/packed_strings.h"
#include "reconcile/base/rare.h"
#include "reconcile/base/time.h"

namespace gitproc {

// Service names are kept without ".service": "web", "worker@1".

// [Unit] relations to other services; targets and units of other types are taken as reached and left out.
struct Dependencies {
  std::vector<std::string> requires_;  // Requires=
  std::vector<std::string> requisite;
  std::vector<std::string> binds_to;
  std::vector<std::string> wants;
  std::vector<std::string> part_of;
  std::vector<std::string> conflicts;
  std::vector<std::string> before;
  std::vector<std::string> after;

  bool operator==(const Dependencies&) const = default;
};

// Condition...= and Assert...=: checked when the service is about to start, by a driver.
enum class ConditionKind {
  path_exists,
  path_exists_glob,
  path_is_directory,
  path_is_symbolic_link,
  path_is_mount_point,
  path_is_read_write,
  directory_not_empty,
  file_not_empty,
  file_is_executable,
};
struct Condition {
  ConditionKind kind = ConditionKind::path_exists;
  std::string parameter;
  bool is_negated = false;     // "!"
  bool is_triggering = false;  // "|": at least one of these must hold
  bool is_assert = false;      // Assert...=: failing it fails the start

  bool operator==(const Condition&) const = default;
};

// One command of an Exec...= line. `arguments` are unquoted and specifier-expanded; $VARIABLES in them are
// expanded at exec time, word by word, unless `expands_environment` is false (":").
struct ExecCommand {
  RareText path;                    // of the program, where it is not argv[0] as it mostly is
  PackedStrings arguments;          // argv, argv[0] included
  bool ignores_failure = false;     // "-"
  bool expands_environment = true;  // not ":"
  bool is_privileged = false;       // "+": no User=, Group=, limits of privilege
  bool keeps_user = false;          // "!": without User=, Group=, SupplementaryGroups=

  // Absolute, or a bare name looked up in the fixed search path.
  std::string program() const { return path.empty() ? std::string(arguments.front()) : path.str(); }

  bool operator==(const ExecCommand& other) const {
    return program() == other.program() && arguments == other.arguments &&
           ignores_failure == other.ignores_failure && expands_environment == other.expands_environment &&
           is_privileged == other.is_privileged && keeps_user == other.keeps_user;
  }
};

enum class ServiceType : std::uint8_t { simple, exec, forking, oneshot, notify, dbus, idle };

// The Exec...= lines in the order a service goes through them.
enum class ExecPhase : std::uint8_t { condition, start_pre, start, start_post, reload, stop, stop_post };

// Every Exec...= line but ExecStart=, which all units have.
struct AuxiliaryCommands {
  std::vector<ExecCommand> condition, start_pre, start_post, reload, stop, stop_post;

  bool operator==(const AuxiliaryCommands&) const = default;
};

enum class RestartMode { no, always, on_success, on_failure, on_abnormal, on_abort, on_watchdog };

// Exit codes and signals, as SuccessExitStatus= lists them. Sorted, without repetition.
struct ExitStatusSet {
  std::vector<std::uint8_t> codes;
  std::vector<int> signals;

  bool operator==(const ExitStatusSet&) const = default;
};

struct RestartPolicy {
  RestartMode mode = RestartMode::no;
  Duration delay = std::chrono::milliseconds(100);           // RestartSec=
  Duration start_limit_interval = std::chrono::seconds(10);  // StartLimitIntervalSec=; 0: no limit
  unsigned start_limit_burst = 5;
  ExitStatusSet success;  // SuccessExitStatus=, besides exit 0 and SIGHUP, SIGINT, SIGTERM, SIGPIPE
  ExitStatusSet prevent;  // RestartPreventExitStatus=
  ExitStatusSet force;    // RestartForceExitStatus=

  bool operator==(const RestartPolicy&) const = default;
};

enum class TimeoutFailureMode { terminate, abort, kill };

// Each is per phase, not a total (systemd.service(5); reference 3.7).
struct Timeouts {
  std::optional<Duration> start;  // unset: 90 s, but infinite for oneshot
  Duration stop = std::chrono::seconds(90);
  std::optional<Duration> abort;  // unset: as stop
  Duration runtime_max = infinite;
  Duration watchdog = infinite;
  TimeoutFailureMode start_failure = TimeoutFailureMode::terminate;
  TimeoutFailureMode stop_failure = TimeoutFailureMode::terminate;

  bool operator==(const Timeouts&) const = default;
};

enum class KillMode { control_group, mixed, process, none };

struct KillPolicy {
  KillMode mode = KillMode::control_group;
  int signal = 15;                    // KillSignal=
  std::optional<int> restart_signal;  // RestartKillSignal=; unset: as signal
  int final_signal = 9;               // FinalKillSignal=
  int watchdog_signal = 6;            // WatchdogSignal=
  bool sends_sigkill = true;
  bool sends_sighup = false;

  bool operator==(const KillPolicy&) const = default;
};

enum class NotifyAccess : std::uint8_t { none, main, exec, all };

// A KEY=VALUE pair of Environment=.
using EnvironmentVariable = std::pair<std::string, std::string>;

struct EnvironmentFile {
  std::string path;  // absolute, may be a glob(7)
  bool is_optional = false;

  bool operator==(const EnvironmentFile&) const = default;
};

// RLIM_INFINITY is infinite_limit.
inline constexpr std::uint64_t infinite_limit = UINT64_MAX;
enum class ResourceKind {
  cpu,
  fsize,
  data,
  stack,
  core,
  rss,
  nofile,
  as,
  nproc,
  memlock,
  locks,
  sigpending,
  msgqueue,
  nice,
  rtprio,
  rttime
};
struct ResourceLimit {
  ResourceKind kind = ResourceKind::nofile;
  std::uint64_t soft = infinite_limit;
  std::uint64_t hard = infinite_limit;

  bool operator==(const ResourceLimit&) const = default;
};

// RuntimeDirectory= and its four siblings; paths relative to the base directory of the kind.
enum class DirectoryKind { runtime, state, cache, logs, configuration };
struct ManagedDirectory {
  DirectoryKind kind = DirectoryKind::runtime;
  std::string path;
  unsigned mode = 0755;

  bool operator==(const ManagedDirectory&) const = default;
};
enum class RuntimePreserve { no, restart, yes };

// ProtectProc= and ProcSubset=: what a service sees in /proc.
enum class ProcVisibility { everything, without_access, invisible, ptraceable };
enum class ProcSubset { all, pid };

enum class OutputKind { log, inherit, null, file, append, truncate, journal };
struct OutputTarget {
  OutputKind kind =
      OutputKind::log;  // the default: the service's own log file. journal: it too, without journald
  std::string path;     // file, append, truncate

  bool operator==(const OutputTarget&) const = default;
};

struct WorkingDirectory {
  std::string path;          // "" is "/" (root) or the user's home; "~" the home of User=
  bool is_optional = false;  // "-"

  bool operator==(const WorkingDirectory&) const = default;
};

// systemd.exec(5): what surrounds the process.
struct ExecContext {
  std::string user;   // "" is the agent's own
  std::string group;  // "" is the user's primary group
  std::vector<std::string> supplementary_groups;
  std::vector<EnvironmentVariable> environment;
  std::vector<EnvironmentFile> environment_files;
  std::vector<std::string> pass_environment;
  std::vector<std::string> unset_environment;
  WorkingDirectory working_directory;
  unsigned umask = 0022;
  std::vector<ResourceLimit> limits;
  std::optional<int> nice;
  std::optional<int> oom_score_adjust;
  std::vector<ManagedDirectory> directories;
  RuntimePreserve runtime_preserve = RuntimePreserve::no;
  std::string standard_input_file;  // "" is /dev/null
  OutputTarget standard_output;
  OutputTarget standard_error = {.kind = OutputKind::inherit, .path = {}};
  bool ignores_sigpipe = true;
  bool no_new_privileges = false;
  std::optional<bool> private_pids;  // PrivatePIDs=; unset: see wants_pid_namespace
  std::optional<ProcVisibility> protect_proc;
  std::optional<ProcSubset> proc_subset;

  bool operator==(const ExecContext&) const = default;
};

// An amount of memory or tasks as it is written: absolute, a share of what the machine has (in hundredths of a
// percent), or without limit.
struct ResourceAmount {
  enum class Kind { absolute, share, unlimited };
  Kind kind = Kind::unlimited;
  std::uint64_t value = 0;

  bool operator==(const ResourceAmount&) const = default;
};

// IOReadBandwidthMax= and its like, for the device behind `path`.
enum class IoLimitKind { read_bytes, write_bytes, read_operations, write_operations };
struct IoLimit {
  IoLimitKind kind = IoLimitKind::read_bytes;
  std::string path;              // a device node, or a file whose device is meant
  std::uint64_t per_second = 0;  // infinite_limit: none

  bool operator==(const IoLimit&) const = default;
};

struct IoDeviceWeight {
  std::string path;
  unsigned weight = 100;

  bool operator==(const IoDeviceWeight&) const = default;
};

// Delegate=: the service makes groups of its own, with these controllers.
struct Delegation {
  bool is_on = false;
  bool has_all = false;                  // Delegate=yes
  std::vector<std::string> controllers;  // sorted

  bool operator==(const Delegation&) const = default;
};

// What the kernel's OOM killer taking a process of the service does to the others (systemd.service(5)).
enum class OomPolicy { stop, carry_on, kill };

inline constexpr unsigned idle_cpu_weight = 0;

// Resource control: written to cgroup files; a change is adjusted live. Values as systemd.resource-control(5).
struct ResourceControl {
  using IndexRanges = std::vector<std::pair<unsigned, unsigned>>;

  std::optional<unsigned> cpu_weight;       // 1..10000, or idle_cpu_weight
  std::optional<std::uint64_t> cpu_quota;   // hundredths of a percent of one CPU
  std::optional<Duration> cpu_period;       // CPUQuotaPeriodSec=
  IndexRanges allowed_cpus, allowed_nodes;  // inclusive; empty: all
  std::optional<ResourceAmount> memory_min, memory_low, memory_high, memory_max, memory_swap_max;
  std::optional<ResourceAmount> tasks_max;
  std::optional<unsigned> io_weight;
  std::vector<IoDeviceWeight> io_device_weights;
  std::vector<IoLimit> io_limits;
  Delegation delegate;
  OomPolicy oom_policy = OomPolicy::stop;

  bool operator==(const ResourceControl&) const = default;
};

enum class HealthCheckKind { none, http, tcp, exec };
struct HealthCheck {
  HealthCheckKind kind = HealthCheckKind::none;
  std::string url;                                    // http:// and https:// as written; "HOST:PORT" for tcp
  std::optional<ExecCommand> command;                 // exec
  std::vector<std::pair<int, int>> healthy_statuses;  // HTTP codes, inclusive ranges; empty: 200-299
  Duration interval = std::chrono::seconds(30);
  Duration timeout = std::chrono::seconds(5);
  Duration start_period = Duration::zero();
  unsigned retries = 3;
  unsigned success_threshold = 1;  // successes in a row that make it healthy
  bool restarts = true;            // HealthCheckAction=restart

  bool operator==(const HealthCheck&) const = default;
};

struct LogPolicy {
  std::uint64_t max_size_bytes = 10u << 20;        // LogMaxSize=
  unsigned max_files = 5;                          // LogMaxFiles=: archives kept besides the live file
  std::uint64_t max_total_bytes = infinite_limit;  // LogMaxTotalSize=: the live file and all archives

  bool operator==(const LogPolicy&) const = default;
};

// A file or folder of the repository that RestartOn= or ReloadOn= names, and what it held in this commit.
struct WatchedPath {
  std::string path;
  std::optional<ObjectId> content;  // blob or tree; nullopt: not in the commit
  bool restarts = true;             // RestartOn=; false: ReloadOn=

  bool operator==(const WatchedPath&) const = default;
};

enum class UpdateStrategy : std::uint8_t { recreate, overlap };

// A file that this unit is made of: the unit file first, then its drop-ins in the order they were applied.
struct UnitSource {
  std::string path;
  ObjectId blob;

  bool operator==(const UnitSource&) const = default;
};

struct Unit {
  std::string name;
  RareText description;
  ServiceType type = ServiceType::simple;
  bool remains_after_exit = false;
  bool is_desired_running = true;  // DesiredState=
  NotifyAccess notify_access = NotifyAccess::none;
  bool guesses_main_pid = true;
  UpdateStrategy update_strategy = UpdateStrategy::recreate;
  RareText pid_file;               // absolute, "" for none
  std::vector<ExecCommand> start;  // ExecStart=; one, or any number for oneshot
  Defaulted<AuxiliaryCommands> auxiliary;
  Defaulted<Dependencies> dependencies;
  Defaulted<std::vector<Condition>> conditions;
  Defaulted<RestartPolicy> restart;
  Defaulted<Timeouts> timeouts;
  Defaulted<KillPolicy> kill;
  Defaulted<ExecContext> exec;
  Defaulted<ResourceControl> resources;
  Defaulted<HealthCheck> health;
  Defaulted<LogPolicy> log;
  Defaulted<std::vector<WatchedPath>> watched;
  std::vector<UnitSource> sources;
  // Identifies what this unit was made from: sources, instance name and watched contents. Equal
  // fingerprints mean the same unit on this node, whatever version of GitProc parsed it; written beside a
  // running process so that its unit is known again after a restart of the agent.
  std::uint64_t fingerprint = 0;

  bool operator==(const Unit&) const = default;

  // Where a group of directives equals that of `other`, the two hold it once: units of a repository are often alike.
  void share_with(const Unit& other);

  const std::vector<ExecCommand>& commands(ExecPhase phase) const;
  Duration start_timeout() const;  // with the default of the type filled in
  Duration abort_timeout() const { return timeouts->abort.value_or(timeouts->stop); }
  bool has_health_check() const { return health->kind != HealthCheckKind::none; }
  // Whether ExecStart= runs in a PID namespace of its own: what PrivatePIDs= says. Without it, on a node where that is
  // the default: unless the unit's type or its directives mean to speak of the machine's own process numbers.
  bool wants_pid_namespace(bool is_node_default) const;
};

using UnitPtr = std::shared_ptr<const Unit>;

}  // namespace gitproc
