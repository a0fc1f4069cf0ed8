// The agent's configuration: built-in defaults, then the configuration file, then the flags. Unknown keys, wrong
// types and bad values are errors that name the key; a key of a part that this version does not have is an error
// too, so that nobody relies on a protection that is not there.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/agent.h"
#include "agent/protocol/paths.h"
#include "agent/remote_settings.h"
#include "drivers/base/listen_address.h"
#include "reconcile/base/error.h"
#include "reconcile/base/time.h"
#include "reconcile/trust/policy.h"

namespace gitproc {

inline constexpr std::size_t max_configuration_bytes = 1u << 20;

enum class OnExit { automatic, leave, stop };

struct Configuration {
  std::string repo;
  std::optional<std::string> branch;  // nullopt: the one that HEAD names
  std::string node;                   // "": the host name
  std::map<std::string, std::string, std::less<>> labels;
  std::string state_dir;
  std::string log_dir;
  std::string run_dir;
  std::string socket;
  std::string socket_group;  // "": none
  bool socket_read_all = false;
  std::string log_level = "info";  // error, warning, info, debug
  OnExit on_exit = OnExit::automatic;
  bool skips_invalid = false;  // on_invalid: "skip"
  Duration min_healthy_time = std::chrono::seconds(10);
  Duration rollout_deadline = std::chrono::minutes(5);
  bool auto_rollback = false;
  bool prune_guard = true;
  std::string cgroup_parent = "gitproc";
  std::optional<ListenAddress> http_listen;  // nullopt: no HTTP
  std::string http_tls_cert;                 // this and all below: "" is none
  std::string http_tls_key;
  std::string webhook_secret_file;
  std::string notify_exec;  // a command line, as ExecStart= has it
  std::string notify_url;
  std::optional<bool> has_pid_namespaces;  // isolation.pid_namespace; nullopt: for root's agent
  bool refuses_unenforceable = false;      // isolation.unenforceable: "refuse"
  SignaturePolicy signatures;              // verify.*
  RemoteSettings remote;

  bool operator==(const Configuration&) const = default;
};

// Defaults and the text of a configuration file (none: ""), `file` being its name for messages.
Result<Configuration> parse_configuration(std::string_view text, const std::string& file,
                                          const Paths& defaults);

// Puts the flags over it.
Result<Configuration> apply_arguments(Configuration configuration, const AgentArguments& arguments);

// Reads the file that `arguments` or `defaults` name (the default one may be absent) and does both.
Result<Configuration> load_configuration(const AgentArguments& arguments, const Paths& defaults);

// The keys in which the two differ, in the order of the documentation.
std::vector<std::string> changed_keys(const Configuration& from, const Configuration& to);
// Whether a changed key takes effect by agent-reload, without a restart of the agent.
bool is_reloadable(std::string_view key);

}  // namespace gitproc
