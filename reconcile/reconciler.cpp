#include "reconcile/reconciler.h"

#include <algorithm>
#include <utility>

#include "reconcile/state.h"

namespace gitproc {
namespace {

// How long a clock that is set may go unnoticed, while something is to end at a calendar time.
constexpr Duration calendar_look = std::chrono::minutes(1);

}  // namespace

std::string_view to_string(SyncState state) {
  switch (state) {
    case SyncState::synced: return "synced";
    case SyncState::progressing: return "progressing";
    case SyncState::degraded: return "degraded";
    case SyncState::held: return "held";
    case SyncState::rejected: return "rejected";
    case SyncState::error: return "error";
  }
  __builtin_unreachable();
}

Reconciler::State::State(Options given_options, DurableState given_durable,
                         std::vector<AdoptedService> given_adopted)
    : options(std::move(given_options)),
      durable(std::move(given_durable)),
      ids(options.seed),
      remote{.schedule =
                 FetchSchedule(options.remote ? options.remote->poll_interval : infinite, options.seed)} {
  // An operator's start lasts until the next boot.
  std::erase_if(durable.operator_starts,
                [this](const auto& entry) { return entry.second.boot_id != options.boot_id; });
  for (AdoptedService& record : given_adopted) {
    table.intern(record.name).is_found = true;
    adopted.emplace(record.name, std::move(record));
  }
  is_booting = boot_commit().has_value();
  if (!durable.healthy) {
    // Told by the history alone, before it was remembered by itself.
    auto known = std::find_if(durable.history.rbegin(), durable.history.rend(),
                              [](const HistoryEntry& entry) { return entry.outcome == Outcome::healthy; });
    if (known != durable.history.rend()) durable.healthy = known->commit;
  }
  // The former agent may have been killed between the state file and the repository.
  emit(SetMarker{Marker::applied, durable.applied});
  if (durable.healthy) emit(SetMarker{Marker::healthy, durable.healthy});
  if (!durable.verified.empty()) emit(SetMarker{Marker::verified, durable.verified.back().commit});
  emit(SetMarker{Marker::pinned, durable.pin ? std::optional(durable.pin->commit) : std::nullopt});
}

Reconciler::Reconciler(Options options, DurableState durable, std::vector<AdoptedService> adopted)
    : state_(std::make_unique<State>(std::move(options), std::move(durable), std::move(adopted))) {}
Reconciler::~Reconciler() = default;

Commands Reconciler::step(std::span<const Event> events, Now now) { return state_->step(events, now); }

Commands Reconciler::State::step(std::span<const Event> events, Now given_now) {
  now = given_now;
  for (const Event& event : events) {
    std::visit([this](const auto& happened) { take(happened); }, event);
  }
  while (!timers.empty() && timers.begin()->first <= now.instant) {
    Service& service = *table.at(timers.begin()->second);
    timers.erase(timers.begin());
    service.armed = never;
    act(service, [](Lifecycle& life, LifecycleContext& context) { life.on_deadline(context); });
    touch(service);
  }
  pursue_remote();
  unsigned looked_at = 0;
  do {
    pursue_target();
    // Looking at one service can concern others; the marks only ever grow, so this ends.
    for (; !queue.empty(); ++looked_at) {
      // What was decided so far can be carried out meanwhile. Only the whole can be judged.
      if (looked_at >= options.services_per_step) return std::exchange(commands, {});
      Service* service = table.at(queue.front());
      queue.pop_front();
      service->is_queued = false;
      evaluate(*service);
    }
    check_rollout();
  } while (std::exchange(is_target_news, false));
  for (ServiceId id : std::exchange(changed, {})) {
    if (Service* service = table.at(id)) {
      answer_waiting(*service);
      table.remove_if_unused(*service);
    }
  }
  answer_syncs();
  if (is_shutting_down && up == 0) emit(ExitAgent{});
  return std::exchange(commands, {});
}

bool Reconciler::has_more() const { return !state_->queue.empty(); }

Instant Reconciler::next_deadline() const {
  if (has_more()) return state_->now.instant;
  Instant next = state_->timers.empty() ? never : state_->timers.begin()->first;
  next = std::min({next, state_->retry_at, state_->healthy_at, state_->trial_due()});
  // Who is ending fetches no more.
  if (!state_->is_shutting_down) next = std::min(next, state_->remote.schedule.next());
  for (const WaitingSync& sync : state_->syncs)
    next = std::min(next, sync.deadline);
  for (const std::optional<WallTime>& until : {state_->until_of_pin(), state_->until_of_branch()}) {
    if (!until) continue;
    next = std::min(next, after(state_->now.instant, std::min(*until - state_->now.wall, calendar_look)));
  }
  return next;
}

const DurableState& Reconciler::durable() const { return state_->durable; }
std::uint64_t Reconciler::durable_version() const { return state_->durable_version; }

}  // namespace gitproc
