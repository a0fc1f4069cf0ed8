// What one Exec...= command comes down to, as plain data: everything execve(2) and the steps before it need,
// with no look-up left to do. Making it is pure, so that a golden test can show exactly what a unit gets; doing
// it is the Spawner's work.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reconcile/command.h"

namespace gitproc {

// A user as the account database tells it (passwd(5), group(5)), with Group= and SupplementaryGroups= applied.
struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // all supplementary groups
  std::string name;
  std::string home;
  std::string shell;

  bool operator==(const Account&) const = default;
};

// The agent's and the machine's side; the same for all services.
struct ExecFacts {
  std::string tree;                             // $GITPROC_TREE
  std::string notify_socket;                    // $NOTIFY_SOCKET
  std::string journal_socket;                   // of journald, for StandardOutput=journal; "": there is none
  std::string log_directory;                    // each service's log is NAME.log in it
  std::string home;                             // of the agent's user
  std::string default_working_directory = "/";  // the home for an unprivileged agent
  // Base directories of RuntimeDirectory= and its siblings.
  std::string runtime_directory = "/run";
  std::string state_directory = "/var/lib";
  std::string cache_directory = "/var/cache";
  std::string logs_directory = "/var/log";
  std::string configuration_directory = "/etc";
  // What every service gets from the agent (LANG, and for an unprivileged agent HOME, USER, ...), and what
  // PassEnvironment= may take from.
  std::vector<EnvironmentVariable> default_environment;
  std::vector<EnvironmentVariable> agent_environment;
  bool has_pid_namespaces = false;  // isolation.pid_namespace

  const std::string& base_directory(DirectoryKind kind) const;
};

// Where a standard stream goes. `duplicate` of standard output is standard input, of standard error standard
// output, as "inherit" of systemd.exec(5). `journal` is a stream of journald's where one can be had, else the file.
struct StreamTarget {
  enum class Kind { null, file, duplicate, journal, descriptor };
  Kind kind = Kind::null;
  std::string path;  // file, journal
  int flags = 0;     // of open(2), for the same
  mode_t mode = 0;
  int descriptor = -1;  // the spawning process's, not below 3

  bool operator==(const StreamTarget&) const = default;
};

struct ExecSpec {
  std::string service;  // its name
  std::string path;     // absolute, or a bare name still to be looked up in executable_search_path
  std::vector<std::string> argv;
  std::vector<std::string> envp;  // "NAME=value", sorted by name; one of them may be watchdog_pid_variable
  std::string working_directory;
  bool working_directory_is_optional = false;
  std::optional<Account> account;  // nullopt: stay who the agent is
  mode_t umask = 0022;
  std::vector<ResourceLimit> limits;
  std::optional<int> nice;
  std::optional<int> oom_score_adjust;
  StreamTarget input, output, error;
  bool ignores_sigpipe = true;
  bool no_new_privileges = false;
  bool has_pid_namespace = false;
  bool dies_with_agent = false;

  bool operator==(const ExecSpec&) const = default;
};

inline constexpr const char* executable_search_path[] = {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/",
                                                         "/usr/bin/",        "/sbin/",          "/bin/"};
inline constexpr const char* default_path_variable =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// The child itself writes its pid behind this entry of envp: only it knows it (sd_watchdog_enabled(3)).
inline constexpr const char* watchdog_pid_variable = "WATCHDOG_PID=";

// For the command unit->commands(phase)[command_index] of `spawn`, which must exist. `account`: what User=, Group=
// and SupplementaryGroups= come to, where any of them is set. `file_environment`: what the EnvironmentFile= files
// hold, in order. Precedence of variables as in systemd.exec(5).
ExecSpec make_exec_spec(const Spawn& spawn, const ExecFacts& facts, const std::optional<Account>& account,
                        const std::vector<EnvironmentVariable>& file_environment);

// For the command of a health check, `probe.unit->health->command`, which must exist: in the surroundings of the
// service's other commands, but that its output goes to `output`.
ExecSpec make_probe_spec(const StartProbe& probe, const ExecFacts& facts,
                         const std::optional<Account>& account,
                         const std::vector<EnvironmentVariable>& file_environment, int output);

// The log file of a service.
std::string log_path(const ExecFacts& facts, const std::string& service);

}  // namespace gitproc
