// The simulated kernel: processes that do well or badly, the groups they live in, and signals. It knows nothing
// of agents; what it does outlives them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "reconcile/command.h"
#include "reconcile/event.h"
#include "reconcile/sim/chance.h"
#include "reconcile/sim/faults.h"
#include "reconcile/sim/journal.h"

namespace gitproc::sim {

enum class Role {
  main,     // ExecStart=
  starter,  // ExecStart= of Type=forking: leaves a daemon behind
  daemon,   // what it leaves behind
  command,  // any other Exec...=
  child,    // nobody's: forked by a service, unknown to the agent
};

struct Process {
  Pid pid = 0;
  std::string service;
  Role role = Role::main;
  ExecPhase phase = ExecPhase::start;
  UnitPtr unit;
  unsigned command_index = 0;
  bool ignores_sigterm = false;
  Duration outlives_sigkill{};      // by so long: it is in uninterruptible sleep
  bool is_short_of_memory = false;  // that is what ends it
  Instant ends_at = never;
  ExitStatus status;         // that it will end with
  Instant ready_at = never;  // READY=1, or for a daemon the moment its PID file is written
  bool is_ready = false;

  // It is the service: no two of these may be alive.
  bool is_service() const { return role == Role::main || role == Role::starter || role == Role::daemon; }
};

// What happened, for whoever is there to see it.
struct Ended {
  Process process;
};
struct Readied {
  Process process;
};
using Incident = std::variant<Ended, Readied>;

class Machine {
 public:
  // `wide_chance`: of what only some worlds have, so that the others stay what they were.
  Machine(Chance& chance, Chance& wide_chance, const Faults& faults, Journal& journal)
      : chance_(chance), wide_chance_(wide_chance), faults_(faults), journal_(journal) {}

  std::variant<Pid, SpawnFailed> spawn(const Spawn& spawn, Instant now);
  void signal(const Kill& kill, Instant now);
  void kill_for_memory(Pid pid, Instant now);

  // When something happens next by itself.
  Instant next() const;
  // What has happened until `now`, in order.
  std::vector<Incident> pass(Instant now);

  // What the groups of services are limited to, as far as anybody has written to them.
  ResourceControl limits(const std::string& service) const;
  void set_limits(const std::string& service, const ResourceControl& limits) { limits_[service] = limits; }

  bool is_alive(Pid pid) const { return find(pid) != nullptr; }
  const Process* find(Pid pid) const;
  bool is_empty(const std::string& service) const;
  // The process that is the service, a starter only where no daemon lives; null where there is none.
  const Process* service_process(const std::string& service) const;
  const std::vector<Process>& processes() const { return processes_; }

  // From now on everybody behaves; what hangs comes to its end.
  void calm_down(Instant now);
  void lose_power() {
    processes_.clear();
    limits_.clear();
  }

 private:
  Process& add(const Spawn& spawn, Role role);
  void draw_service_end(Process& process, Instant now);
  void signal_process(Process& process, int signal, Instant now);

  Chance& chance_;
  Chance& wide_chance_;
  const Faults& faults_;
  Journal& journal_;
  std::vector<Process> processes_;  // alive
  std::map<std::string, ResourceControl> limits_;
  Pid last_pid_ = 100;
};

}  // namespace gitproc::sim
