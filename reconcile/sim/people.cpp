// Who commits and who operates: at random, and never with regard to what the agent is doing.
#include "reconcile/sim/world.h"

namespace gitproc::sim {
namespace {

using std::chrono::seconds;

}  // namespace

std::string World::followed_branch() const {
  const DurableState& state = agent_ ? agent_->reconciler.durable() : disk_.state;
  return state.branch_override ? state.branch_override->branch : Repository::main_branch;
}

void World::act_as_author() {
  author_acts_at_ = now_.instant + chance_.span(chance_.one_in(4) ? Duration(1000) : seconds(1), seconds(40));
  if (act_as_hasty_author(reloaded_)) return;
  if (is_hasty_) reloaded_ = hasty_chance_.pick(repository_.names());
  std::string branch = chance_.one_in(4) ? Repository::other_branch : Repository::main_branch;
  // Of those who have a remote, few commit on the node itself.
  if (repository_.has_remote() && !chance_.one_in(6)) {
    repository_.push(branch);
    trace_.say(now_.instant,
               "++ the remote's " + branch + " is at " + repository_.remote_tip(branch).hex().substr(32));
    if (agent_ && chance_.one_in(3)) tell(FetchRequested{"webhook"});
    return;
  }
  repository_.move(branch);
  trace_.say(now_.instant, "++ " + branch + " is at " + repository_.tip(branch).hex().substr(32));
  if (agent_ && branch == followed_branch()) tell_tip();
}

// Who changes what a service is reloaded for, and again while it reloads.
bool World::act_as_hasty_author(const std::string& service) {
  if (!is_hasty_ || repository_.has_remote() || hasty_chance_.one_in(4)) return false;
  std::string branch = followed_branch();
  if (!repository_.touch_watched(branch, service)) return false;
  trace_.say(now_.instant, "++ " + branch + " is at " + repository_.tip(branch).hex().substr(32) +
                               ", for what " + service + " is reloaded for");
  if (agent_) tell_tip();
  return true;
}

void World::act_as_meddler() {
  meddler_acts_at_ = now_.instant + chance_.span(seconds(7), seconds(40));
  if (machine_.processes().empty()) return;
  const Process process = chance_.pick(machine_.processes());
  std::optional<ServiceId> id;
  if (agent_) {
    for (const auto& [service, name] : agent_->names) {
      if (name == process.service) id = service;
    }
  }
  bool is_oom = faults_.oom_kills && (!faults_.drifting_limits || chance_.one_in(2));
  if (is_oom) {
    trace_.say(now_.instant, "++ no memory for " + std::to_string(process.pid) + " of " + process.service);
    machine_.kill_for_memory(process.pid, now_.instant);
    if (id) tell_late(OomKilled{*id});
    return;
  }
  ResourceControl limits = machine_.limits(process.service);
  if (!limits.memory_max) return;  // nothing of the agent's
  trace_.say(now_.instant, "++ somebody changes the limits of " + process.service);
  limits.memory_max = {ResourceAmount::Kind::absolute, 1};
  machine_.set_limits(process.service, limits);
  if (id) tell_late(LimitsDrifted{*id, "memory.max", "many", "1"});
}

void World::ask(Event request, RequestId id) {
  checks_.asked(id, describe(request));
  tell(std::move(request));
}

void World::act_as_operator() {
  operator_acts_at_ =
      now_.instant + chance_.span(chance_.one_in(4) ? Duration(1000) : seconds(1), seconds(30));
  if (!agent_) return;
  RequestId id{++requests_};
  switch (chance_.below(22)) {
    case 0:
    case 1:
      return ask(
          SyncRequested{
              .request = id, .waits = chance_.one_in(2), .retries = chance_.one_in(3), .by = "operator"},
          id);
    case 2:
    case 3: return ask(rollback_request(id), id);
    case 4: return switch_branch();
    case 5: return ask(RequestNoticed{id}, id);
    case 7:
      if (repository_.has_remote()) return accept_what_is_held();
      [[fallthrough]];
    case 8: return ask(approve_request(id), id);
    case 6:
      if (chance_.one_in(2)) return tell(ShutdownRequested{chance_.one_in(2)});
      [[fallthrough]];
    default: return ask(service_request(id), id);
  }
}

Event World::service_request(RequestId id) {
  static const std::vector<ServiceVerb> verbs = {ServiceVerb::start,   ServiceVerb::start,
                                                 ServiceVerb::stop,    ServiceVerb::stop,
                                                 ServiceVerb::restart, ServiceVerb::reload};
  std::string name = chance_.one_in(20) ? "nobody" : chance_.pick(repository_.names());
  return ServiceRequested{id, chance_.pick(verbs), name, "operator"};
}

Event World::rollback_request(RequestId id) {
  RollbackRequested request{.request = id, .by = "operator", .reason = "", .waits = chance_.one_in(2)};
  if (chance_.one_in(2)) request.commit = repository_.any();
  if (chance_.one_in(3)) request.until = now_.wall + seconds(20);
  return request;
}

Event World::approve_request(RequestId id) {
  ApproveRequested request{
      .request = id, .commit = std::nullopt, .by = "operator", .waits = chance_.one_in(2)};
  if (chance_.one_in(2)) request.commit = repository_.tip(followed_branch());
  return request;
}

void World::accept_what_is_held() {
  RequestId id{++requests_};
  std::optional<Hold> hold = agent_->reconciler.node().hold;
  ObjectId commit = hold ? hold->commit : repository_.any();
  ask(AcceptRequested{.request = id, .commit = commit, .by = "operator", .waits = chance_.one_in(2)}, id);
}

void World::switch_branch() {
  bool is_configured = chance_.one_in(2);
  std::string branch = is_configured ? Repository::main_branch : Repository::other_branch;
  BranchSwitched event{.branch = branch, .is_configured = is_configured, .until = std::nullopt};
  if (!is_configured && chance_.one_in(2)) event.until = now_.wall + seconds(30);
  // The ref watcher is told at once.
  agent_->followed_override = is_configured ? std::nullopt : std::optional(branch);
  tell(event);
  tell(tip_of(branch), Duration(1000));
}

}  // namespace gitproc::sim
