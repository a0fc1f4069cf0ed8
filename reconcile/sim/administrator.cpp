// What the agent stands on changes under it: its configuration, the clock, its state file, the local branches, and
// bundles where the remote is out of reach.
#include "reconcile/sim/world.h"

namespace gitproc::sim {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

}  // namespace

void World::act_as_administrator() {
  administrator_acts_at_ = now_.instant + wide_chance_.span(seconds(5), minutes(1));
  bool imports = repository_.has_remote() && !repository_.has_remote_in_reach();
  if (imports && wide_chance_.one_in(2)) return import_bundle();
  switch (wide_chance_.below(4)) {
    case 0: return change_policy();
    case 1: return step_clock(wide_chance_.span(-hours(2), hours(2)));
    case 2: return lose_state();
    case 3: return remove_branch();
  }
}

void World::change_policy() {
  if (!faults_.other_policies) return;
  rolls_back_ = wide_chance_.one_in(2);
  has_guard_ = wide_chance_.one_in(2);
  rollout_deadline_ = wide_chance_.span(seconds(15), minutes(5));
  min_healthy_time_ = wide_chance_.span(seconds(1), seconds(20));
  trace_.say(now_.instant, std::string("++ auto_rollback ") + (rolls_back_ ? "on" : "off") +
                               ", prune_guard " + (has_guard_ ? "on" : "off"));
  if (!agent_) return;
  tell(PolicyChanged{.min_healthy_time = min_healthy_time_,
                     .rollout_deadline = rollout_deadline_,
                     .auto_rollback = rolls_back_,
                     .prune_guard = has_guard_,
                     .verifies_signatures = policy_.is_set(),
                     .judges_anew = wide_chance_.one_in(2)});
}

void World::step_clock(Duration span) {
  if (!faults_.clock_steps) return;
  now_.wall += span;
  trace_.say(now_.instant, "++ the clock is set");
}

void World::lose_state() {
  if (!faults_.lost_states || !wide_chance_.one_in(3)) return;
  kill_agent("killed, and its state file is damaged");
  disk_.state = {};
  checks_.state_lost();
}

void World::remove_branch() {
  if (!faults_.vanishing_branches) return;
  repository_.remove(followed_branch());
  trace_.say(now_.instant, "++ " + followed_branch() + " is gone");
  if (agent_) tell_tip();
}

void World::import_bundle() {
  if (!agent_) return;
  repository_.fetch();
  trace_.say(now_.instant, "++ a bundle comes");
  tell(tip_of(followed_branch()));
  tell(BundleImported{});
}

}  // namespace gitproc::sim
