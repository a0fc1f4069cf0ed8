// The agent of the simulation: agent/daemon.cpp and its drivers, in virtual time.
#include <algorithm>

#include "reconcile/sim/world.h"

namespace gitproc::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr unsigned commands_per_turn = 64;
// A comparison may be about what was applied a few steps ago.
constexpr std::size_t remembered_applied = 64;

// Where an event comes from: what comes from one place comes in order.
constexpr std::uint64_t from_git = UINT64_MAX, from_people = UINT64_MAX - 1;

struct Source {
  std::uint64_t operator()(const TipObserved&) const { return from_git; }
  std::uint64_t operator()(const CommitLoaded&) const { return from_git; }
  std::uint64_t operator()(const CommitRejected&) const { return from_git; }
  std::uint64_t operator()(const CommitUnreadable&) const { return from_git; }
  std::uint64_t operator()(const TreeExported&) const { return from_git; }
  std::uint64_t operator()(const Fetched&) const { return from_git; }
  std::uint64_t operator()(const TipsCompared&) const { return from_git; }
  std::uint64_t operator()(const BundleImported&) const { return from_git; }
  std::uint64_t operator()(const FetchRequested&) const { return from_people; }
  std::uint64_t operator()(const AcceptRequested&) const { return from_people; }
  std::uint64_t operator()(const ServiceRequested&) const { return from_people; }
  std::uint64_t operator()(const SyncRequested&) const { return from_people; }
  std::uint64_t operator()(const RollbackRequested&) const { return from_people; }
  std::uint64_t operator()(const ApproveRequested&) const { return from_people; }
  std::uint64_t operator()(const BranchSwitched&) const { return from_people; }
  std::uint64_t operator()(const TreeRestored&) const { return from_people; }
  std::uint64_t operator()(const PolicyChanged&) const { return from_people; }
  std::uint64_t operator()(const RequestNoticed&) const { return from_people; }
  std::uint64_t operator()(const ShutdownRequested&) const { return from_people; }
  std::uint64_t operator()(const auto& of_service) const { return index_of(of_service.service); }
};

}  // namespace

// --- life and death ---

void World::start_agent() {
  ++agents_;
  std::vector<AdoptedService> adopted = journal_.replay([this](Pid pid) { return machine_.is_alive(pid); });
  trace_.say(now_.instant,
             "=== the agent starts, and finds " + std::to_string(adopted.size()) + " services ===");
  Reconciler::Options options{.boot_id = "boot " + std::to_string(boots_),
                              .seed = chance_.next(),
                              .min_healthy_time = min_healthy_time_,
                              .rollout_deadline = rollout_deadline_,
                              .auto_rollback = rolls_back_,
                              .prune_guard = has_guard_,
                              .verifies_signatures = policy_.is_set()};
  if (repository_.has_remote_in_reach())
    options.remote = {.poll_interval = std::chrono::minutes(1), .follows_force_push = follows_force_push_};
  if (faults_.short_turns) options.services_per_step = 1 + static_cast<unsigned>(chance_.below(3));
  is_fetching_ = false;
  agent_ = std::make_unique<Agent>(std::move(options), disk_.state, adopted);
  agent_->submitted = agent_->durable = agent_->reconciler.durable_version();
  if (disk_.state.branch_override) agent_->followed_override = disk_.state.branch_override->branch;
  checks_.configured(rolls_back_, has_guard_);
  checks_.agent_started(adopted, disk_.state, now_.instant);
  for (const AdoptedService& record : adopted) {
    ServiceId id = *agent_->reconciler.find(record.name);
    agent_->names[id] = record.name;
    for (const std::optional<AdoptedProcess>* process : {&record.main, &record.control}) {
      if (*process && (*process)->is_alive) track(id, (*process)->pid);
    }
  }
  for (const auto& [pid, id] : agent_->tracked)
    agent_->inherited.insert(pid);
  tell_tip();
}

void World::kill_agent(const char* why) {
  if (!agent_) return;
  trace_.say(now_.instant, std::string("=== the agent is gone: ") + why + " ===");
  agent_.reset();
  in_flight_.clear();
  last_told_.clear();
  checks_.agent_lost();
  agent_starts_at_ = now_.instant + chance_.span(milliseconds(1), seconds(chance_.one_in(4) ? 20 : 2));
}

