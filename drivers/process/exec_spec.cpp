#include "drivers/process/exec_spec.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "reconcile/unit/quoting.h"

namespace gitproc {
namespace {

// Collects variables in the order of precedence, the weakest first.
class Environment {
 public:
  void add(std::string_view name, std::string_view value) {
    Variable& variable = variables_.emplace_back();
    variable.text.reserve(name.size() + 1 + value.size());
    variable.text.append(name).append(1, '=').append(value);
    variable.name_length = name.size();
  }
  void add(const std::vector<EnvironmentVariable>& variables) {
    for (const auto& [name, value] : variables)
      add(name, value);
  }

  // Of several of one name the last stays. Must be called before the functions below.
  void settle() {
    std::stable_sort(variables_.begin(), variables_.end(),
                     [](const Variable& a, const Variable& b) { return a.name() < b.name(); });
    auto kept = variables_.begin();
    for (auto i = variables_.begin(); i != variables_.end(); ++i) {
      if (i + 1 != variables_.end() && (i + 1)->name() == i->name()) continue;
      if (kept != i) *kept = std::move(*i);
      ++kept;
    }
    variables_.erase(kept, variables_.end());
  }

  // UnsetEnvironment=: "NAME" whatever its value, or "NAME=value".
  void remove(std::string_view assignment) {
    std::string_view name = assignment.substr(0, assignment.find('='));
    auto found = find(name);
    if (found == variables_.end()) return;
    if (name.size() == assignment.size() || found->text == assignment) variables_.erase(found);
  }

  std::optional<std::string> value_of(std::string_view name) {
    auto found = find(name);
    if (found == variables_.end()) return std::nullopt;
    return found->text.substr(name.size() + 1);
  }

  std::vector<std::string> take() {
    std::vector<std::string> texts;
    texts.reserve(variables_.size());
    for (Variable& variable : variables_)
      texts.push_back(std::move(variable.text));
    return texts;
  }

 private:
  struct Variable {
    std::string text;
    std::size_t name_length = 0;
    std::string_view name() const { return std::string_view(text).substr(0, name_length); }
  };

  std::vector<Variable>::iterator find(std::string_view name) {
    auto found = std::lower_bound(
        variables_.begin(), variables_.end(), name,
        [](const Variable& variable, std::string_view wanted) { return variable.name() < wanted; });
    return found != variables_.end() && found->name() == name ? found : variables_.end();
  }

