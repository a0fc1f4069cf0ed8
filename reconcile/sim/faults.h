// What may go wrong in one simulated world: each on or off by its seed, all off in the liveness phase.
#pragma once

#include "reconcile/sim/chance.h"

namespace gitproc::sim {

struct Faults {
  bool agent_crashes = false;  // kill -9 between any two commands
  bool power_losses = false;   // everything but the disk is gone
  bool late_events = false;    // what happened is told late, and reordered across services
  bool stale_events = false;   // some are told twice
  bool slow_commands = false;  // the world goes on while a command is carried out
  bool short_turns = false;    // few commands are carried out between two steps
  bool lagging_store = false;
  bool exec_failures = false;
  bool crashing_services = false;
  bool stubborn_services = false;  // they ignore SIGTERM, or take their time
  bool lingering_children = false;
  bool late_readiness = false;    // or none at all
  bool failing_commands = false;  // Exec...= lines but ExecStart= fail or hang; oneshots fail
  bool failing_probes = false;
  bool unmet_conditions = false;
  bool failing_preflights = false;
  bool unreadable_commits = false;
  bool failing_exports = false;
  bool oom_kills = false;        // of processes of a service
  bool drifting_limits = false;  // somebody else writes to cgroups
  bool failing_fetches = false;  // the remote is down, hangs, or refuses; drawn by worlds that have one
  bool unseen_exits = false;     // of adopted processes nobody can tell how they ended

  static Faults drawn(Chance& chance) {
    Faults faults;
    for (bool* fault : {&faults.agent_crashes,      &faults.late_events,       &faults.stale_events,
                        &faults.slow_commands,      &faults.short_turns,       &faults.lagging_store,
                        &faults.exec_failures,      &faults.crashing_services, &faults.stubborn_services,
                        &faults.lingering_children, &faults.late_readiness,    &faults.failing_commands,
                        &faults.failing_probes,     &faults.unmet_conditions,  &faults.failing_preflights,
                        &faults.unreadable_commits, &faults.failing_exports,   &faults.unseen_exits,
                        &faults.oom_kills,          &faults.drifting_limits}) {
      *fault = chance.percent(40);
    }
    faults.power_losses = chance.percent(15);
    return faults;
  }
};

}  // namespace gitproc::sim
