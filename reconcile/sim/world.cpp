// Time, and the phases of a world's life.
#include "reconcile/sim/world.h"

#include <algorithm>

namespace gitproc::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Everything has its end in less: start-up and stop have time-outs of seconds, retries come every 30 s.
constexpr Duration liveness = minutes(15);
constexpr std::uint64_t max_rounds = 200'000;

}  // namespace

World::World(std::uint64_t seed, bool keeps_words)
    : chance_(seed),
      wide_chance_(seed ^ 0x5DEECE66D),
      is_wide_(wide_chance_.one_in(2)),
      hasty_chance_(seed ^ 0x2545F4914F6CDD1D),
      is_hasty_(hasty_chance_.one_in(2)),
      faults_(Faults::drawn(chance_)),
      policy_{.allowed_signers = chance_.one_in(3) ? "signers" : "",
              .judges_only_the_tip = chance_.one_in(4)},
      trace_(keeps_words),
      machine_(chance_, wide_chance_, faults_, journal_),
      repository_(chance_, is_wide_ ? &wide_chance_ : nullptr),
      checks_(machine_, journal_, repository_, policy_.is_set()) {
  if (is_wide_) faults_.widen(wide_chance_);
  // By a chance of its own, so that worlds without a remote stay what they were.
  Chance remote_chance(~seed);
  if (!remote_chance.percent(40)) return;
  bool is_in_reach = !is_wide_ || !wide_chance_.one_in(3);
  repository_.add_remote(is_in_reach);
  faults_.failing_fetches = remote_chance.one_in(2);
  follows_force_push_ = remote_chance.one_in(5);
  is_checked_out_ = remote_chance.one_in(4);
}

std::string World::run() {
  rolls_back_ = chance_.one_in(2);
  has_guard_ = chance_.one_in(2);
  rollout_deadline_ = chance_.one_in(2) ? minutes(5) : chance_.span(seconds(15), seconds(60));
  agent_starts_at_ = now_.instant;
  author_acts_at_ = now_.instant + chance_.span(seconds(1), seconds(30));
  operator_acts_at_ = chance_.one_in(4) ? never : now_.instant + chance_.span(seconds(1), seconds(20));
  if (faults_.oom_kills || faults_.drifting_limits)
    meddler_acts_at_ = now_.instant + chance_.span(seconds(1), seconds(20));
  bool has_administrator =
      faults_.is_any_of_administrator() || (repository_.has_remote() && !repository_.has_remote_in_reach());
  if (has_administrator) administrator_acts_at_ = now_.instant + wide_chance_.span(seconds(5), seconds(40));
  if (faults_.agent_crashes) crash_at_ = now_.instant + chance_.span(milliseconds(1), seconds(60));
  if (faults_.power_losses) power_loss_at_ = now_.instant + chance_.span(seconds(5), minutes(3));
  run_until(now_.instant + chance_.span(seconds(20), minutes(4)));

  end_faults();
  if (repository_.has_remote_in_reach()) {
    tell(FetchRequested{"webhook"});
  } else if (repository_.has_remote()) {
    run_until(now_.instant + minutes(1));  // the agent may have to start first
    import_bundle();
  }
  run_until(now_.instant + liveness);
  // Whatever is held waits for somebody to say so.
  if (repository_.has_remote() && agent_ && agent_->reconciler.node().hold) {
    accept_what_is_held();
    run_until(now_.instant + liveness);
  }
  check_rest(false);
  bool is_held = agent_ && agent_->reconciler.node().hold.has_value();
  if (is_held && chance_.one_in(2) && checks_.failure().empty()) {
    RequestId id{++requests_};
    ask(ApproveRequested{.request = id, .commit = std::nullopt, .by = "operator"}, id);
    run_until(now_.instant + liveness);
    check_rest(false);
    if (agent_ && agent_->reconciler.node().hold) checks_.fail("what was approved is still held");
  }
  bool ends_with_sync = chance_.one_in(2);
  if (ends_with_sync && agent_) {
    RequestId id{++requests_};
    ask(SyncRequested{.request = id, .waits = true, .retries = chance_.one_in(2), .by = "operator"}, id);
    run_until(now_.instant + liveness);
    check_rest(true);
  }
  bool ends_in_order = chance_.one_in(3);
  if (ends_in_order && agent_) {
    is_over_ = true;
    tell(ShutdownRequested{true});
    run_until(now_.instant + minutes(5));
    if (agent_) checks_.fail("the agent does not end");
    if (!machine_.processes().empty()) checks_.fail("the agent has ended, but a process is left");
  }
  return checks_.failure();
}

void World::end_faults() {
  trace_.say(now_.instant, "--- no more faults ---");
  author_acts_at_ = operator_acts_at_ = meddler_acts_at_ = crash_at_ = power_loss_at_ = never;
  administrator_acts_at_ = never;
  is_hasty_ = false;
  machine_.calm_down(now_.instant);
  if (faults_.clock_steps) step_clock(hours(48));  // so that everything that has a time outlives it
  bool was_gone = !repository_.seen_tip(followed_branch());
  repository_.bring_branches_back();
  if (agent_ && was_gone) tell_tip();
  faults_ = Faults{};
}

