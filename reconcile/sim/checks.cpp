// While the world runs. At rest: rest_checks.cpp.
#include "reconcile/sim/checks.h"

#include <algorithm>
#include <utility>

namespace gitproc::sim {
namespace {

// A cause may lie so far back: what it led to takes its time.
constexpr Duration cause_memory = std::chrono::minutes(2);
constexpr std::size_t remembered_commits = 8;
constexpr unsigned max_idle_steps = 3;
constexpr unsigned max_steps_per_second = 3000;

bool takes_stops(const Unit& unit, const std::string& of) {
  const Dependencies& on = *unit.dependencies;
  return contains(on.requires_, of) || contains(on.requisite, of) || contains(on.binds_to, of) ||
         contains(on.part_of, of);
}

bool is_ordered(const Unit& later, const Unit& earlier) {
  return contains(later.dependencies->after, earlier.name) ||
         contains(earlier.dependencies->before, later.name);
}

}  // namespace

void Checks::fail(std::string what) {
  if (failure_.empty()) failure_ = std::move(what);
}

void Checks::booted() {
  for (auto& [name, service] : facts_) {
    InvocationId invocation = service.invocation;
    service = Facts{};
    service.invocation = invocation;
  }
}

void Checks::agent_lost() {
  unanswered_.clear();
  stops_.clear();
  syncs_.clear();
  fetched_syncs_.clear();
  loading_.reset();
  unfit_.clear();
  pulled_.clear();
  knows_relations_ = false;
}

void Checks::agent_started(const std::vector<AdoptedService>& adopted, const DurableState& disk,
                           Instant now) {
  denials_ = disk.denials;
  retried_writes_ = 0;
  is_approval_asked_ = false;
  previous_.reset();
  applying_.reset();  // which of the last ones it comes to know as what runs is not told
  held_.reset();
  approved_.reset();  // what was answered is on disk
  followed_ = disk.followed;
  history_.agent_started(disk);
  had_applied_ = disk.applied.has_value();
  for (auto& [name, service] : facts_) {
    service.is_up = service.is_ready = service.remains = service.is_starting = service.is_ending = false;
    service.latch.reset();
  }
  for (const AdoptedService& record : adopted) {
    Facts& service = facts(record.name);
    service.invocation = record.invocation;
    service.latch = record.latch;
    if (record.latch) continue;
    bool is_main_alive = record.main && record.main->is_alive;
    // Nobody could tell the main one among its processes.
    bool is_forking = service.unit && service.unit->type == ServiceType::forking;
    bool is_main_unknown = is_forking && record.was_started && !record.main;
    bool is_alive = is_main_alive || is_main_unknown;
    service.main = is_main_alive ? record.main->pid : 0;
    service.is_up = service.is_ready = is_alive;
    service.is_adopted = service.is_unknown = true;
    service.is_probed = true;
    service.remains = !is_alive && record.was_started;
    if (!is_alive) touch(record.name, now);
  }
}

const Checks::Facts* Checks::find(const std::string& name) const {
  auto found = facts_.find(name);
  return found == facts_.end() ? nullptr : &found->second;
}

bool Checks::is_active(const std::string& name) const {
  const Facts* service = find(name);
  return service && (service->remains || (service->is_up && service->is_ready && service->is_probed));
}

bool Checks::is_latched_well(const std::string& name) const {
  const Facts* service = find(name);
  return service && service->latch && service->latch->kind != LatchKind::failed;
}

bool Checks::is_failed(const std::string& name) const {
  const Facts* service = find(name);
  return service && service->latch && service->latch->kind == LatchKind::failed;
}

// --- what the agent is told ---

void Checks::told(const Event& event, const std::string& name, Instant now) {
  history_.told(event);
  if (const auto* spawned = std::get_if<Spawned>(&event)) {
    Facts& service = facts(name);
    bool is_main = spawned->pid == service.main && service.unit;
    if (is_main && service.unit->type != ServiceType::notify && service.unit->type != ServiceType::oneshot &&
        service.unit->type != ServiceType::forking) {
      service.is_ready = true;
    }
  } else if (std::get_if<SpawnFailed>(&event) != nullptr || std::get_if<OomKilled>(&event) != nullptr ||
             std::get_if<ConditionsChecked>(&event) != nullptr) {
    touch(name, now);
  } else if (const auto* exited = std::get_if<ProcessExited>(&event)) {
    Facts& service = facts(name);
    touch(name, now);
    bool is_clean = exited->status == ExitStatus{.kind = ExitStatus::Kind::exited, .value = 0};
    if (exited->pid == service.reload && is_clean) service.may_lack_reload = false;
    if (exited->pid != service.main) return;
    service.remains = service.is_ready && service.unit && service.unit->remains_after_exit;
    service.is_up = service.is_ready = false;
    service.main = 0;
  } else if (std::get_if<Emptied>(&event) != nullptr) {
    Facts& service = facts(name);
    if (service.main != 0) return;
    service.remains = service.is_up && service.unit && service.unit->remains_after_exit;
    service.is_up = false;
  } else if (const auto* found = std::get_if<MainPidFound>(&event)) {
    Facts& service = facts(name);
    service.main = found->pid;
    service.is_up = service.is_ready = !found->is_empty;
  } else if (const auto* notified = std::get_if<Notified>(&event)) {
    Facts& service = facts(name);
    if (notified->sender == service.main) service.is_ready = true;
  } else if (const auto* probe = std::get_if<ProbeFinished>(&event)) {
    Facts& service = facts(name);
    service.passed_probes = probe->is_healthy ? service.passed_probes + 1 : 0;
    if (service.unit && service.passed_probes >= service.unit->health->success_threshold)
      service.is_probed = true;
  } else if (const auto* checked = std::get_if<PreflightChecked>(&event)) {
    preflight_told(name, checked->error);
  } else if (const auto* exported = std::get_if<TreeExported>(&event)) {
    // Without any commit that ran, what is exported may be given up before it says what runs.
    if (exported->error.empty() && had_applied_) knows_relations_ = true;
    if (held_ != exported->commit) held_.reset();  // it is compared with another one from now on
  } else if (const auto* rejected = std::get_if<CommitRejected>(&event)) {
    judged(rejected->commit.id, rejected->verified, !repository_.at(rejected->commit.id).is_broken);
  } else if (const auto* loaded = std::get_if<CommitLoaded>(&event)) {
    judged(loaded->commit.id, loaded->verified, false);
    const Commit& commit = repository_.at(loaded->commit.id);
    for (const std::string& each : repository_.names()) {
      UnitPtr before = loaded_.empty() ? nullptr : find_unit(*loaded_.back(), each);
      UnitPtr after = find_unit(commit, each);
      if (before == after) continue;
      touch(each, now);
      Facts& service = facts(each);
      service.is_touched_by_commit = true;
      service.job_done.reset();
      if (!after || !service.unit || *service.unit->dependencies != *after->dependencies)
        service.is_related_anew = true;
    }
    for (const auto& [each, unit] : commit.units) {
      const Dependencies& on = *unit->dependencies;
      for (const auto* list : {&on.requires_, &on.binds_to, &on.wants})
        was_pulled_.insert(list->begin(), list->end());
    }
    forget_pulled(commit);
    loaded_.push_back(&commit);
    if (loaded_.size() > remembered_commits) loaded_.pop_front();
  } else if (const auto* request = std::get_if<ServiceRequested>(&event)) {
    touch(request->service, now);
    // A start that is asked for meanwhile lifts the hold.
    std::erase_if(stops_, [&](const auto& stop) { return stop.second == request->service; });
    if (request->verb == ServiceVerb::stop) stops_.emplace(request->request, request->service);
    if (request->verb == ServiceVerb::stop) pulled_.erase(request->service);
    if (request->verb != ServiceVerb::reload) facts(request->service).job_done.reset();
  } else if (std::get_if<ApproveRequested>(&event) != nullptr) {
    is_approval_asked_ = true;
    for (const std::string& each : repository_.names())
      touch(each, now);  // what was loaded long ago happens now
  } else if (const auto* sync = std::get_if<SyncRequested>(&event)) {
    syncs_.push_back(*sync);
    if (!repository_.has_remote_in_reach()) begin_syncs(syncs_, now);
  } else if (const auto* fetched = std::get_if<Fetched>(&event)) {
    if (fetched->fault == Fetched::Fault::none) begin_syncs(fetched_syncs_, now);
    fetched_syncs_.clear();
  } else if (const auto* policy = std::get_if<PolicyChanged>(&event)) {
    configured(policy->auto_rollback, policy->prune_guard);
  } else if (std::get_if<ShutdownRequested>(&event) != nullptr) {
    for (const std::string& each : repository_.names())
      touch(each, now);
  }
}

// Where there is a remote, a sync begins when a fetch that began after it was asked for has ended well.
void Checks::begin_syncs(std::vector<SyncRequested>& syncs, Instant now) {
  for (const SyncRequested& sync : std::exchange(syncs, {})) {
    constexpr unsigned writes_at_once = 2;  // one is under way
    history_.sync_began();
    if (sync.retries) retried_writes_ = writes_at_once;
    for (const std::string& each : repository_.names()) {
      // With --retry, what was denied when it was loaded, long ago, happens now.
      if (sync.retries || unfit_.contains(each) || is_failed(each)) touch(each, now);
    }
  }
}

// --- signatures ---

void Checks::asked_to_load(const LoadCommit& command) { loading_ = command; }

void Checks::judged(const ObjectId& commit, const std::optional<VerifiedCommit>& verified, bool is_refused) {
  if (!loading_ || loading_->commit != commit) return fail("a commit was loaded that was not asked for");
  LoadCommit asked = *std::exchange(loading_, std::nullopt);
  // Of one that is broken, too, only a good verdict is told.
  if (verified || is_refused) judged_[{commit, asked.branch}] = verified.has_value();
  if (!verified && asked.was_applied) judged_.try_emplace({commit, ""}, true);
}

// What the policy had to say last of the commit as a tip, or, with "", as one asked for by name.
bool Checks::is_refused(const ObjectId& commit, const std::string& branch) const {
  auto verdict = judged_.find({commit, branch});
  return verdict != judged_.end() && !verdict->second;
}

// Something is made of a commit: it must have been found good at least once.
void Checks::check_trusted(const ObjectId& commit) {
  bool is_good = std::ranges::any_of(
      judged_, [&](const auto& entry) { return entry.first.first == commit && entry.second; });
  if (verifies_ && !is_good) fail("a commit that was not found good is exported");
}

// --- what it decides ---

void Checks::decided(const Commands& commands, const Reconciler& reconciler, Instant now) {
  std::optional<Followed> before = std::exchange(followed_, reconciler.durable().followed);
  for (const Command& command : commands) {
    if (const auto* spawn = std::get_if<Spawn>(&command)) {
      Facts& service = facts(spawn->unit->name);
      bool is_new = service.invocation != spawn->invocation;
      if (is_new) check_restart(*spawn, now);
      if (is_new) unfit_.erase(spawn->unit->name);
      if (is_new || spawn->phase == ExecPhase::reload) service.seen = *spawn->unit->watched;
      if (is_new) service.is_adopted = false;
      service.may_lack_reload = spawn->phase == ExecPhase::reload || (service.may_lack_reload && !is_new);
      service.invocation = spawn->invocation;
      service.is_ending = spawn->phase == ExecPhase::stop || spawn->phase == ExecPhase::stop_post;
      if (service.is_ending) touch(spawn->unit->name, now);
      if (service.is_ending) service.is_starting = false;
      if (is_new && spawn->unit->conditions->empty()) check_start(*spawn->unit);
    } else if (const auto* preflight = std::get_if<Preflight>(&command)) {
      preflight_asked(*preflight, now);
    } else if (const auto* check = std::get_if<CheckConditions>(&command)) {
      check_start(*check->unit);
    } else if (const auto* kill = std::get_if<Kill>(&command)) {
      bool is_end = kill->signal != 0 && (kill->whole_group || kill->main_pid != 0);
      if (!is_end) continue;
      facts(kill->unit->name).is_ending = true;
      facts(kill->unit->name).is_starting = false;
      touch(kill->unit->name, now);
    } else if (const auto* news = std::get_if<Announce>(&command)) {
      if (!news->service.empty()) facts(news->service).is_unknown = false;
      note(*news);
    } else if (std::get_if<Fetch>(&command) != nullptr) {
      fetched_syncs_ = std::exchange(syncs_, {});
    } else if (const auto* tree = std::get_if<ExportTree>(&command)) {
      check_trusted(tree->commit);
    } else if (const auto* move = std::get_if<MoveBranch>(&command)) {
      auto verdict = judged_.find({move->to, move->branch});
      bool is_good = verdict != judged_.end() && verdict->second;
      if (verifies_ && !is_good) fail("the local branch is moved to a commit that was not found good");
    } else if (const auto* marker = std::get_if<SetMarker>(&command)) {
      if (marker->marker == Marker::healthy) healthy_ = marker->commit;
    } else if (const auto* record = std::get_if<RunRecord>(&command)) {
      note(*record, now);
    }
  }
  check_followed(before);
  if (std::string fault = history_.decided(reconciler); !fault.empty()) fail(fault);
}

void Checks::note(const RunRecord& record, Instant now) {
  Facts& service = facts(record.name);
  bool is_any_end = record.kind == RunRecord::Kind::started || record.kind == RunRecord::Kind::stopping ||
                    record.kind == RunRecord::Kind::ended;
  if (is_any_end) service.is_starting = false;
  switch (record.kind) {
    case RunRecord::Kind::started:
      if (!service.is_up) service.remains = true;  // or its end follows
      return;
    case RunRecord::Kind::main_pid:
      service.main = record.main_pid;
      service.is_up = service.is_ready = true;
      return;
    case RunRecord::Kind::stopping:
      if (!service.is_up && !service.remains) return;
      if (service.is_up && !service.is_ending) {
        check_stop(record.name);
        check_preflight(record.name);
      }
      check_cause(record.name, service.started_at, "is stopped");
      service.job_done.reset();
      return;
    case RunRecord::Kind::stamped: go_over(record); return;
    case RunRecord::Kind::ended:
      service.waits_until = now + service.restart_delay;
      service.remains = false;
      service.latch = record.latch;
      if (record.latch && record.latch->kind == LatchKind::completed) {
        const AdoptedService* known = journal_.find(record.name);
        if (known != nullptr) service.job_done = known->fingerprint;
      }
      if (service.is_up && service.main != 0 && machine_.is_alive(service.main)) {
        fail(record.name + " is said to have ended, but pid " + std::to_string(service.main) + " lives");
      }
      service.is_up = false;
      return;
    case RunRecord::Kind::forgotten:
      check_cause(record.name, now, "is tried again");
      service.latch.reset();
      service.job_done.reset();
      return;
  }
  __builtin_unreachable();
}

// To another unit with the same process. Who is not active yet has to pass the health check of this one.
void Checks::go_over(const RunRecord& stamp) {
  UnitPtr unit;
  for (const Commit* commit : loaded_) {
    UnitPtr candidate = find_unit(*commit, stamp.name);
    if (candidate && candidate->fingerprint == stamp.fingerprint) unit = candidate;
  }
  if (!unit) return fail(stamp.name + " goes over to a unit that was not loaded");
  Facts& service = facts(stamp.name);
  if (!is_active(stamp.name)) service.is_probed = !unit->has_health_check();
  if (service.unit && *service.unit->dependencies != *unit->dependencies) service.is_related_anew = true;
  bool has_new_check = !service.unit || *service.unit->health != *unit->health;
  if (has_new_check) service.passed_probes = 0;
  service.unit = unit;
  // What is not watched for a while may change without a reload.
  std::erase_if(service.seen, [&](const WatchedPath& seen) {
    return std::ranges::find(*unit->watched, seen.path, &WatchedPath::path) == unit->watched->end();
  });
  service.restart_delay = unit->restart->delay;
}

// Nobody starts while one that comes before it, by all commits that may count at present, is starting.
void Checks::check_order(const Unit& unit) {
  for (const auto& [other, service] : facts_) {
    if (!service.is_starting || loaded_.empty()) continue;
    bool is_before = std::ranges::all_of(loaded_, [&](const Commit* commit) {
      UnitPtr later = find_unit(*commit, unit.name), earlier = find_unit(*commit, other);
      return later && earlier && is_ordered(*later, *earlier);
    });
    if (is_before) fail(unit.name + " starts while " + other + ", which comes before it, does");
  }
  facts(unit.name).is_starting = true;
}

// What is new with a commit starts when what went with it is down.
void Checks::check_waves(const Unit& unit) {
  // Who is only there for others waits for nobody: what it is to be is not decided with the commit.
  if (!applying_ || !previous_ || !unit.is_desired_running || facts(unit.name).unit) return;
  const UnitMap &now = repository_.at(*applying_).units, &before = repository_.at(*previous_).units;
  if (!now.contains(unit.name) || before.contains(unit.name)) return;
  for (const auto& [other, service] : facts_) {
    bool is_removed = before.contains(other) && !now.contains(other);
    if (is_removed && service.is_up && !service.is_adopted)
      fail(unit.name + ", which is new, starts before " + other + " is gone");
  }
}

// By Restart=: not before its time, and together with those that restart with it.
void Checks::check_restart(const Spawn& spawn, Instant now) {
  Facts& service = facts(spawn.unit->name);
  bool is_automatic = spawn.restarts > std::exchange(service.restarts, spawn.restarts);
  service.restart_delay = spawn.unit->restart->delay;
  if (!is_automatic) return;
  if (now < service.waits_until) fail(spawn.unit->name + " is restarted too soon");
  for (const auto& [other, facts] : facts_) {
    bool stays = facts.is_up && !facts.is_ending && !facts.is_unknown;
    if (stays && stops_before(other, spawn.unit->name))
      fail(spawn.unit->name + " is restarted while " + other + ", which restarts with it, runs on");
  }
}

void Checks::check_start(const Unit& unit) {
  check_order(unit);
  check_waves(unit);
  pull_in(unit);
  const Dependencies& on = *unit.dependencies;
  for (const auto* list : {&on.requires_, &on.requisite, &on.binds_to}) {
    for (const std::string& other : *list) {
      bool is_needed_first = contains(on.after, other) || list == &on.requisite;
      if (!is_needed_first) continue;
      bool is_satisfied = is_active(other) || (list != &on.binds_to && is_latched_well(other));
      if (!is_satisfied) fail(unit.name + " starts before " + other + ", which it requires, is active");
    }
  }
}

// Whether `first` has to be down before `second` is stopped, by all commits that may count at present.
bool Checks::stops_before(const std::string& first, const std::string& second) const {
  if (loaded_.empty() || !knows_relations_) return false;
  return std::ranges::all_of(loaded_, [&](const Commit* commit) {
    UnitPtr dependent = find_unit(*commit, first), other = find_unit(*commit, second);
    return dependent && other && takes_stops(*dependent, second) && is_ordered(*dependent, *other);
  });
}

void Checks::check_stop(const std::string& name) {
  for (const auto& [other, service] : facts_) {
    if (service.is_up && !service.is_unknown && stops_before(other, name)) {
      fail(name + " stops while " + other + ", which requires it and must stop first, still runs");
    }
  }
}

bool Checks::has_cause(const std::string& name, Instant since) const {
  const Facts* service = find(name);
  if (service && service->touched_at + cause_memory >= since) return true;
  const AdoptedService* record = journal_.find(name);
  UnitPtr unit = loaded_.empty() ? nullptr : find_unit(*loaded_.back(), name);
  return !unit || (record && record->fingerprint != unit->fingerprint);
}

void Checks::check_cause(const std::string& name, Instant since, const char* what) {
  auto has_one = [&](const std::string& each) { return has_cause(each, since); };
  if (!is_explained(name, has_one)) fail(name + " " + what + " without a cause");
}

// By a cause of its own, or of something that takes it along.
bool Checks::is_explained(const std::string& name,
                          const std::function<bool(const std::string&)>& has_cause) const {
  std::vector<std::string> reached = {name};
  for (std::size_t i = 0; i < reached.size(); ++i) {
    if (has_cause(reached[i])) return true;
    for (const Commit* commit : loaded_) {
      for (const auto& [other, unit] : commit->units) {
        const std::vector<std::string>& conflicts = unit->dependencies->conflicts;
        bool is_displaced = other == reached[i] ? !conflicts.empty() : contains(conflicts, reached[i]);
        if (is_displaced) return true;
      }
      UnitPtr unit = find_unit(*commit, reached[i]);
      if (!unit) continue;
      for (const std::string& other : repository_.names()) {
        if (takes_stops(*unit, other) && !contains(reached, other)) reached.push_back(other);
      }
    }
  }
  return false;
}

void Checks::spawning(const Spawn& spawn) {
  if (spawn.phase != ExecPhase::start) return;
  const std::string& name = spawn.unit->name;
  Facts& service = facts(name);
  if (const Process* other = machine_.service_process(name)) {
    fail(name + " is started a second time: pid " + std::to_string(other->pid) + " lives");
  }
  bool is_first = spawn.command_index == 0;
  if (spawn.unit->type == ServiceType::oneshot && is_first && service.job_done == spawn.unit->fingerprint) {
    fail(name + " does its work a second time");
  }
  service.unit = spawn.unit;
  service.is_related_anew = false;
  service.is_ready = service.remains = false;
  service.latch.reset();
  service.is_probed = !spawn.unit->has_health_check();
  service.passed_probes = 0;
}

void Checks::spawned(const Spawn& spawn, Pid pid, Instant now) {
  Facts& service = facts(spawn.unit->name);
  if (spawn.phase == ExecPhase::reload) service.reload = pid;
  if (spawn.phase != ExecPhase::start) return;
  service.main = pid;
  service.is_up = true;
  service.started_at = now;
}

void Checks::stepped(bool had_reason, Instant now, Instant next_deadline) {
  if (had_reason || now != last_step_at_) idle_steps_ = 0;
  last_step_at_ = now;
  if (next_deadline <= now && ++idle_steps_ > max_idle_steps) fail("a deadline stays in the past");
  if (now - second_began_at_ > std::chrono::seconds(1)) {
    second_began_at_ = now;
    steps_in_second_ = 0;
  }
  if (++steps_in_second_ > max_steps_per_second) fail("the agent does not come to rest");
}

void Checks::answered(const Answer& answer, const DurableState& on_disk) {
  if (unanswered_.erase(answer.request) == 0) fail("a request is answered a second time");
  auto stop = stops_.find(answer.request);
  if (stop == stops_.end()) return;
  std::string name = std::move(stop->second);
  stops_.erase(stop);
  bool is_desired = std::ranges::all_of(loaded_, [&](const Commit* commit) {
    UnitPtr unit = find_unit(*commit, name);
    return unit && unit->is_desired_running;
  });
  if (!answer.error && is_desired && !on_disk.holds.contains(name)) {
    fail("the stop of " + name + " is answered, but its hold is not on disk");
  }
}

}  // namespace gitproc::sim
