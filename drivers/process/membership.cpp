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

}  // namespace

void Membership::begin(ServiceId service, const std::string& name, const InvocationId& invocation,
                       bool is_adopted) {
  Run& run = runs_[index_of(service)];
  if (run.invocation == invocation) return;
  services_by_invocation_.erase(run.invocation);
  services_by_invocation_[invocation] = service;
  services_by_name_[name] = service;
  run.name = name;
  run.invocation = invocation;
  run.is_adopted = is_adopted;
}

void Membership::add(ServiceId service, Pid pid) {
  Run& run = runs_[index_of(service)];
  if (!known_.emplace(pid, service).second) return;
  run.known.push_back(pid);
  if (cgroups_ != nullptr) return;
  // The number may have led another service's session before.
  sessions_[pid] = service;
  run.sessions.push_back(pid);
  if (run.sessions.size() > max_sessions) {
    auto oldest = sessions_.find(run.sessions.front());
    if (oldest != sessions_.end() && oldest->second == service) sessions_.erase(oldest);
    run.sessions.erase(run.sessions.begin());
  }
}

void Membership::remove(Pid pid) {
  may_have_new_orphans_ = true;
  if (auto known = known_.find(pid); known != known_.end()) {
    std::erase(runs_[index_of(known->second)].known, pid);
    known_.erase(known);
  }
  if (auto orphan = orphans_.find(pid); orphan != orphans_.end()) {
    if (orphan->second) std::erase(runs_[index_of(*orphan->second)].orphans, pid);
    orphans_.erase(orphan);
  }
}

void Membership::forget(ServiceId service) {
  auto found = runs_.find(index_of(service));
  if (found == runs_.end()) return;
  const Run& run = found->second;
  services_by_invocation_.erase(run.invocation);
  services_by_name_.erase(run.name);
  for (Pid pid : run.known)
    known_.erase(pid);
  for (Pid pid : run.orphans)
    orphans_[pid] = std::nullopt;
  for (Pid session : run.sessions) {
    auto owner = sessions_.find(session);
    if (owner != sessions_.end() && owner->second == service) sessions_.erase(owner);
  }
  runs_.erase(found);
}

std::vector<Pid> Membership::members(ServiceId service) {
  auto found = runs_.find(index_of(service));
  if (found == runs_.end()) return {};
  Run& run = found->second;
  if (cgroups_ != nullptr) return cgroups_->processes(run.name);

  find_orphans();
  std::vector<Pid> pids = run.known;
  pids.insert(pids.end(), run.orphans.begin(), run.orphans.end());
  if (run.is_adopted) {
    for (Pid pid : all_processes()) {
      if (owner_by_marks(pid) == service) pids.push_back(pid);
    }
  }
  std::unordered_set<Pid> seen;
  std::erase_if(pids, [&](Pid pid) { return !seen.insert(pid).second; });
  for (std::size_t i = 0; i < pids.size() && pids.size() < max_members; ++i) {
    for (Pid child : children_of(pids[i])) {
      if (seen.insert(child).second) pids.push_back(child);
    }
  }
  return pids;
}

bool Membership::is_empty(ServiceId service) {
  auto found = runs_.find(index_of(service));
  if (found == runs_.end()) return true;
  // A known process counts until its end was told: so nobody hears of an empty service before that.
  if (!found->second.known.empty()) return false;
  return cgroups_ != nullptr ? !cgroups_->is_populated(found->second.name) : members(service).empty();
}

bool Membership::has_known(ServiceId service) const {
  auto found = runs_.find(index_of(service));
  return found != runs_.end() && !found->second.known.empty();
}

std::optional<ServiceId> Membership::service_of(Pid pid) {
  if (auto known = known_.find(pid); known != known_.end()) return known->second;
  if (cgroups_ != nullptr) {
    auto service =
        services_by_name_.find(cgroups_->service_of(cgroup_of_process(pid, cgroups_->v1_controller())));
    return service != services_by_name_.end() ? std::optional(service->second) : std::nullopt;
  }
  if (std::optional<ServiceId> owner = owner_by_marks(pid)) return owner;
  Pid ancestor = pid;
  for (int i = 0; i < max_ancestors; ++i) {
    std::optional<ProcStat> stat = read_proc_stat(ancestor);
    if (!stat || stat->parent <= 1 || stat->parent == ::getpid()) return std::nullopt;
    ancestor = stat->parent;
    if (auto known = known_.find(ancestor); known != known_.end()) return known->second;
    if (auto orphan = orphans_.find(ancestor); orphan != orphans_.end()) return orphan->second;
  }
  return std::nullopt;
}

std::optional<ServiceId> Membership::owner_by_marks(Pid pid) {
  std::optional<ProcStat> stat = read_proc_stat(pid);
  if (!stat || stat->is_dead()) return std::nullopt;
  if (auto owner = sessions_.find(stat->session); owner != sessions_.end()) return owner->second;
  std::optional<InvocationId> invocation = InvocationId::parse(invocation_of_process(pid));
  if (!invocation) return std::nullopt;
  auto owner = services_by_invocation_.find(*invocation);
  return owner != services_by_invocation_.end() ? std::optional(owner->second) : std::nullopt;
}

void Membership::find_orphans() {
  // Only the end of a process makes orphans, and the agent hears of the first link of every such chain.
  if (!may_have_new_orphans_) return;
  may_have_new_orphans_ = false;
  for (Pid pid : children_of_first_thread(::getpid())) {
    if (known_.contains(pid) || orphans_.contains(pid)) continue;
    std::optional<ServiceId> owner = owner_by_marks(pid);
    orphans_[pid] = owner;
    if (owner) runs_[index_of(*owner)].orphans.push_back(pid);
  }
}

}  // namespace gitproc
