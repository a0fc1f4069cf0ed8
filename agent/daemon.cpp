#include "agent/daemon.h"

#include <malloc.h>
#include <spdlog/spdlog.h>

#include <asio.hpp>
#include <utility>
#include <variant>

#include "agent/planning.h"
#include "drivers/base/clock.h"
#include "drivers/git/signatures.h"
#include "reconcile/unit/url_variables.h"

namespace gitproc {
namespace {

// What commands cost, in sixteenths of making a process, and how much is done before the loop looks at sockets and
// exits again.
constexpr unsigned process_cost = 16;
constexpr unsigned limits_cost = 2;
constexpr unsigned signal_cost = 1;
constexpr unsigned turn_budget = 64 * process_cost;
// `behind` of `status` is counted up to this.
constexpr unsigned behind_limit = 10'000;

}  // namespace

// What needs asio's headers.
struct Daemon::Wiring {
  explicit Wiring(asio::io_context& given_loop)
      : loop(given_loop), timer(loop), log_timer(loop), processes(loop), store(loop), logs(loop) {}
  ~Wiring() {
    // The drivers own these descriptors.
    processes.release();
    store.release();
    logs.release();
  }

  asio::io_context& loop;
  asio::steady_timer timer;
  asio::steady_timer log_timer;
  asio::posix::stream_descriptor processes;
  asio::posix::stream_descriptor store;
  asio::posix::stream_descriptor logs;
  Instant armed = never;
};

Daemon::Daemon(Parts parts)
    : configuration_(std::move(parts.configuration)),
      machine_(std::move(parts.machine)),
      node_(std::move(parts.node)),
      processes_(parts.processes),
      store_(parts.store),
      rotator_(parts.rotator),
      unavailable_(std::move(parts.unavailable)),
      wiring_(std::make_unique<Wiring>(parts.loop)) {
  Now now = read_clocks();
  started_at_ = now.wall;
  unsynced_since_ = now.instant;
  Reconciler::Options options{.boot_id = machine_.boot_id,
                              .seed = static_cast<std::uint64_t>(now.wall.time_since_epoch().count()),
                              .min_healthy_time = configuration_.min_healthy_time,
                              .rollout_deadline = configuration_.rollout_deadline,
                              .auto_rollback = configuration_.auto_rollback,
                              .prune_guard = configuration_.prune_guard,
                              .verifies_signatures = configuration_.signatures.is_set(),
                              .remote = std::nullopt};
  const RemoteSettings& remote = configuration_.remote;
  if (!remote.url.empty())
    options.remote = {.poll_interval = remote.poll_interval, .follows_force_push = remote.follows_force_push};
  std::vector<AdoptedService> adopted = processes_.take_adopted();
  if (parts.durable.branch_override) followed_override_ = parts.durable.branch_override->branch;
  reconciler_ = std::make_unique<Reconciler>(std::move(options), std::move(parts.durable), adopted);
  for (const AdoptedService& service : adopted) {
    processes_.adopt(*reconciler_->find(service.name), service);
  }
  if (!adopted.empty()) spdlog::info("found {} services of an earlier agent", adopted.size());
  initial_version_ = submitted_version_ = reconciler_->durable_version();

  auto post_to_loop = [&loop = parts.loop](std::function<void()> function) {
    asio::post(loop, std::move(function));
  };
  GitWorker::Options git_options{.repository = configuration_.repo,
                                 .branch = configuration_.branch,
                                 .state_dir = configuration_.state_dir,
                                 .catalog = {.node = node_,
                                             .specifiers = machine_.specifiers,
                                             .skips_invalid = configuration_.skips_invalid},
                                 .signatures = configuration_.signatures};
  git_ = std::make_unique<GitWorker>(
      std::move(git_options), post_to_loop, [this](Event event) { post(std::move(event)); },
      [this](std::string warning) { add_unavailable(std::move(warning)); });
  fetcher_ = std::make_unique<Fetcher>(
      parts.loop, *git_, Fetcher::Options{.remote = remote, .state_dir = configuration_.state_dir});
}

Daemon::~Daemon() = default;

Result<void> Daemon::start() {
  asio::error_code error;
  wiring_->processes.assign(processes_.fd(), error);
  if (!error) wiring_->store.assign(store_.fd(), error);
  if (!error) wiring_->logs.assign(rotator_.fd(), error);
  if (error) return fail("cannot watch the drivers: " + error.message());
  wait_for_processes();
  wait_for_store();
  wait_for_logs();
  if (followed_override_) {
    git_->follow(followed_override_, [] {});
  }
  git_->start();
  schedule_turn();
  return {};
}

void Daemon::add_unavailable(std::string what) {
  spdlog::warn("{}", what);
  unavailable_.push_back(std::move(what));
}

void Daemon::take_over(const Configuration& read) {
  bool judges_anew = configuration_.signatures != read.signatures;
  configuration_.log_level = read.log_level;
  configuration_.on_exit = read.on_exit;
  configuration_.min_healthy_time = read.min_healthy_time;
  configuration_.rollout_deadline = read.rollout_deadline;
  configuration_.auto_rollback = read.auto_rollback;
  configuration_.prune_guard = read.prune_guard;
  configuration_.signatures = read.signatures;
  spdlog::set_level(spdlog::level::from_str(read.log_level));
  outlook_of_.reset();  // what was foreseen by the old policy
  PolicyChanged changed{.min_healthy_time = read.min_healthy_time,
                        .rollout_deadline = read.rollout_deadline,
                        .auto_rollback = read.auto_rollback,
                        .prune_guard = read.prune_guard,
                        .verifies_signatures = read.signatures.is_set(),
                        .judges_anew = judges_anew};
  if (!judges_anew) return post(changed);
  for (std::string& lack : missing_tools(read.signatures))
    add_unavailable(std::move(lack));
  // After the verdicts by the old policy.
  git_->judge_by(read.signatures, [this, changed] { post(changed); });
}

void Daemon::post(Event event) {
  pending_events_.push_back(std::move(event));
  schedule_turn();
}

RequestId Daemon::expect(OnAnswer on_answer) {
  RequestId id{++last_request_};
  expected_.emplace(id, std::move(on_answer));
  return id;
}

void Daemon::request_fetch(std::string by) { post(FetchRequested{std::move(by)}); }

void Daemon::shut_down(bool stops_services) {
  is_shutting_down_ = true;
  post(ShutdownRequested{stops_services});
}

// --- the turn ---

void Daemon::schedule_turn() {
  if (std::exchange(is_turn_scheduled_, true)) return;
  asio::post(wiring_->loop, [this] { turn(); });
}

void Daemon::turn() {
  is_turn_scheduled_ = false;
  unsigned cost = 0;
  // Most outcomes are known at once and lead to the next step of the same service: go on until all is done, but
  // let the others have their say in between.
  do {
    std::vector<Event> events = std::exchange(pending_events_, {});
    keep_logs(events);
    pending_commands_.add(reconciler_->step(events, read_clocks()));
    while (cost < turn_budget) {
      std::optional<Command> deed = pending_commands_.take_deed();
      if (!deed) break;
      cost += execute(*deed);
    }
    for (SpawnOutcome& outcome : processes_.take_spawned())
      std::visit([this](auto& event) { pending_events_.emplace_back(std::move(event)); }, outcome);
  } while ((!pending_events_.empty() || reconciler_->has_more()) && cost < turn_budget);
  while (std::optional<Command> word = pending_commands_.take_word())
    execute(*word);
  for (std::string& what : processes_.take_unavailable())
    add_unavailable(std::move(what));
  persist();
  if (std::exchange(has_news_, false)) spdlog::default_logger()->flush();
  follow_branch_override();
  look_ahead();
  watch_sync();
  arm_timer();
  if (!pending_events_.empty() || !pending_commands_.empty() || reconciler_->has_more()) schedule_turn();
}

unsigned Daemon::execute(const Command& command) {
  struct Executor {
    Daemon& daemon;

    unsigned operator()(const LoadCommit& load) { return daemon.git_->load(load), 0; }
    unsigned operator()(const ExportTree& tree) { return daemon.git_->export_tree(tree.commit), 0; }
    unsigned operator()(const SetMarker& marker) {
      daemon.git_->set_marker(marker);
      // Nothing is going on now. What it took to get here is given back, by a thread that nobody waits for.
      if (marker.marker == Marker::healthy)
        daemon.git_->ask([](Repository* repository, const std::string&) {
          if (repository != nullptr) repository->release_caches();
          ::malloc_trim(0);
        });
      return 0;
    }
    unsigned operator()(const Fetch&) {
      daemon.fetcher_->fetch(
          [this_daemon = &daemon](Fetched fetched) { this_daemon->post(std::move(fetched)); });
      return process_cost;
    }
    unsigned operator()(const CompareTips& command) { return daemon.git_->compare(command), 0; }
    unsigned operator()(const MoveBranch& command) { return daemon.git_->move_branch(command), 0; }
    unsigned operator()(const Spawn& spawn) {
      if (spawn.phase == ExecPhase::start) daemon.rotator_.watch(spawn.unit->name, spawn.unit->log);
      daemon.processes_.spawn(spawn);
      return process_cost;
    }
    unsigned operator()(const Kill& kill) { return daemon.processes_.kill(kill), signal_cost; }
    unsigned operator()(const AwaitMainPid& wait) { return daemon.processes_.await_main_pid(wait), 0; }
    unsigned operator()(const CleanUp& clean) {
      if (clean.is_removed) daemon.forget(clean.service, clean.unit->name);
      daemon.processes_.clean_up(clean);
      return 0;
    }
    unsigned operator()(const AdjustLimits& adjust) {
      daemon.processes_.adjust_limits(adjust);
      return limits_cost;
    }
    unsigned operator()(const FindSurvivors& find) {
      daemon.pending_events_.emplace_back(daemon.processes_.find_survivors(find));
      return 0;
    }
    unsigned operator()(const CheckConditions& check) {
      daemon.pending_events_.emplace_back(daemon.processes_.check_conditions(check));
      return 0;
    }
    unsigned operator()(const Preflight& check) {
      daemon.pending_events_.emplace_back(daemon.processes_.preflight(check));
      return 0;
    }
    unsigned operator()(const StartProbe& probe) {
      daemon.start_probe(probe);
      return probe.unit->health->kind == HealthCheckKind::exec ? process_cost : 0;
    }
    unsigned operator()(const CancelProbe& probe) {
      daemon.processes_.cancel_probe(probe.service);
      if (daemon.probes_) daemon.probes_->cancel(probe.service);
      return 0;
    }
    unsigned operator()(const RunRecord& record) {
      if (Result<void> written = daemon.processes_.record(record); !written) {
        spdlog::error("{}: {}", record.name, written.error().message);
      }
      return 0;
    }
    unsigned operator()(const Answer& answer) {
      daemon.held_answers_.push_back({daemon.reconciler_->durable_version(), answer});
      return 0;
    }
    unsigned operator()(const Announce& announcement) { return daemon.announce(announcement), 0; }
    unsigned operator()(const ExitAgent&) {
      daemon.persist();
      daemon.wiring_->loop.stop();
      return 0;
    }
  };
  return std::visit(Executor{*this}, command);
}

void Daemon::forget(ServiceId service, const std::string& name) {
  if (probes_) probes_->cancel(service);
  rotator_.forget(name);
}

// A policy that changes applies to the service that runs; so does the one of a service that was adopted, which no
// Spawn tells of.
void Daemon::keep_logs(const std::vector<Event>& events) {
  for (const Event& event : events) {
    const auto* loaded = std::get_if<CommitLoaded>(&event);
    if (loaded == nullptr) continue;
    for (const UnitChange& change : loaded->changes) {
      if (change.unit) rotator_.watch(change.name, change.unit->log);
    }
  }
}

void Daemon::start_probe(const StartProbe& probe) {
  if (probe.unit->health->kind == HealthCheckKind::exec) return processes_.start_probe(probe);
  // Made when it is needed first: the TLS library behind it takes megabytes.
  if (!probes_) {
    auto made = make_probe_driver(wiring_->loop, [this](Event event) { post(std::move(event)); });
    if (!made) {
      pending_events_.emplace_back(ProbeFinished{probe.service, false, made.error().message});
      return;
    }
    probes_ = *std::move(made);
  }
  HealthCheck check = *probe.unit->health;
  check.url = expand_url_variables(check.url, probe.unit->exec->environment);
  probes_->start(probe.service, check);
}

void Daemon::announce(const Announce& announcement) {
  std::string commit = announcement.commit ? announcement.commit->abbreviated() : "";
  if (announcement.service.empty()) {
    spdlog::info("{} {}{}{}", announcement.kind, commit, announcement.reason.empty() ? "" : ": ",
                 announcement.reason);
  } else if (announcement.kind == "state") {
    bool is_bad = announcement.to == "failed" || announcement.to == "backoff";
    // What a service goes through on its way is told only on demand; where it arrives is news.
    bool is_passing =
        announcement.to == "starting" || announcement.to == "stopping" || announcement.to == "waiting";
    spdlog::log(is_bad       ? spdlog::level::warn
                : is_passing ? spdlog::level::debug
                             : spdlog::level::info,
                "{}: {} -> {}{}{}", announcement.service, announcement.from, announcement.to,
                announcement.reason.empty() ? "" : ": ", announcement.reason);
  } else {
    spdlog::info("{}: {}{}{}", announcement.service, announcement.kind,
                 announcement.reason.empty() ? "" : ": ", announcement.reason);
  }
  has_news_ = true;
  events_.add({read_clocks().wall, announcement});
}

void Daemon::watch_sync() {
  SyncState now = reconciler_->sync();
  if (now == sync_) return;
  if (sync_ == SyncState::synced) unsynced_since_ = read_clocks().instant;
  sync_ = now;
  if (on_sync_) on_sync_(now);
}

Duration Daemon::sync_lag() const {
  return sync_ == SyncState::synced ? Duration::zero() : read_clocks().instant - unsynced_since_;
}

// --- what must be remembered ---

void Daemon::persist() {
  std::uint64_t version = reconciler_->durable_version();
  if (version != submitted_version_) {
    submitted_version_ = version;
    store_.submit(reconciler_->durable(), version);
  }
  release_answers();
}

std::string Daemon::store_problem() const {
  std::optional<Error> error = store_.last_error();
  return error ? error->message : "";
}

void Daemon::release_answers() {
  std::uint64_t durable = store_.durable_version();
  std::string problem = store_problem();
  while (!held_answers_.empty()) {
    HeldAnswer& held = held_answers_.front();
    bool is_durable = held.version <= std::max(durable, initial_version_);
    if (!is_durable && problem.empty()) return;
    if (!is_durable && !held.answer.error) {
      held.answer.error = Error{"done, but it will be forgotten when the agent ends: " + problem};
    }
    deliver(held.answer);
    held_answers_.pop_front();
  }
}

void Daemon::deliver(const Answer& answer) {
  auto expected = expected_.find(answer.request);
  if (expected == expected_.end()) return;
  OnAnswer on_answer = std::move(expected->second);
  expected_.erase(expected);
  on_answer(answer);
}

// --- waiting ---

void Daemon::arm_timer() {
  Instant next = reconciler_->next_deadline();
  if (next == wiring_->armed) return;
  wiring_->armed = next;
  if (next == never) {
    wiring_->timer.cancel();
    return;
  }
  // CLOCK_BOOTTIME against asio's CLOCK_MONOTONIC: a sleep of the machine makes a timer late, not wrong.
  Duration wait = std::max(next - read_clocks().instant, Duration::zero());
  constexpr Duration longest = std::chrono::hours(24);
  wiring_->timer.expires_after(std::min(wait, longest));
  wiring_->timer.async_wait([this](const asio::error_code& stopped) {
    if (stopped) return;
    wiring_->armed = never;
    schedule_turn();
  });
}

void Daemon::wait_for_processes() {
  wiring_->processes.async_wait(asio::posix::stream_descriptor::wait_read,
                                [this](const asio::error_code& stopped) {
                                  if (stopped) return;
                                  for (Event& event : processes_.drain())
                                    pending_events_.push_back(std::move(event));
                                  // No detour through the loop's queue: a crashed service is running again before anything else is looked at.
                                  if (!pending_events_.empty()) turn();
                                  wait_for_processes();
                                });
}

void Daemon::wait_for_store() {
  wiring_->store.async_wait(asio::posix::stream_descriptor::wait_read,
                            [this](const asio::error_code& stopped) {
                              if (stopped) return;
                              store_.acknowledge();
                              if (std::optional<Error> error = store_.last_error())
                                spdlog::error("{}", error->message);
                              release_answers();
                              wait_for_store();
                            });
}

void Daemon::wait_for_logs() {
  auto look = [this] {
    for (const LogIncident& incident : rotator_.drain(read_clocks().instant)) {
      spdlog::warn("{}: {}", incident.service, incident.message);
    }
    wiring_->logs.cancel();
    wiring_->log_timer.cancel();
    wait_for_logs();
  };
  wiring_->logs.async_wait(asio::posix::stream_descriptor::wait_read,
                           [look](const asio::error_code& stopped) {
                             if (!stopped) look();
                           });
  Instant next = rotator_.next_deadline();
  if (next == never) return;
  wiring_->log_timer.expires_after(std::max(next - read_clocks().instant, Duration::zero()));
  wiring_->log_timer.async_wait([look](const asio::error_code& stopped) {
    if (!stopped) look();
  });
}

// --- git ---

void Daemon::follow_branch_override() {
  const std::optional<BranchOverride>& wanted = reconciler_->durable().branch_override;
  std::optional<std::string> branch = wanted ? std::optional(wanted->branch) : std::nullopt;
  if (branch == followed_override_) return;
  followed_override_ = branch;
  git_->follow(branch, [] {});
}

void Daemon::look_ahead() {
  std::optional<ObjectId> desired = reconciler_->desired(), tip = reconciler_->tip();
  if (!desired || !tip || desired == tip) {
    if (outlook_of_) outlook_ = {};
    outlook_of_.reset();
    return;
  }
  // Why a tip was refused or held is known; what a pin keeps away is worked out, which reads both commits whole.
  bool is_planned = reconciler_->durable().pin.has_value();
  std::tuple question_of(*desired, *tip, is_planned);
  if (outlook_of_ == question_of) return;
  outlook_of_ = question_of;
  outlook_ = {};
  PlanQuestion question{.catalog = {.node = node_,
                                    .specifiers = machine_.specifiers,
                                    .skips_invalid = configuration_.skips_invalid},
                        .from = desired,
                        .to = *tip,
                        .prune_guard = configuration_.prune_guard,
                        .denials = reconciler_->durable().denials,
                        .signatures = configuration_.signatures,
                        .verified = reconciler_->durable().verified,
                        .applied = reconciler_->node().applied_commit};
  git_->ask([this, question_of, question, is_planned, loop = &wiring_->loop](Repository* repository,
                                                                             const std::string&) {
    if (repository == nullptr) return;
    Outlook seen;
    if (Result<unsigned> count = repository->count_behind(*question.from, question.to, behind_limit))
      seen.behind = *count;
    if (Result<CommitInfo> info = repository->commit_info(question.to)) seen.subject = info->subject;
    if (is_planned) {
      Result<PlanAnswer> plan = make_plan(*repository, question);
      seen.is_planned = true;
      if (plan) seen.summary = summary_of(plan->plan);
      seen.error = plan ? plan->guard_message : plan.error().message;
    }
    asio::post(*loop, [this, question_of, seen] {
      if (outlook_of_ == question_of) outlook_ = seen;
    });
  });
}

}  // namespace gitproc
