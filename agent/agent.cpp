#include "agent/agent.h"

#include <grp.h>
#include <malloc.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <asio.hpp>
#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/child_exits.h"
#include "agent/configuration.h"
#include "agent/control_server.h"
#include "agent/daemon.h"
#include "agent/http_service.h"
#include "agent/machine.h"
#include "agent/notices.h"
#include "agent/requests.h"
#include "drivers/base/system_call.h"
#include "drivers/cgroup/layout.h"
#include "drivers/cgroup/tree.h"
#include "drivers/git/git_library.h"
#include "drivers/git/remote_refs.h"
#include "drivers/git/remote_url.h"
#include "drivers/git/signatures.h"
#include "drivers/process/journal_stream.h"
#include "drivers/process/linux_process_driver.h"
#include "drivers/store/state_lock.h"

namespace gitproc {
namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;
constexpr std::size_t daemon_log_bytes = 10u << 20;
constexpr std::size_t daemon_log_files = 5;
constexpr std::size_t max_mountinfo_bytes = 4u << 20;

int refuse(const std::string& message, int exit_code) {
  std::cerr << "gitproc agent: " << message << "\n";
  return exit_code;
}

Result<void> start_logging(const Configuration& configuration) {
  std::vector<spdlog::sink_ptr> sinks;
  std::string file = configuration.log_dir + "/daemon.log";
  try {
    sinks.push_back(std::make_shared<spdlog::sinks::stderr_color_sink_st>());
    sinks.push_back(
        std::make_shared<spdlog::sinks::rotating_file_sink_st>(file, daemon_log_bytes, daemon_log_files));
  } catch (const spdlog::spdlog_ex& failed) {
    return fail("cannot write '" + file + "': " + failed.what());
  }
  auto logger = std::make_shared<spdlog::logger>("gitproc", sinks.begin(), sinks.end());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(configuration.log_level));
  // The daemon flushes once a turn; what is worse than news goes out at once.
  logger->flush_on(spdlog::level::warn);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

Result<std::optional<gid_t>> find_group(const std::string& name) {
  if (name.empty()) return std::nullopt;
  const group* found = ::getgrnam(name.c_str());
  if (found == nullptr) return fail("'socket_group': no group '" + name + "'", ErrorCode::invalid);
  return std::optional(found->gr_gid);
}

// `on_exit: "auto"`: who is PID 1, or runs on a terminal, takes its services along.
bool stops_services(OnExit on_exit) {
  switch (on_exit) {
    case OnExit::leave: return false;
    case OnExit::stop: return true;
    case OnExit::automatic: return ::getpid() == 1 || ::isatty(STDIN_FILENO) == 1;
  }
  __builtin_unreachable();
}

// SIGTERM and SIGINT end the agent, a second one without waiting for the services; SIGHUP reads the configuration.
class Signals {
 public:
  Signals(asio::io_context& loop, Daemon& daemon, Requests& requests)
      : set_(loop, SIGTERM, SIGINT, SIGHUP), daemon_(daemon), requests_(requests) {
    wait();
  }

 private:
  void wait() {
    set_.async_wait([this](const asio::error_code& stopped, int signal) {
      if (stopped) return;
      if (signal == SIGHUP) {
        if (Result<Json> changed = requests_.reload_configuration(); !changed)
          spdlog::error("{}", changed.error().message);
      } else if (daemon_.is_shutting_down()) {
        spdlog::warn("told to end again: the services that still run are left running");
        daemon_.shut_down(false);
      } else {
        bool stops = stops_services(daemon_.configuration().on_exit);
        spdlog::info("ending{}", stops ? ", the services stop first" : ", the services go on");
        daemon_.shut_down(stops);
      }
      wait();
    });
  }

