// What is shown of the Reconciler's state.
#include "reconcile/state.h"

namespace gitproc {

ServiceView Reconciler::State::view(const Service& service) const {
  UnitPtr unit = service.desired ? service.desired : service.life.unit();
  ServiceState state = shown_state(service);
  std::string reason = *service.reason;
  if (state == ServiceState::waiting) reason = service.waits_for.str();
  bool has_ended_badly = state == ServiceState::failed || state == ServiceState::backoff;
  if (std::string failure = service.life.failure_text(); has_ended_badly && !failure.empty())
    reason = failure;
  if (service.life.last_reload_failed()) reason = "could not be reloaded";
  if (service.stop_mark) reason = service.stop_mark->reason;
  if (service.life.is_readiness_assumed())
    reason += reason.empty() ? "readiness assumed" : ", readiness assumed";
  ServiceView shown{
      .name = service.name,
      .description = unit ? unit->description.str() : "",
      .state = state,
      .result = state == ServiceState::waiting && service.wait == Wait::dependency ? ServiceResult::dependency
                                                                                   : service.life.result(),
      .pid = service.life.main_pid(),
      .exit = service.life.main_exit(),
      .since = service.life.since(),
      .restarts = service.life.restarts(),
      .health = service.life.health(),
      .is_desired_running = service.desired && (service.desired->is_desired_running || service.is_pulled_in ||
                                                durable.operator_starts.contains(service.name)),
      .is_held = durable.holds.contains(service.name),
      .commit = *service.commit,
      .file = unit && !unit->sources.empty() ? unit->sources.front().path : "",
      .reason = std::move(reason),
      .next_restart = std::nullopt,
      .unit = unit,
      .invocation = service.life.invocation(),
  };
  if (state == ServiceState::backoff && service.life.deadline() != never) {
    shown.next_restart = now.wall + (service.life.deadline() - now.instant);
  }
  return shown;
}

NodeView Reconciler::State::node_view() const {
  auto count = [this](ServiceState state) { return counts[static_cast<std::size_t>(state)]; };
  NodeView shown{
      .branch = branch,
      .branch_commit = tip,
      .desired_commit = desired(),
      .applied_commit = durable.applied,
      .pin = durable.pin,
      .hold = any_hold() != nullptr ? std::optional(*any_hold()) : std::nullopt,
      .remote = remote_view(),
      .sync = sync_state(),
      .error = sync_error(),
      .warnings = warnings,
      .total = 0,
      .running = count(ServiceState::running),
      .failed = count(ServiceState::failed),
      .waiting = count(ServiceState::waiting),
      .stopped = count(ServiceState::stopped),
      .completed = count(ServiceState::completed),
      .transient = count(ServiceState::starting) + count(ServiceState::reloading) +
                   count(ServiceState::stopping) + count(ServiceState::backoff),
  };
  if (shown.sync == SyncState::rejected && is_rejection_shown())
    shown.warnings.insert(shown.warnings.begin(), rejection.begin(), rejection.end());
  for (unsigned number : counts)
    shown.total += number;
  return shown;
}

std::optional<ObjectId> Reconciler::tip() const { return state_->tip; }
std::optional<ObjectId> Reconciler::desired() const { return state_->desired(); }

NodeView Reconciler::node() const { return state_->node_view(); }

SyncState Reconciler::sync() const { return state_->sync_state(); }

std::string Reconciler::sync_error() const { return state_->sync_error(); }

std::vector<ServiceView> Reconciler::services() const {
  std::vector<ServiceView> shown;
  for (const Service* service : state_->table.by_name()) {
    if (service->is_shown) shown.push_back(state_->view(*service));
  }
  return shown;
}

std::optional<ServiceView> Reconciler::service(std::string_view name) const {
  const Service* service = state_->table.find(name);
  if (service == nullptr || !service->is_shown) return std::nullopt;
  return state_->view(*service);
}

std::vector<ProbeResult> Reconciler::probes(std::string_view name) const {
  const Service* service = state_->table.find(name);
  return service == nullptr || !service->is_shown ? std::vector<ProbeResult>() : service->life.probes();
}

std::optional<ServiceId> Reconciler::find(std::string_view name) const {
  const Service* service = state_->table.find(name);
  return service == nullptr ? std::nullopt : std::optional(service->id);
}

const std::string& Reconciler::name_of(ServiceId id) const { return state_->table.at(id)->name; }

}  // namespace gitproc