  std::vector<Variable> variables_;
};

bool is_login_shell(std::string_view shell) {
  static constexpr std::string_view others[] = {
      "",           "/bin/nologin",   "/sbin/nologin", "/usr/sbin/nologin", "/usr/bin/nologin",
      "/bin/false", "/usr/bin/false", "/bin/true",     "/usr/bin/true"};
  return std::ranges::find(others, shell) == std::end(others);
}

constexpr std::pair<DirectoryKind, std::string_view> directory_variables[] = {
    {DirectoryKind::runtime, "RUNTIME_DIRECTORY"},
    {DirectoryKind::state, "STATE_DIRECTORY"},
    {DirectoryKind::cache, "CACHE_DIRECTORY"},
    {DirectoryKind::logs, "LOGS_DIRECTORY"},
    {DirectoryKind::configuration, "CONFIGURATION_DIRECTORY"},
};

void add_directories(const ExecContext& exec, const ExecFacts& facts, Environment& environment) {
  if (exec.directories.empty()) return;
  for (const auto& [kind, name] : directory_variables) {
    std::string paths;
    for (const ManagedDirectory& directory : exec.directories) {
      if (directory.kind != kind) continue;
      if (!paths.empty()) paths += ':';
      paths += facts.base_directory(kind) + "/" + directory.path;
    }
    if (!paths.empty()) environment.add(name, paths);
  }
}

void add_exit(const Spawn& spawn, Environment& environment) {
  // Of a condition that is a command, as systemd says it.
  bool is_condition = spawn.result == ServiceResult::condition;
  if (spawn.result)
    environment.add("SERVICE_RESULT", is_condition ? "exec-condition" : to_string(*spawn.result));
  if (!spawn.main_exit) return;
  switch (spawn.main_exit->kind) {
    case ExitStatus::Kind::exited:
      environment.add("EXIT_CODE", "exited");
      environment.add("EXIT_STATUS", std::to_string(spawn.main_exit->value));
      break;
    case ExitStatus::Kind::killed:
      environment.add("EXIT_CODE", "killed");
      environment.add("EXIT_STATUS", signal_name(spawn.main_exit->value));
      break;
    case ExitStatus::Kind::dumped:
      environment.add("EXIT_CODE", "dumped");
      environment.add("EXIT_STATUS", signal_name(spawn.main_exit->value));
      break;
    case ExitStatus::Kind::unknown: break;
  }
}

Environment make_environment(const Spawn& spawn, const ExecFacts& facts,
                             const std::optional<Account>& account,
                             const std::vector<EnvironmentVariable>& file_environment) {
  const Unit& unit = *spawn.unit;
  const ExecContext& exec = *unit.exec;
  Environment environment;
  environment.add("PATH", default_path_variable);
  environment.add(facts.default_environment);
  for (const std::string& name : exec.pass_environment) {
    for (const auto& [candidate, value] : facts.agent_environment) {
      if (candidate == name) environment.add(name, value);
    }
  }
  if (account && !exec.user.empty()) {
    environment.add("USER", account->name);
    environment.add("LOGNAME", account->name);
    if (!account->home.empty() && account->home != "/") environment.add("HOME", account->home);
    if (is_login_shell(account->shell)) environment.add("SHELL", account->shell);
  }
  environment.add("INVOCATION_ID", spawn.invocation.hex());
  if (!facts.tree.empty()) environment.add("GITPROC_TREE", facts.tree);
  if (unit.notify_access != NotifyAccess::none) environment.add("NOTIFY_SOCKET", facts.notify_socket);
  Duration watchdog = unit.timeouts->watchdog;
  if (spawn.phase == ExecPhase::start && watchdog != infinite && watchdog > Duration::zero()) {
    environment.add("WATCHDOG_USEC", std::to_string(watchdog.count()));
    environment.add("WATCHDOG_PID", "");
  }
  if (spawn.main_pid != 0) environment.add("MAINPID", std::to_string(spawn.main_pid));
  add_exit(spawn, environment);
  add_directories(exec, facts, environment);
  environment.add(exec.environment);
  environment.add(file_environment);
  environment.settle();
  for (const std::string& assignment : exec.unset_environment)
    environment.remove(assignment);
  return environment;
}

std::string working_directory_of(const ExecContext& exec, const ExecFacts& facts,
                                 const std::optional<Account>& account) {
  if (exec.working_directory.path == "~") return account ? account->home : facts.home;
  if (exec.working_directory.path.empty()) return facts.default_working_directory;
  return exec.working_directory.path;
}

StreamTarget output_of(const OutputTarget& target, const ExecFacts& facts, const std::string& log) {
  static constexpr int writing = O_WRONLY | O_CREAT;
  static constexpr mode_t log_mode = 0640, file_mode = 0644;
  using Kind = StreamTarget::Kind;
  switch (target.kind) {
    case OutputKind::log:
      return {.kind = Kind::file, .path = log, .flags = writing | O_APPEND | O_NOFOLLOW, .mode = log_mode};
    case OutputKind::journal:
      return {.kind = facts.journal_socket.empty() ? Kind::file : Kind::journal,
              .path = log,
              .flags = writing | O_APPEND | O_NOFOLLOW,
              .mode = log_mode};
    case OutputKind::inherit: return {.kind = Kind::duplicate};
    case OutputKind::null: return {.kind = Kind::null};
    case OutputKind::file:
      return {.kind = Kind::file, .path = target.path, .flags = writing, .mode = file_mode};
    case OutputKind::append:
      return {.kind = Kind::file, .path = target.path, .flags = writing | O_APPEND, .mode = file_mode};
    case OutputKind::truncate:
      return {.kind = Kind::file, .path = target.path, .flags = writing | O_TRUNC, .mode = file_mode};
  }
  __builtin_unreachable();
}

void set_streams(const Unit& unit, const ExecFacts& facts, ExecSpec& spec) {
  const ExecContext& exec = *unit.exec;
  if (!exec.standard_input_file.empty()) {
    spec.input = {.kind = StreamTarget::Kind::file, .path = exec.standard_input_file, .flags = O_RDONLY};
  }
  std::string log = log_path(facts, unit.name);
  spec.output = output_of(exec.standard_output, facts, log);
  // Inheriting from /dev/null opens it anew, for writing.
  if (exec.standard_output.kind == OutputKind::inherit && exec.standard_input_file.empty()) {
    spec.output = {.kind = StreamTarget::Kind::null};
  }
  // The same target twice is opened once, so that the two streams share one offset.
  spec.error = exec.standard_error == exec.standard_output && exec.standard_error.kind != OutputKind::null
                   ? StreamTarget{.kind = StreamTarget::Kind::duplicate}
                   : output_of(exec.standard_error, facts, log);
}

}  // namespace

const std::string& ExecFacts::base_directory(DirectoryKind kind) const {
  switch (kind) {
    case DirectoryKind::runtime: return runtime_directory;
    case DirectoryKind::state: return state_directory;
    case DirectoryKind::cache: return cache_directory;
    case DirectoryKind::logs: return logs_directory;
    case DirectoryKind::configuration: return configuration_directory;
  }
  __builtin_unreachable();
}

std::string log_path(const ExecFacts& facts, const std::string& service) {
  return facts.log_directory + "/" + service + ".log";
}

namespace {

ExecSpec make_spec(const Spawn& spawn, const ExecCommand& command, const ExecFacts& facts,
                   const std::optional<Account>& account,
                   const std::vector<EnvironmentVariable>& file_environment) {
  const Unit& unit = *spawn.unit;
  const ExecContext& exec = *unit.exec;
  Environment environment = make_environment(spawn, facts, account, file_environment);

  ExecSpec spec;
  spec.service = unit.name;
  spec.path = command.program();
  bool has_variables =
      command.expands_environment && std::ranges::any_of(command.arguments, [](std::string_view argument) {
        return argument.find('$') != std::string_view::npos;
      });
  spec.argv = has_variables
                  ? expand_environment(command.arguments,
                                       [&](std::string_view name) { return environment.value_of(name); })
                  : command.arguments.unpacked();
  spec.envp = environment.take();
  spec.working_directory = working_directory_of(exec, facts, account);
  spec.working_directory_is_optional = exec.working_directory.is_optional;
  if (account && !command.is_privileged && !command.keeps_user) spec.account = account;
  spec.umask = exec.umask;
  spec.limits = exec.limits;
  spec.nice = exec.nice;
  spec.oom_score_adjust = exec.oom_score_adjust;
  spec.ignores_sigpipe = exec.ignores_sigpipe;
  spec.no_new_privileges = exec.no_new_privileges && !command.is_privileged;
  // Commands beside the main process speak of it by $MAINPID, which is the machine's number: they stay outside.
  spec.has_pid_namespace =
      spawn.phase == ExecPhase::start && unit.wants_pid_namespace(facts.has_pid_namespaces);
  set_streams(unit, facts, spec);
  return spec;
}

}  // namespace

ExecSpec make_exec_spec(const Spawn& spawn, const ExecFacts& facts, const std::optional<Account>& account,
                        const std::vector<EnvironmentVariable>& file_environment) {
  const ExecCommand& command = spawn.unit->commands(spawn.phase).at(spawn.command_index);
  return make_spec(spawn, command, facts, account, file_environment);
}

ExecSpec make_probe_spec(const StartProbe& probe, const ExecFacts& facts,
                         const std::optional<Account>& account,
                         const std::vector<EnvironmentVariable>& file_environment, int output) {
  // The phase only keeps the watchdog's variables out: a probe is beside the main process, like a reload.
  const Spawn like_reload{.service = probe.service,
                          .unit = probe.unit,
                          .phase = ExecPhase::reload,
                          .invocation = probe.invocation,
                          .main_pid = probe.main_pid};
  ExecSpec spec = make_spec(like_reload, *probe.unit->health->command, facts, account, file_environment);
  spec.input = {};
  spec.output = {.kind = StreamTarget::Kind::descriptor, .descriptor = output};
  spec.error = {.kind = StreamTarget::Kind::duplicate};
  spec.dies_with_agent = true;
  return spec;
}

}  // namespace gitproc
