// Which process belongs to which service.
//
// With cgroups the kernel knows. Without them (an unprivileged agent) a service's processes are those it spawned,
// all their descendants, and orphans: processes whose parent is gone and that therefore became the agent's children.
// An orphan is told by its session (each spawned process leads one) or by INVOCATION_ID in its environment; one that
// has left both behind before it was ever looked at is lost, which only a cgroup can prevent. One that is in the middle
// of execve(2) has no environment for a moment: whose it is cannot be told yet, and it is asked for again.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "drivers/cgroup/tree.h"
#include "reconcile/actual/service.h"
#include "reconcile/base/ids.h"

namespace gitproc {

class Membership {
 public:
  // `cgroups`: null to do without; else it must live as long.
  explicit Membership(const CgroupTree* cgroups) : cgroups_(cgroups) {}

  // A service's run, to be told before anything else is asked about it. An adopted one's orphans are not the agent's
  // children: all processes are looked at for them.
  void begin(ServiceId service, const std::string& name, const InvocationId& invocation, bool is_adopted);
  // A process that the service is known to have, until removed: one it spawned (which leads a session) or its main one.
  // False where it was known before.
  bool add(ServiceId service, Pid pid);
  // The same of a child that was spawned for it: it leads a session, and so its group, for as long as it is known.
  void add_leader(ServiceId service, Pid pid);
  // Any process that was reaped, a known one or not. The service it was added to, if it was.
  std::optional<ServiceId> remove(Pid pid);
  void forget(ServiceId service);
  bool has_begun(ServiceId service) const { return runs_.contains(index_of(service)); }
  // Those that have begun, in no order.
  std::vector<ServiceId> services() const;

  // Whose the cgroup is. "" without cgroups, and for a service that has not begun.
  const std::string& name_of(ServiceId service) const;
  std::vector<Pid> members(ServiceId service);
  bool is_empty(ServiceId service);
  // Whether the last look at members() without cgroups met an orphan of which nobody can tell yet whose it is.
  bool has_undecided_orphans() const { return has_undecided_orphans_; }
  // Whether a process that was added lives, as far as was told.
  bool has_known(ServiceId service) const;
  bool is_known(Pid pid) const { return known_.contains(pid); }
  bool is_leader(Pid pid) const;
  // The service that a living process belongs to.
  std::optional<ServiceId> service_of(Pid pid);

 private:
  // What ended processes have left. Few services leave anything, so few pay for it.
  struct Remains {
    std::vector<Pid> sessions;  // that they led, the newest last
    std::vector<Pid> orphans;
  };
  struct Run {
    const std::string* name = nullptr;  // a key of services_by_name_; null without cgroups
    InvocationId invocation;
    Pid newest = 0;  // of its known processes; see Known
    bool is_adopted = false;
    std::unique_ptr<Remains> remains;
  };
  // Alive, as far as was told. Those of a service are chained: most have only one.
  struct Known {
    ServiceId service;
    Pid next = 0;  // 0: the last
    bool is_leader = false;
  };

  const Run* find(ServiceId service) const;
  std::vector<Pid> known_of(const Run& run) const;
  void remember_session(ServiceId service, Run& run, Pid pid);
  void find_orphans(bool has_living);
  std::optional<ServiceId> owner_by_session(Pid session) const;
  struct Owner {
    std::optional<ServiceId> service;
    bool is_undecided = false;
    Pid parent = 0;  // of one who is
  };
  Owner owner_by_marks(Pid pid) const;
  std::vector<Pid> find_processes_of_adopted(ServiceId service);

  const CgroupTree* cgroups_;
  std::unordered_map<std::uint32_t, Run> runs_;
  std::unordered_map<Pid, Known> known_;
  std::unordered_map<std::string, ServiceId> services_by_name_;  // with cgroups: whose group it is
  std::unordered_map<Pid, ServiceId> sessions_;                  // whose leaders have ended
  // Children that the agent did not spawn; nullopt for those of no service.
  std::unordered_map<Pid, std::optional<ServiceId>> orphans_;
  bool may_have_new_orphans_ = true;
  bool has_undecided_orphans_ = false;
};

}  // namespace gitproc