void World::check_rest(bool is_after_sync) {
  if (!checks_.failure().empty()) return;
  if (!agent_) return checks_.fail("no agent runs");
  ObjectId tip = repository_.tip(followed_branch());
  if (repository_.has_remote()) {
    ObjectId remote = repository_.remote_tip(followed_branch());
    if (repository_.fetched_tip(followed_branch()) != remote)
      checks_.fail("the remote was not fetched again");
    std::optional<Hold> hold = agent_->reconciler.node().hold;
    if (hold && hold->kind != "prune") checks_.fail("held, although the operator has accepted it");
    // The local branch counts only where it is ahead; where it was rewound or set aside it does not.
    bool is_local = repository_.is_after(tip, remote) && agent_->reconciler.tip() == tip;
    if (!is_local) tip = remote;
    if (agent_->reconciler.tip() != tip) checks_.fail("the tip is not the remote's");
  }
  checks_.at_rest({.reconciler = agent_->reconciler,
                   .disk = disk_.state,
                   .markers = disk_.markers,
                   .tip = tip,
                   .branch = followed_branch(),
                   .is_after_sync = is_after_sync,
                   .now = now_.wall});
}

void World::run_until(Instant end) {
  for (std::uint64_t round = 0; checks_.failure().empty(); ++round) {
    if (round == max_rounds) return checks_.fail("the world does not come to rest");
    Instant at = std::max(next(), now_.instant);
    pass_time(std::min(at, end));
    if (at > end) return;

    if (power_loss_at_ <= now_.instant) lose_power();
    if (crash_at_ <= now_.instant) {
      crash_at_ = now_.instant + chance_.span(milliseconds(100), seconds(60));
      kill_agent("killed while it waits");
    }
    if (author_acts_at_ <= now_.instant) act_as_author();
    if (operator_acts_at_ <= now_.instant) act_as_operator();
    if (meddler_acts_at_ <= now_.instant) act_as_meddler();
    if (administrator_acts_at_ <= now_.instant) act_as_administrator();
    if (!agent_ && agent_starts_at_ <= now_.instant) start_agent();
    if (!agent_) continue;
    finish_writes();
    set_markers();
    drain();
    if (is_agent_busy() || agent_->reconciler.next_deadline() <= now_.instant) take_turn();
  }
}

Instant World::next() const {
  Instant next = std::min({machine_.next(), author_acts_at_, operator_acts_at_, meddler_acts_at_,
                           administrator_acts_at_, crash_at_, power_loss_at_});
  if (!agent_) return std::min(next, agent_starts_at_);
  if (is_agent_busy()) return now_.instant;
  if (!in_flight_.empty()) next = std::min(next, in_flight_.begin()->first.first);
  if (!agent_->markers.empty()) next = std::min(next, agent_->markers.front().first);
  return std::min({next, agent_->reconciler.next_deadline(), agent_->written_at});
}

void World::pass_time(Instant until) {
  while (now_.instant < until || machine_.next() <= until) {
    Instant at = std::clamp(machine_.next(), now_.instant, until);
    now_.wall += at - now_.instant;
    now_.instant = at;
    for (const Incident& incident : machine_.pass(at)) {
      std::visit([this](const auto& happened) { happen(happened); }, incident);
    }
  }
}

void World::happen(const Ended& ended) {
  const Process& process = ended.process;
  trace_.add(now_.instant, static_cast<std::uint64_t>(process.pid));
  trace_.say(now_.instant, "** pid " + std::to_string(process.pid) + " of " + process.service + " " +
                               to_string(process.status));
  if (!agent_) return;
  auto tracked = agent_->tracked.find(process.pid);
  if (tracked != agent_->tracked.end()) {
    ProcessExited event{.service = tracked->second, .pid = process.pid, .status = process.status};
    event.was_oom_killed = faults_.named_oom_kills && process.is_short_of_memory;
    bool is_unseen = faults_.unseen_exits && agent_->inherited.contains(process.pid);
    if (is_unseen) event.status = {ExitStatus::Kind::unknown, 0};
    agent_->tracked.erase(tracked);
    tell_late(event);
  }
  look_for_empty(process.service);
}

void World::happen(const Readied& readied) {
  const Process& process = readied.process;
  trace_.add(now_.instant, static_cast<std::uint64_t>(process.pid));
  if (!agent_) return;
  auto tracked = agent_->tracked.find(process.pid);
  if (process.role == Role::main && tracked != agent_->tracked.end()) {
    Notified event;
    event.service = tracked->second;
    event.sender = process.pid;
    event.is_ready = true;
    tell_late(event);
  }
  if (process.role == Role::daemon) look_for_empty(process.service);
}

}  // namespace gitproc::sim