void World::lose_power() {
  power_loss_at_ = never;
  kill_agent("no power");
  machine_.lose_power();
  journal_.clear();
  ++boots_;
  checks_.booted();
}

void World::exit_agent() {
  // Its store writes what it has before it ends.
  persist();
  if (agent_->waiting_to_write)
    disk_.state = agent_->waiting_to_write->second;
  else if (agent_->writing)
    disk_.state = agent_->writing->second;
  checks_.written(disk_.state);
  while (!agent_->markers.empty()) {
    agent_->markers.front().first = now_.instant;
    set_markers();
  }
  kill_agent("it has ended");
  if (is_over_) agent_starts_at_ = never;
}

// --- the turn ---

bool World::is_agent_busy() const { return agent_ && (!agent_->commands.empty() || !agent_->posted.empty()); }

void World::drain() {
  while (!in_flight_.empty() && in_flight_.begin()->first.first <= now_.instant) {
    InFlight arrived = std::move(in_flight_.extract(in_flight_.begin()).mapped());
    // What was told twice means nothing new to those who judge.
    agent_->posted.push_back(std::move(arrived.event));
    if (arrived.is_stale) agent_->stale.insert(agent_->posted.size() - 1);
  }
}

void World::take_turn() {
  unsigned budget = faults_.short_turns ? 1 + static_cast<unsigned>(chance_.below(3)) : commands_per_turn;
  do {
    take_step();
    while (!agent_->commands.empty() && budget > 0 && checks_.failure().empty()) {
      --budget;
      if (faults_.agent_crashes && chance_.one_in(150)) return kill_agent("killed between two commands");
      Command command = std::move(agent_->commands.front());
      agent_->commands.pop_front();
      trace_.add(now_.instant, command);
      std::visit([this](const auto& what) { carry_out(what); }, command);
      if (!agent_) return;
      if (faults_.slow_commands && chance_.one_in(10))
        pass_time(now_.instant + chance_.span(Duration::zero(), milliseconds(900)));
    }
  } while (!agent_->posted.empty() && budget > 0 && checks_.failure().empty());
  persist();
  follow_branch();
}

void World::take_step() {
  ++steps_;
  std::vector<Event> events = std::exchange(agent_->posted, {});
  std::set<std::size_t> stale = std::exchange(agent_->stale, {});
  for (std::size_t i = 0; i < events.size(); ++i) {
    trace_.add(now_.instant, events[i]);
    if (std::holds_alternative<Fetched>(events[i])) is_fetching_ = false;
    if (stale.contains(i)) continue;
    std::uint64_t source = std::visit(Source{}, events[i]);
    auto name = agent_->names.find(ServiceId{static_cast<std::uint32_t>(source)});
    bool is_of_service = source < from_people && name != agent_->names.end();
    checks_.told(events[i], is_of_service ? name->second : "", now_.instant);
  }
  std::optional<RemoteBase> base = agent_->reconciler.durable().remote_base;
  if (agent_->reconciler.durable().applied) {
    applied_.push_back(*agent_->reconciler.durable().applied);
    if (applied_.size() > remembered_applied) applied_.erase(applied_.begin());
  }
  bool had_reason = !events.empty() || agent_->reconciler.has_more();
  Commands commands = agent_->reconciler.step(events, now_);
  check_remote_base(base);
  checks_.decided(commands, agent_->reconciler, now_.instant);
  checks_.stepped(had_reason, now_.instant, agent_->reconciler.next_deadline());
  // What was found wrong in a decision is not carried out any more, but has to be seen.
  for (const Command& command : commands) {
    if (!checks_.failure().empty()) trace_.add(now_.instant, command);
  }
  for (Command& command : commands)
    agent_->commands.push_back(std::move(command));
}

// --- telling ---

void World::tell(Event event, Duration delay) {
  Instant& last = last_told_[std::visit(Source{}, event)];
  last = std::max(last, now_.instant + delay);
  in_flight_.emplace(std::pair(last, ++told_), InFlight{std::move(event), false});
}