  asio::signal_set set_;
  Daemon& daemon_;
  Requests& requests_;
};

// A repository that is not there is most likely a mistyped path, but not on a node that had one before.
// The clone of a remote is made here, and filled by the first fetch.
Result<void> check_repository(const Configuration& configuration, const DurableState& durable) {
  const RemoteSettings& remote = configuration.remote;
  bool is_missing = ::access(configuration.repo.c_str(), F_OK) != 0 && errno == ENOENT;
  if (!remote.url.empty() && is_missing) {
    Result<RemoteUrl> url = parse_remote_url(remote.url);
    if (!url) return std::unexpected(url.error());
    return make_clone(configuration.repo, configuration.branch.value_or(std::string(default_branch)),
                      url->shown());
  }
  if (durable.applied) return {};
  Result<Repository> repository = Repository::open(configuration.repo);
  if (repository || repository.error().code == ErrorCode::unavailable) return {};
  return fail(repository.error().message + " (make one with: gitproc init " + configuration.repo + ")");
}

ExecFacts exec_facts(const Configuration& configuration, const SpecifierContext& machine) {
  bool is_root = ::geteuid() == 0;
  ExecFacts facts{.tree = machine.tree,
                  .notify_socket = "",
                  .journal_socket = is_root ? journal_stream_socket : "",
                  .log_directory = configuration.log_dir,
                  .home = machine.home,
                  .default_working_directory = is_root ? "/" : machine.home,
                  .runtime_directory = machine.runtime_directory,
                  .state_directory = machine.state_directory,
                  .cache_directory = machine.cache_directory,
                  .logs_directory = machine.logs_directory,
                  .configuration_directory = machine.configuration_directory,
                  .has_pid_namespaces = configuration.has_pid_namespaces.value_or(is_root)};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    std::string_view text = *variable;
    std::size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      facts.agent_environment.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  // As systemd's managers do: the locale for all, and for a user's services who and where that user is.
  for (const EnvironmentVariable& variable : facts.agent_environment) {
    bool is_locale = variable.first == "LANG" || variable.first.starts_with("LC_");
    bool is_user = variable.first == "XDG_RUNTIME_DIR";
    if (is_locale || (!is_root && is_user)) facts.default_environment.push_back(variable);
  }
  if (!is_root) {
    facts.default_environment.emplace_back("HOME", machine.home);
    facts.default_environment.emplace_back("LOGNAME", machine.user_name);
    facts.default_environment.emplace_back("SHELL", machine.shell);
    facts.default_environment.emplace_back("USER", machine.user_name);
  }
  return facts;
}

Result<CgroupTree> open_cgroups(const std::string& mounts, const std::string& parent) {
  std::optional<std::string> mount = find_cgroup2_mount(mounts);
  if (!mount) {
    V1Mounts v1 = find_v1_mounts(mounts);
    auto freezer = v1.find("freezer");
    if (freezer != v1.end()) return CgroupTree::open_v1(freezer->second, parent);
    return fail("no cgroup2 file system is mounted", ErrorCode::unavailable);
  }
  Result<std::string> own = read_file("/proc/self/cgroup", max_mountinfo_bytes);
  if (!own) return std::unexpected(own.error());
  return CgroupTree::open_below(*mount, own_cgroups(*own), parent);
}

// What this node has to do without is said in `unavailable`.
Result<std::unique_ptr<LinuxProcessDriver>> open_processes(const Configuration& configuration,
                                                           const Machine& machine,
                                                           const ChildExits& child_exits,
                                                           std::vector<std::string>& unavailable) {
  LinuxProcessDriver::Options options{
      .facts = exec_facts(configuration, machine.specifiers),
      .run_directory = configuration.run_dir,
      .boot_id = machine.boot_id,
      .cgroups = std::nullopt,
      .cgroup_parent = configuration.cgroup_parent,
      .refuses_unenforceable = configuration.refuses_unenforceable,
      .on_other_exit = [&child_exits](Pid pid, const ExitStatus& status) { child_exits.tell(pid, status); }};
  Result<std::string> mounts = read_file("/proc/self/mountinfo", max_mountinfo_bytes);
  if (!mounts) return std::unexpected(mounts.error());
  options.v1_mounts = find_v1_mounts(*mounts);
  if (Result<CgroupTree> cgroups = open_cgroups(*mounts, configuration.cgroup_parent); cgroups) {
    options.cgroups = *std::move(cgroups);
  } else if (cgroups.error().code == ErrorCode::busy) {
    return std::unexpected(cgroups.error());
  } else {
    unavailable.push_back("services have no cgroup of their own: " + cgroups.error().message);
  }
  if (::geteuid() != 0)
    unavailable.push_back("User=, Group= and what else needs root: the agent runs as an ordinary user");
  return LinuxProcessDriver::open(std::move(options));
}

// Nothing where nobody is to be notified.
std::unique_ptr<Notices> start_notices(asio::io_context& loop, Daemon& daemon, ChildExits& child_exits,
                                       const Configuration& configuration) {
  Notifier::Options options{.command = {}, .url = configuration.notify_url};
  if (!configuration.notify_exec.empty()) options.command = *parse_notice_command(configuration.notify_exec);
  if (options.command.empty() && options.url.empty()) return nullptr;
  return std::make_unique<Notices>(loop, daemon, child_exits, options);
}

// Nothing where `http.listen` is not set: the libraries behind it are not even loaded.
Result<std::unique_ptr<HttpService>> start_http(asio::io_context& loop, Daemon& daemon,
                                                const Notices* notices, const Configuration& configuration) {
  if (!configuration.http_listen) return nullptr;
  HttpService::Options options{.address = *configuration.http_listen,
                               .tls_certificate = configuration.http_tls_cert,
                               .tls_key = configuration.http_tls_key,
                               .secret_file = configuration.webhook_secret_file};
  auto fetch = [&daemon](const std::string& by) { daemon.request_fetch(by); };
  Result<std::unique_ptr<HttpService>> http = HttpService::start(loop, daemon, notices, options, fetch);
  if (http)
    spdlog::info("HTTP{} on {}", options.tls_key.empty() ? "" : " with TLS", to_string((*http)->address()));
  return http;
}

// What was decided for the machine that this disk was cloned from is not this machine's: it is set aside, and said.
std::string leave_clone(FileStateStore& store, DurableState& state, std::string machine) {
  // "uninitialized" until the first boot has ended, and empty in many containers (machine-id(5)).
  constexpr std::size_t machine_id_digits = 32;
  bool is_id = machine.size() == machine_id_digits &&
               machine.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_id) machine.clear();
  std::optional<DurableState> left = left_by_clone(state, machine);
  bool is_clone = left.has_value();
  std::string notice;
  if (left) {
    notice = "this disk was cloned from machine " + state.machine +
             ": its pin, branch, holds and history are not taken over";
    if (Result<std::string> aside = store.set_aside("other-machine"))
      notice += "; set aside as '" + *aside + "'";
    state = *std::move(left);
  }
  if (machine.empty() || (state.machine == machine && !is_clone)) return notice;
  state.machine = machine;
  // Now, so that a start without any decision is known of, too.
  if (Result<void> saved = store.save(state); !saved) spdlog::warn("{}", saved.error().message);
  return notice;
}

