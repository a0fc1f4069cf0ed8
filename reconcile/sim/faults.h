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
  bool short_turns = false;    // few commands between two steps, and few services looked at in one
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

  // Drawn by half of the worlds, by a chance of their own.
  bool unkillable_children = false;  // in uninterruptible sleep: SIGKILL ends them late
  bool named_oom_kills = false;      // the end of a process tells that it was for lack of memory
  bool other_policies = false;       // the configuration is read again, with other rules of the roll-out
  bool clock_steps = false;
  bool lost_states = false;         // the state file is damaged, and set aside
  bool vanishing_branches = false;  // the local ones; they come back
  bool is_any_of_administrator() const {
    return other_policies || clock_steps || lost_states || vanishing_branches;
  }

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

  void widen(Chance& chance) {
    for (bool* fault : {&unkillable_children, &named_oom_kills, &other_policies, &clock_steps, &lost_states,
                        &vanishing_branches}) {
      *fault = chance.percent(30);
    }
  }
};

}  // namespace gitproc::sim
