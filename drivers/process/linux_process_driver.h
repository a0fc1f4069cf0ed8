// The ProcessDriver of a real machine: puts the parts of this folder together. One epoll descriptor waits for all
// of them: ended processes, inotify, notify messages, and what the commands themselves found out.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "drivers/cgroup/limit_keeper.h"
#include "drivers/cgroup/tree.h"
#include "drivers/process/accounts.h"
#include "drivers/process/exec_probes.h"
#include "drivers/process/exec_spec.h"
#include "drivers/process/exit_watcher.h"
#include "drivers/process/inotify_watches.h"
#include "drivers/process/membership.h"
#include "drivers/process/notify_socket.h"
#include "drivers/process/process_driver.h"
#include "drivers/process/reminders.h"
#include "drivers/process/run_journal.h"
#include "drivers/process/spawner.h"
#include "reconcile/base/rare.h"

namespace gitproc {

class LinuxProcessDriver final : public ProcessDriver {
 public:
  struct Options {
    ExecFacts facts;            // notify_socket is filled in
    std::string run_directory;  // exists; holds runs.journal and notify
    std::string boot_id;        // without blanks
    std::optional<CgroupTree> cgroups;
    // Of limits that are not in the v2 tree: the v1 hierarchies, and the name of the services' group in each.
    V1Mounts v1_mounts = {};
    std::string cgroup_parent = {};
    bool refuses_unenforceable = false;  // a service whose limits cannot be had is not started
    // Told of children that end and that this driver did not start: other drivers' workers, where the driver was
    // first to reap them. Called from drain().
    std::function<void(Pid, const ExitStatus&)> on_other_exit;
  };

  // To be made before any other thread is: it blocks SIGCHLD. Raises the soft RLIMIT_NOFILE to the hard one (services
  // get the former one). Errors: the run journal or the notify socket cannot be made.
  static Result<std::unique_ptr<LinuxProcessDriver>> open(Options options);

  std::vector<AdoptedService> take_adopted() override { return journal_.take_adopted(); }
  void adopt(ServiceId service, const AdoptedService& adopted) override;
  void spawn(const Spawn& command) override;
  std::vector<SpawnOutcome> take_spawned() override;
  void kill(const Kill& command) override;
  void await_main_pid(const AwaitMainPid& command) override;
  void clean_up(const CleanUp& command) override;
  void adjust_limits(const AdjustLimits& command) override;
  SurvivorsFound find_survivors(const FindSurvivors& command) override;
  ConditionsChecked check_conditions(const CheckConditions& command) override;
  PreflightChecked preflight(const Preflight& command) override;
  void start_probe(const StartProbe& command) override;
  void cancel_probe(ServiceId service) override { probes_.cancel(service); }
  Result<void> record(const RunRecord& record) override;
  ~LinuxProcessDriver() override;
  int fd() const override { return epoll_.get(); }
  std::vector<Event> drain() override;
  std::string cgroup_of(ServiceId service) const override;
  FigurePlaces figure_places(ServiceId service) override;
  std::vector<std::string> take_unavailable() override { return std::exchange(unavailable_, {}); }

 private:
  // A signal to all of a service that some may not have got yet.
  struct GroupKill {
    Kill command;
    bool went_to_groups = false;   // those of the main and the control process have it
    std::unordered_set<Pid> told;  // nobody gets it twice
  };
  // What is known of a service that has begun besides its Membership. Most that just run are as this begins, and take
  // no memory: see state_of and drop_if_plain.
  struct Service {
    Pid init = 0;  // of the newest PID namespace
    bool is_adopted = false;
    bool awaits_empty = false;
    std::uint8_t oom_looks = 0;         // that are still to come after the kernel's word in v1
    std::uint8_t orphan_looks : 7 = 0;  // that were taken; see awaits_orphans()
    bool is_orphan_look_due : 1 = false;
    std::unique_ptr<GroupKill> group_kill;
    Rare<UnitPtr> awaits_main_pid;  // the unit of an AwaitMainPid under way
    std::uint64_t oom_kills = 0;    // that are known of
    Instant oom_told_at{};          // when the last was told as OomKilled

    bool is_plain() const {
      return init == 0 && !is_adopted && !awaits_empty && oom_looks == 0 && !group_kill && !awaits_main_pid &&
             oom_kills == 0 && oom_told_at == Instant{};
    }
  };

  LinuxProcessDriver(Options options, RunJournal journal, NotifySocket notify, Spawner::Options spawner);

  void begin(ServiceId service, const std::string& name, const InvocationId& invocation, bool is_adopted);
  // Null for one that is plain or has not begun.
  Service* find(ServiceId service);
  // Of one that has begun. Valid until it is dropped.
  Service& state_of(ServiceId service) { return services_[index_of(service)]; }
  void drop_if_plain(ServiceId service);
  // What has to be looked up before a command of the unit can be made.
  struct Surroundings {
    std::optional<Account> account;
    std::vector<EnvironmentVariable> file_environment;
  };
  std::expected<Surroundings, SpawnFault> look_up_surroundings(const ExecContext& exec);
  std::vector<UniqueFd> connect_journal(const Unit& unit, ExecSpec& spec) const;
  void begin_spawn(const Spawn& command, bool may_have_namespace);
  std::optional<SpawnFault> try_spawn(const Spawn& command, bool may_have_namespace);
  void end_spawn(const Spawn& command, bool may_have_namespace, const Spawner::Outcome& outcome);
  void settle_first_spawn();
  // Waits until no process is on its way.
  void settle_spawns();
  // That, and sends what is to be sent: before anything else is done with processes that there are.
  void settle();
  void compact_journal_if_large();
  std::expected<Pid, SpawnFault> try_probe(const StartProbe& command, int output);
  void track(ServiceId service, Pid pid);