// As the kernel's news may be: soon or late, and some of it told again.
void World::tell_late(Event event) {
  Duration delay = Duration::zero();
  if (faults_.late_events)
    delay = chance_.one_in(4) ? chance_.span(milliseconds(1), seconds(3))
                              : chance_.span(Duration::zero(), milliseconds(20));
  bool is_told_again = faults_.stale_events && chance_.one_in(8);
  if (!is_told_again) return tell(std::move(event), delay);
  Instant again = now_.instant + delay + chance_.span(milliseconds(1), seconds(6));
  tell(event, delay);
  again = std::max(again, last_told_[std::visit(Source{}, event)]);
  in_flight_.emplace(std::pair(again, ++told_ + (std::uint64_t{1} << 40)), InFlight{std::move(event), true});
}

void World::tell_tip() {
  std::string branch = followed_branch();
  tell(tip_of(branch), chance_.span(Duration::zero(), milliseconds(200)));
}

void World::follow_branch() {
  const std::optional<BranchOverride>& wanted = agent_->reconciler.durable().branch_override;
  std::optional<std::string> branch = wanted ? std::optional(wanted->branch) : std::nullopt;
  if (branch == agent_->followed_override) return;
  agent_->followed_override = branch;
  tell_tip();
}

// --- processes ---

void World::track(ServiceId service, Pid pid) {
  if (machine_.is_alive(pid)) agent_->tracked.emplace(pid, service);
}

void World::carry_out(const Spawn& spawn) {
  agent_->names[spawn.service] = spawn.unit->name;
  checks_.spawning(spawn);
  auto outcome = machine_.spawn(spawn, now_.instant);
  if (auto* failed = std::get_if<SpawnFailed>(&outcome)) {
    agent_->posted.push_back(std::move(*failed));
    return;
  }
  Pid pid = std::get<Pid>(outcome);
  checks_.spawned(spawn, pid, now_.instant);
  track(spawn.service, pid);
  agent_->posted.push_back(Spawned{.service = spawn.service, .spawn = spawn.spawn, .pid = pid});
  if (spawn.phase == ExecPhase::reload) act_as_hasty_author(spawn.unit->name);
}

void World::carry_out(const Kill& kill) {
  machine_.signal(kill, now_.instant);
  agent_->names[kill.service] = kill.unit->name;
  if (kill.awaits_empty) {
    agent_->awaiting_empty.insert(kill.service);
  } else {
    agent_->awaiting_empty.erase(kill.service);
  }
  look_for_empty(kill.unit->name);
}

void World::look_for_empty(const std::string& service) {
  std::vector<ServiceId> concerned;
  for (const auto& [id, name] : agent_->names) {
    if (name == service) concerned.push_back(id);
  }
  for (ServiceId id : concerned) {
    if (agent_->awaiting_main.contains(id)) look_for_main_pid(id);
    if (!machine_.is_empty(service) || agent_->awaiting_empty.erase(id) == 0) continue;
    tell(Emptied{id});
  }
}

void World::carry_out(const AwaitMainPid& command) {
  agent_->awaiting_main[command.service] = command.unit;
  look_for_main_pid(command.service);
}

void World::look_for_main_pid(ServiceId service) {
  UnitPtr unit = agent_->awaiting_main.at(service);
  const Process* process = machine_.service_process(unit->name);
  bool is_found =
      process != nullptr && process->role == Role::daemon && (unit->pid_file.empty() || process->is_ready);
  bool is_empty = machine_.is_empty(unit->name);
  if (!is_found && !is_empty && !unit->pid_file.empty()) return;
  agent_->awaiting_main.erase(service);
  if (is_found) track(service, process->pid);
  tell(MainPidFound{
      .service = service, .pid = is_found ? process->pid : 0, .is_empty = !is_found && is_empty});
}

void World::carry_out(const CleanUp& command) {
  agent_->awaiting_empty.erase(command.service);
  agent_->awaiting_main.erase(command.service);
  if (!command.is_removed) return;
  agent_->names.erase(command.service);
  std::erase_if(agent_->tracked, [&](const auto& entry) { return entry.second == command.service; });
}