int run(const AgentArguments& arguments, const Configuration& configuration) {
  for (const std::string& directory :
       {configuration.state_dir, configuration.log_dir, configuration.run_dir}) {
    if (Result<void> made = make_directories(directory, 0755); !made)
      return refuse(made.error().message, exit_failed);
  }
  Result<StateLock> lock = StateLock::acquire(configuration.state_dir);
  if (!lock) return refuse(lock.error().message, exit_failed);
  std::optional<StateLock> run_lock;
  if (configuration.run_dir != configuration.state_dir) {
    Result<StateLock> locked = StateLock::acquire(configuration.run_dir, "run directory");
    if (!locked) return refuse(locked.error().message, exit_failed);
    run_lock.emplace(*std::move(locked));
  }

  // Before the first thread, and to the end. Where it cannot be loaded, whoever needs it says so.
  Result<GitLibrary> git = GitLibrary::for_local_use();
  FileStateStore store(configuration.state_dir);
  LoadedState loaded = store.load();
  if (Result<void> checked = check_repository(configuration, loaded.state); !checked)
    return refuse(checked.error().message, exit_failed);
  Result<std::optional<gid_t>> group = find_group(configuration.socket_group);
  if (!group) return refuse(group.error().message, exit_usage);
  if (Result<void> logging = start_logging(configuration); !logging)
    return refuse(logging.error().message, exit_failed);
  for (const std::string& warning : loaded.warnings)
    spdlog::warn("{}", warning);

  Machine machine = read_machine(configuration.state_dir + "/tree");
  NodeIdentity node{.name = configuration.node.empty() ? machine.specifiers.host_name : configuration.node,
                    .labels = configuration.labels};
  std::vector<std::string> unavailable = missing_tools(configuration.signatures);
  if (std::string notice = leave_clone(store, loaded.state, machine.specifiers.machine_id); !notice.empty())
    unavailable.push_back(std::move(notice));
  for (const std::string& lack : unavailable)
    spdlog::warn("{}", lack);
  ChildExits child_exits;
  Result<std::unique_ptr<LinuxProcessDriver>> processes =
      open_processes(configuration, machine, child_exits, unavailable);
  if (!processes) return refuse(processes.error().message, exit_failed);
  Result<std::unique_ptr<StoreWriter>> writer = StoreWriter::start(store);
  if (!writer) return refuse(writer.error().message, exit_failed);
  Result<LogRotator> rotator = LogRotator::open(configuration.log_dir);
  if (!rotator) return refuse(rotator.error().message, exit_failed);

  asio::io_context loop(1);
  Daemon daemon({.loop = loop,
                 .configuration = configuration,
                 .machine = std::move(machine),
                 .node = std::move(node),
                 .durable = std::move(loaded.state),
                 .processes = **processes,
                 .store = **writer,
                 .rotator = *rotator,
                 .unavailable = std::move(unavailable)});
  Requests requests(loop, daemon, [&arguments] {
    return load_configuration(arguments, default_paths(path_environment()));
  });
  Result<std::unique_ptr<ControlServer>> server = ControlServer::listen(
      loop, configuration.socket,
      {.own_uid = ::geteuid(), .group = *group, .read_all = configuration.socket_read_all},
      [&requests](const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply) {
        requests.serve(peer, request, reply);
      });
  if (!server) return refuse(server.error().message, exit_failed);
  std::unique_ptr<Notices> notices = start_notices(loop, daemon, child_exits, configuration);
  Result<std::unique_ptr<HttpService>> http = start_http(loop, daemon, notices.get(), configuration);
  if (!http) return refuse(http.error().message, exit_failed);
  if (Result<void> started = daemon.start(); !started) return refuse(started.error().message, exit_failed);
  Signals signals(loop, daemon, requests);
  spdlog::info("node {} follows {} (control socket {})", daemon.node().name, configuration.repo,
               configuration.socket);
  spdlog::default_logger()->flush();
  loop.run();
  return 0;
}

}  // namespace

int run_agent(const AgentArguments& arguments) {
  // Before any thread: the process driver takes SIGCHLD through a descriptor, in all threads.
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  // What one thread frees, the next may have: the threads take turns, so they gain nothing from heaps of their own.
  ::mallopt(M_ARENA_MAX, 1);
  std::signal(SIGPIPE, SIG_IGN);
  ::umask(022);

  Result<Configuration> configuration = load_configuration(arguments, default_paths(path_environment()));
  if (!configuration) return refuse(configuration.error().message, exit_usage);
  // Not on the first thread: the children that this one makes are then on a list of the kernel's own, and the first
  // thread's list, where orphans go, is short to look through (drivers/process/membership.cpp).
  int exit_code = exit_failed;
  std::thread([&] { exit_code = run(arguments, *configuration); }).join();
  spdlog::shutdown();
  return exit_code;
}

}  // namespace gitproc