  // --- linux_process_namespaces.cpp ---
  bool can_have_namespace() const { return can_have_namespaces_ || refuses_unenforceable_; }
  // Whether to try again without a namespace, which is not to be had and may be done without.
  bool forgoes_namespace(const SpawnFault& fault);
  void add_init(ServiceId service, Pid init, Pid main);
  // A process has ended: if it was the one that a namespace was made for, its init goes with the last of what is left.
  void let_go_of_init(Pid main);
  // If it was an init itself, the service that it was of.
  std::optional<ServiceId> forget_init(Pid init);
  std::vector<Pid> members_but_inits(ServiceId service);
  // The process of the service that `sender`, which may be gone, means by a number of its own namespace. 0: none.
  Pid translate(ServiceId service, Pid sender, Pid pid);

  // --- linux_process_limits.cpp ---
  // The groups that the service's next process goes to, with its limits written. Fault: they cannot be had.
  struct Place {
    CgroupTree::Entrance group;
    CgroupTree::Entrance inits;
    std::vector<UniqueFd> entrances;

    Spawner::Place for_spawn() const;
  };
  // One that the Spawner has begun, with what must stay open until it is finished.
  struct SpawnUnderway {
    Spawn command;
    bool may_have_namespace;
    Place place;
    std::vector<UniqueFd> connections;
  };
  std::expected<Place, SpawnFault> make_place(const Spawn& command, const std::optional<Account>& account);
  void watch_limits(ServiceId service, const std::string& name);
  void look_at_limits(ServiceId service);
  // Tells of what the OOM killer has done since the last look.
  void look_at_oom_kills(ServiceId service);
  void follow_v1_oom_notice();
  std::uint64_t count_oom_kills(const std::string& name) const;
  bool was_oom_killed(ServiceId service, const ExitStatus& status);
  void tell_unavailable(const std::string& what);

  void signal_process(ServiceId service, Pid pid, const Kill& command);
  bool signal_process_groups(const Kill& command);
  void send_signals();
  void signal_rest(GroupKill& kill);
  bool signal_group(Service& state, const Kill& command);
  void kill_group(Service& state, const Kill& command);
  void signal_late(Service& state);

  void post(Event event);
  void report_exit(const ProcessExit& exit, std::vector<Event>& events, std::set<ServiceId>& touched);
  void receive_notifications(std::vector<Event>& events);
  // Looks whether what the service waits for has come.
  void look_again(ServiceId service);
  void look_for_empty(ServiceId service, Service& state);
  void look_for_main_pid(ServiceId service, Service& state);
  bool awaits_orphans(ServiceId service, Service& state);
  Pid read_main_pid(ServiceId service, const Unit& unit);
  // What PIDFile= names: a living process of the service. 0: none.
  Pid read_pid_file(ServiceId service, const Unit& unit);
  Pid guess_main_pid(ServiceId service, const Service& state);
  // The kernel does, by inotify; else the end of any process may be what is waited for.
  bool tells_when_empty() const { return cgroups_ && cgroups_->v1_controller().empty(); }
  void watch_for_empty(ServiceId service);
  // Its state may be gone after it.
  void stop_waiting(ServiceId service);

  ExecFacts facts_;
  std::optional<CgroupTree> cgroups_;
  std::optional<LimitKeeper> limits_;  // where there are cgroups
  const bool refuses_unenforceable_;
  std::function<void(Pid, const ExitStatus&)> on_other_exit_;
  RunJournal journal_;
  NotifySocket notify_;
  Spawner spawner_;
  Accounts accounts_;
  ExitWatcher exits_;
  ExecProbes probes_;
  InotifyWatches watches_;
  InotifyWatches limit_watches_;  // the directories of limits that were written, and memory.events
  Membership membership_;
  std::unordered_map<std::uint32_t, Service> services_;  // those that are not plain
  std::unordered_map<Pid, ServiceId> inits_;             // of PID namespaces
  std::unordered_map<Pid, Pid> init_of_;        // the init, by the process that its namespace was made for
  bool can_have_namespaces_ = true;             // as far as was tried
  std::map<ServiceId, UnitPtr> with_pid_file_;  // of those services that have a PIDFile=
  std::set<ServiceId> waiting_;                 // to be looked at again whenever a process ends
  Reminders late_signals_;                      // of group_kill
  Reminders orphan_looks_;                      // see awaits_orphans()
  Reminders oom_looks_;                         // of a v1 memory group in which memory ran out
  // To a process group, by its leader's number.
  struct GroupSignal {
    ServiceId service;
    Pid leader;
    int number;
    bool sends_sighup;
  };
  std::vector<GroupSignal> signals_;    // not sent yet
  std::deque<SpawnUnderway> underway_;  // in the Spawner's order
  std::vector<SpawnOutcome> spawned_;   // not taken yet
  std::vector<Event> pending_;
  std::set<std::string> told_unavailable_;
  std::vector<std::string> unavailable_;  // not taken yet
  UniqueFd wake_;                         // eventfd: something is pending
  UniqueFd epoll_;
};

}  // namespace gitproc