void World::carry_out(const CheckConditions& command) {
  bool is_met = !faults_.unmet_conditions || !chance_.one_in(3);
  agent_->names[command.service] = command.unit->name;
  agent_->posted.push_back(ConditionsChecked{.service = command.service,
                                             .is_met = is_met,
                                             .is_assert = !is_met && chance_.one_in(3),
                                             .unmet = is_met ? "" : "ConditionPathExists=/x"});
}

void World::carry_out(const AdjustLimits& command) {
  agent_->names[command.service] = command.unit->name;
  machine_.set_limits(command.unit->name, *command.unit->resources);
}

void World::carry_out(const FindSurvivors& command) {
  agent_->names[command.service] = command.unit->name;
  std::string processes;
  for (const Process& process : machine_.processes()) {
    if (process.service == command.unit->name) processes = "PID " + std::to_string(process.pid);
  }
  tell(SurvivorsFound{command.service, processes});
}

void World::carry_out(const Preflight& command) {
  bool fails = faults_.failing_preflights && chance_.one_in(4);
  agent_->names[command.service] = command.unit->name;
  agent_->posted.push_back(
      PreflightChecked{command.service, command.unit->fingerprint, fails ? "no executable" : ""});
}

void World::carry_out(const StartProbe& command) {
  agent_->names[command.service] = command.unit->name;
  bool is_healthy = !(faults_.failing_probes && chance_.one_in(3));
  tell(ProbeFinished{command.service, is_healthy, is_healthy ? "" : "refused"},
       chance_.span(milliseconds(1), milliseconds(400)));
}

void World::carry_out(const CancelProbe& command) {
  auto is_answer = [&](const Event& event) {
    const auto* probe = std::get_if<ProbeFinished>(&event);
    return probe != nullptr && probe->service == command.service;
  };
  std::erase_if(in_flight_, [&](const auto& entry) { return is_answer(entry.second.event); });
}

void World::carry_out(const RunRecord& record) {
  if (record.main_pid != 0) track(record.service, record.main_pid);
  journal_.add(record);
}

// --- git ---

void World::carry_out(const LoadCommit& command) {
  Duration delay = chance_.span(milliseconds(1), faults_.late_events ? seconds(3) : milliseconds(300));
  checks_.asked_to_load(command);
  std::visit([&](auto outcome) { tell(std::move(outcome), delay); }, load(command));
}

LoadOutcome World::load(const LoadCommit& command) {
  const Commit& commit = repository_.at(command.commit);
  if (faults_.unreadable_commits && chance_.one_in(4))
    return CommitUnreadable{command.commit, "missing object"};
  std::optional<VerifiedCommit> verified;
  if (policy_.is_set() && !command.was_applied) {
    Judgement judgement =
        *judge(policy_, {command.commit, command.branch, command.verified}, repository_, repository_);
    if (!judgement.reasons.empty()) {
      return CommitRejected{commit.info, {{.file = "", .message = judgement.reasons.front()}}, std::nullopt};
    }
    verified = judgement.verified;
  }
  if (commit.is_broken)
    return CommitRejected{commit.info, {{"a.service", 3, 1, Severity::error, "bad value"}}, verified};
  CommitLoaded loaded{.commit = commit.info, .changes = {}, .warnings = {}, .verified = verified};
  for (const auto& [name, unit] : commit.units) {
    auto known = agent_->catalog.find(name);
    if (known == agent_->catalog.end() || known->second != unit) loaded.changes.push_back({name, unit});
  }
  for (const auto& [name, unit] : agent_->catalog) {
    if (!commit.units.contains(name)) loaded.changes.push_back({name, nullptr});
  }
  agent_->catalog = commit.units;
  return loaded;
}

void World::carry_out(const ExportTree& command) {
  bool fails = faults_.failing_exports && chance_.one_in(4);
  tell(TreeExported{command.commit, fails ? "no space left on device" : ""},
       chance_.span(milliseconds(1), milliseconds(300)));
}

TipObserved World::tip_of(const std::string& branch) const {
  std::optional<ObjectId> tip = repository_.seen_tip(branch);
  return {.branch = branch,
          .tip = tip,
          .error = tip ? "" : "no such branch",
          .remote_tip = repository_.has_remote() ? repository_.fetched_tip(branch) : std::nullopt};
}

