#include "agent/metrics_view.h"

#include "agent/protocol/version.h"
#include "drivers/base/system_call.h"
#include "drivers/cgroup/layout.h"

namespace gitproc {
namespace {

constexpr std::size_t max_mountinfo_bytes = 4u << 20;

double unix_seconds(WallTime time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

std::string hex(const std::optional<ObjectId>& commit) { return commit ? commit->hex() : ""; }

ServiceSample sample(const ServiceView& view, std::string cgroup) {
  ServiceSample sample{.name = view.name,
                       .state = to_string(view.state),
                       .is_up = view.state == ServiceState::running ||
                                view.state == ServiceState::reloading ||
                                view.state == ServiceState::completed,
                       .is_healthy = std::nullopt,
                       .restarts = view.restarts,
                       .since = std::nullopt,
                       .pid = view.pid,
                       .cgroup = std::move(cgroup)};
  if (view.health == HealthState::healthy || view.health == HealthState::unhealthy)
    sample.is_healthy = view.health == HealthState::healthy;
  if (view.since != WallTime{}) sample.since = unix_seconds(view.since);
  return sample;
}

}  // namespace

MetricsView::MetricsView(Daemon& daemon, const Notices* notices)
    : daemon_(daemon),
      notices_(notices),
      cgroup_mount_(find_cgroup2_mount(read_file("/proc/self/mountinfo", max_mountinfo_bytes).value_or(""))
                        .value_or("")),
      follower_(daemon.events().follow([this](const LoggedEvent& event) { count(event); })),
      outcomes_{{{"applied"}, {"healthy"}, {"degraded"}, {"superseded"}, {"rejected"}}} {}

MetricsView::~MetricsView() { daemon_.events().unfollow(follower_); }

void MetricsView::count(const LoggedEvent& logged) {
  const Announce& event = logged.event;
  if (!event.service.empty()) return;
  for (Count& outcome : outcomes_) {
    if (outcome.label == event.kind) ++outcome.number;
  }
  if (event.kind == "applying") applying_ = logged;
  if (!applying_ || applying_->event.commit != event.commit) return;
  if (event.kind == "applied") apply_durations_.observe(logged.at - applying_->at);
  if (event.kind == "healthy") healthy_durations_.observe(logged.at - applying_->at);
}

MetricsFacts MetricsView::facts() const {
  Reconciler& reconciler = daemon_.reconciler();
  NodeView node = reconciler.node();
  MetricsFacts facts{.version = std::string(program_version),
                     .sync = to_string(node.sync),
                     .sync_states = {},
                     .branch = node.branch,
                     .branch_commit = hex(node.branch_commit),
                     .desired_commit = hex(node.desired_commit),
                     .applied_commit = hex(node.applied_commit),
                     .is_pinned = node.pin.has_value(),
                     .behind = daemon_.outlook().behind,
                     .sync_lag = daemon_.sync_lag(),
                     .services_by_state = {{"running", node.running},
                                           {"failed", node.failed},
                                           {"waiting", node.waiting},
                                           {"stopped", node.stopped},
                                           {"completed", node.completed},
                                           {"transient", node.transient}},
                     .commits_by_outcome = {outcomes_.begin(), outcomes_.end()},
                     .notices_by_result = notices_ != nullptr ? notices_->counts() : std::vector<Count>(),
                     .apply_durations = apply_durations_,
                     .healthy_durations = healthy_durations_,
                     .started_at = unix_seconds(daemon_.started_at()),
                     .services = {},
                     .services_omitted = 0};
  for (SyncState state : {SyncState::synced, SyncState::progressing, SyncState::degraded, SyncState::held,
                          SyncState::rejected, SyncState::error}) {
    facts.sync_states.push_back(to_string(state));
  }
  for (const ServiceView& view : reconciler.services()) {
    if (facts.services.size() == metrics_service_limit) {
      ++facts.services_omitted;
      continue;
    }
    std::optional<ServiceId> id = reconciler.find(view.name);
    std::string cgroup = id && !cgroup_mount_.empty() ? daemon_.processes().cgroup_of(*id) : "";
    facts.services.push_back(sample(view, cgroup.empty() ? "" : cgroup_mount_ + cgroup));
  }
  return facts;
}

}  // namespace gitproc
