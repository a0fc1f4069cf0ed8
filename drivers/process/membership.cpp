#include "drivers/process/membership.h"

#include <unistd.h>

#include <algorithm>
#include <unordered_set>

#include "drivers/process/proc_files.h"

namespace gitproc {
namespace {

constexpr std::size_t max_sessions = 64;      // of one service; older ones hardly have processes left
constexpr std::size_t max_members = 100'000;  // of one service
constexpr int max_ancestors = 64;
constexpr int max_orphan_rounds = 16;

}  // namespace

const Membership::Run* Membership::find(ServiceId service) const {
  auto found = runs_.find(index_of(service));
  return found != runs_.end() ? &found->second : nullptr;
}

void Membership::begin(ServiceId service, const std::string& name, const InvocationId& invocation,
                       bool is_adopted) {
  if (const Run* run = find(service); run != nullptr && run->invocation == invocation) return;
  const std::string* key = nullptr;
  if (cgroups_ != nullptr) {
    // A cgroup belongs to one service: whoever had it before is gone.
    auto former = services_by_name_.find(name);
    if (former != services_by_name_.end() && former->second != service) forget(former->second);
    key = &services_by_name_.try_emplace(name, service).first->first;
  }
  Run& run = runs_[index_of(service)];
  run.name = key;
  run.invocation = invocation;
  run.is_adopted = is_adopted;
}

bool Membership::add(ServiceId service, Pid pid) {
  Run& run = runs_[index_of(service)];
  if (!known_.emplace(pid, Known{.service = service, .next = run.newest}).second) return false;
  run.newest = pid;
  sessions_.erase(pid);  // the number may have led another service's session before
  return true;
}

void Membership::add_leader(ServiceId service, Pid pid) {
  add(service, pid);
  known_.at(pid).is_leader = true;
}

bool Membership::is_leader(Pid pid) const {
  auto found = known_.find(pid);
  return found != known_.end() && found->second.is_leader;
}

std::optional<ServiceId> Membership::remove(Pid pid) {
  std::optional<ServiceId> owner;
  may_have_new_orphans_ = true;
  if (auto found = known_.find(pid); found != known_.end()) {
    Known known = found->second;
    Run& run = runs_[index_of(known.service)];
    Pid* link = &run.newest;
    while (*link != pid)
      link = &known_.at(*link).next;
    *link = known.next;
    known_.erase(found);
    owner = known.service;
    if (cgroups_ == nullptr) remember_session(known.service, run, pid);
  }
  if (auto orphan = orphans_.find(pid); orphan != orphans_.end()) {
    if (orphan->second) std::erase(runs_[index_of(*orphan->second)].remains->orphans, pid);
    orphans_.erase(orphan);
  }
  return owner;
}

// For the sake of what it may have left there.
void Membership::remember_session(ServiceId service, Run& run, Pid pid) {
  if (!run.remains) run.remains = std::make_unique<Remains>();
  std::vector<Pid>& sessions = run.remains->sessions;
  sessions_[pid] = service;
  sessions.push_back(pid);
  if (sessions.size() <= max_sessions) return;
  auto oldest = sessions_.find(sessions.front());
  if (oldest != sessions_.end() && oldest->second == service) sessions_.erase(oldest);
  sessions.erase(sessions.begin());
}

void Membership::forget(ServiceId service) {
  auto found = runs_.find(index_of(service));
  if (found == runs_.end()) return;
  const Run& run = found->second;
  for (Pid pid : known_of(run))
    known_.erase(pid);
  if (run.remains) {
    for (Pid pid : run.remains->orphans)
      orphans_[pid] = std::nullopt;
    for (Pid session : run.remains->sessions) {
      auto owner = sessions_.find(session);
      if (owner != sessions_.end() && owner->second == service) sessions_.erase(owner);
    }
  }
  if (run.name != nullptr) services_by_name_.erase(services_by_name_.find(*run.name));
  runs_.erase(found);
}

std::vector<ServiceId> Membership::services() const {
  std::vector<ServiceId> all;
  all.reserve(runs_.size());
  for (const auto& [number, run] : runs_)
    all.push_back(ServiceId{number});
  return all;
}

const std::string& Membership::name_of(ServiceId service) const {
  static const std::string none;
  const Run* run = find(service);
  return run != nullptr && run->name != nullptr ? *run->name : none;
}

std::vector<Pid> Membership::known_of(const Run& run) const {
  std::vector<Pid> pids;
  for (Pid pid = run.newest; pid != 0; pid = known_.at(pid).next)
    pids.push_back(pid);
  return pids;
}

std::vector<Pid> Membership::members(ServiceId service) {
  const Run* run = find(service);
  if (run == nullptr) return {};
  if (cgroups_ != nullptr) return cgroups_->processes(*run->name);

  has_undecided_orphans_ = false;
  std::vector<Pid> pids = known_of(*run);
  std::unordered_set<Pid> seen(pids.begin(), pids.end());
  auto add = [&](const std::vector<Pid>& found) {
    for (Pid pid : found) {
      if (pids.size() < max_members && seen.insert(pid).second) pids.push_back(pid);
    }
  };
  if (run->is_adopted) add(find_processes_of_adopted(service));
  // The orphans are looked for after the children: whoever loses its parent before that one was asked for its children
  // is an orphan by then.
  std::size_t asked = 0;
  for (int round = 0; round < max_orphan_rounds; ++round) {
    for (; asked < pids.size(); ++asked)
      add(children_of(pids[asked]));
    find_orphans(!pids.empty());
    if (run->remains) add(run->remains->orphans);
    if (asked == pids.size()) break;
  }
  return pids;
}

// The orphans of an agent that is gone are not this one's children, but of whom it is a child of itself, or of the first
// process.
std::vector<Pid> Membership::find_processes_of_adopted(ServiceId service) {
  std::vector<Pid> pids;
  for (Pid pid : all_processes()) {
    Owner owner = owner_by_marks(pid);
    bool is_orphan = owner.parent == 1 || owner.parent == ::getppid();
    if (owner.is_undecided && is_orphan) has_undecided_orphans_ = true;
    if (owner.service == service) pids.push_back(pid);
  }
  return pids;
}

bool Membership::is_empty(ServiceId service) {
  const Run* run = find(service);
  if (run == nullptr) return true;
  // A known process counts until its end was told: so nobody hears of an empty service before that.
  if (run->newest != 0) return false;
  return cgroups_ != nullptr ? !cgroups_->is_populated(*run->name) : members(service).empty();
}

bool Membership::has_known(ServiceId service) const {
  const Run* run = find(service);
  return run != nullptr && run->newest != 0;
}

std::optional<ServiceId> Membership::service_of(Pid pid) {
  if (auto known = known_.find(pid); known != known_.end()) return known->second.service;
  if (cgroups_ != nullptr) {
    auto service =
        services_by_name_.find(cgroups_->service_of(cgroup_of_process(pid, cgroups_->v1_controller())));
    return service != services_by_name_.end() ? std::optional(service->second) : std::nullopt;
  }
  if (Owner owner = owner_by_marks(pid); owner.service) return owner.service;
  Pid ancestor = pid;
  for (int i = 0; i < max_ancestors; ++i) {
    std::optional<ProcStat> stat = read_proc_stat(ancestor);
    if (!stat || stat->parent <= 1 || stat->parent == ::getpid()) return std::nullopt;
    ancestor = stat->parent;
    if (auto known = known_.find(ancestor); known != known_.end()) return known->second.service;
    if (auto orphan = orphans_.find(ancestor); orphan != orphans_.end()) return orphan->second;
  }
  return std::nullopt;
}

// A known process that was spawned leads the session of its number.
std::optional<ServiceId> Membership::owner_by_session(Pid session) const {
  if (auto leader = known_.find(session); leader != known_.end()) return leader->second.service;
  auto owner = sessions_.find(session);
  return owner != sessions_.end() ? std::optional(owner->second) : std::nullopt;
}

Membership::Owner Membership::owner_by_marks(Pid pid) const {
  std::optional<ProcStat> stat = read_proc_stat(pid);
  if (!stat || stat->is_dead()) return {};
  if (std::optional<ServiceId> owner = owner_by_session(stat->session)) return {.service = owner};
  std::optional<std::string> carried = invocation_of_process(pid);
  if (!carried) return {.is_undecided = true, .parent = stat->parent};
  std::optional<InvocationId> invocation = InvocationId::parse(*carried);
  if (!invocation) return {};
  // An orphan that has left its session is rare, and to compare what 1,000 services have costs less than to read what
  // it carries: an index would cost each service more than this ever does.
  auto owner =
      std::ranges::find_if(runs_, [&](const auto& run) { return run.second.invocation == *invocation; });
  if (owner == runs_.end()) return {};
  return {.service = ServiceId{owner->first}};
}

// Only the end of a process makes orphans. The agent hears of the ends of its children; but not of those of their
// children (`has_living`: the service has any), who leave it orphans as well.
void Membership::find_orphans(bool has_living) {
  if (!may_have_new_orphans_ && !has_living) return;
  may_have_new_orphans_ = false;
  for (Pid pid : children_of_first_thread(::getpid())) {
    if (known_.contains(pid) || orphans_.contains(pid)) continue;
    Owner owner = owner_by_marks(pid);
    if (owner.is_undecided) {
      may_have_new_orphans_ = has_undecided_orphans_ = true;
      continue;
    }
    orphans_[pid] = owner.service;
    if (!owner.service) continue;
    Run& run = runs_[index_of(*owner.service)];
    if (!run.remains) run.remains = std::make_unique<Remains>();
    run.remains->orphans.push_back(pid);
  }
}

}  // namespace gitproc