// Nothing was rewritten under the node without anybody having said so.
void World::check_remote_base(const std::optional<RemoteBase>& before) {
  const DurableState& state = agent_->reconciler.durable();
  if (!before || !state.remote_base || state.remote_base->branch != before->branch || follows_force_push_)
    return;
  const ObjectId &from = before->commit, &to = state.remote_base->commit;
  bool is_accepted = state.acceptance && state.acceptance->commit == to;
  bool follows = repository_.is_after(to, from) ||
                 std::ranges::any_of(
                     applied_, [&](const ObjectId& applied) { return repository_.is_after(to, applied); });
  if (!follows && !is_accepted) checks_.fail("a rewritten branch was followed although nobody accepted it");
}

void World::carry_out(const Fetch&) {
  if (std::exchange(is_fetching_, true)) checks_.fail("two fetches at once");
  Duration delay = chance_.span(milliseconds(5), faults_.late_events ? seconds(20) : milliseconds(500));
  if (faults_.failing_fetches && chance_.one_in(2)) {
    auto fault = chance_.one_in(4) ? Fetched::Fault::refused : Fetched::Fault::failed;
    return tell(Fetched{fault, "cannot fetch"}, delay);
  }
  repository_.fetch();
  tell(tip_of(followed_branch()), delay);
  tell(Fetched{});
}

void World::carry_out(const CompareTips& command) {
  tell(repository_.compare(command.question), chance_.span(Duration::zero(), milliseconds(100)));
}

void World::carry_out(const MoveBranch& command) {
  if (is_checked_out_ || !repository_.move_along(command)) return;
  if (command.branch == followed_branch()) tell_tip();
}

void World::carry_out(const SetMarker& command) {
  agent_->markers.emplace_back(now_.instant + chance_.span(milliseconds(1), milliseconds(200)), command);
}

void World::set_markers() {
  while (!agent_->markers.empty() && agent_->markers.front().first <= now_.instant) {
    const SetMarker& command = agent_->markers.front().second;
    disk_.markers.erase(command.marker);
    if (command.commit) disk_.markers.emplace(command.marker, *command.commit);
    agent_->markers.pop_front();
  }
}

// --- the store and answers ---

void World::persist() {
  std::uint64_t version = agent_->reconciler.durable_version();
  if (version != agent_->submitted) {
    agent_->submitted = version;
    agent_->waiting_to_write.emplace(version, agent_->reconciler.durable());
  }
  if (!agent_->writing && agent_->waiting_to_write) {
    agent_->writing = std::exchange(agent_->waiting_to_write, std::nullopt);
    agent_->written_at =
        now_.instant + chance_.span(milliseconds(1), faults_.lagging_store ? seconds(3) : milliseconds(10));
  }
  release_answers();
}

void World::finish_writes() {
  if (!agent_->writing || agent_->written_at > now_.instant) return;
  disk_.state = std::move(agent_->writing->second);
  checks_.written(disk_.state);
  agent_->durable = agent_->writing->first;
  if (trace_.keeps_words()) {
    std::string words =
        "## on disk: applied " + (disk_.state.applied ? disk_.state.applied->hex().substr(32) : "nothing");
    for (const auto& [name, hold] : disk_.state.holds)
      words += ", hold " + name;
    for (const auto& [name, start] : disk_.state.operator_starts)
      words += ", start " + name;
    trace_.say(now_.instant, std::move(words));
  }
  agent_->writing.reset();
  agent_->written_at = never;
  persist();
}

void World::release_answers() {
  while (!agent_->held_answers.empty() && agent_->held_answers.front().first <= agent_->durable) {
    checks_.answered(agent_->held_answers.front().second, disk_.state);
    agent_->held_answers.pop_front();
  }
}

void World::carry_out(const Answer& answer) {
  agent_->held_answers.emplace_back(agent_->reconciler.durable_version(), answer);
}
void World::carry_out(const Announce&) {}
void World::carry_out(const ExitAgent&) { exit_agent(); }

}  // namespace gitproc::sim
