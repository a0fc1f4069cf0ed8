#include "reconcile/sim/repository.h"

#include <algorithm>

namespace gitproc::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ExecCommand command(std::string path) { return ExecCommand{.path = path, .arguments = {path}}; }

ObjectId object_id(std::uint64_t number) {
  ObjectId id;
  for (std::size_t i = 0; i < 8; ++i)
    id.bytes[19 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return id;
}

}  // namespace

Repository::Repository(Chance& chance, Chance* wide_chance) : chance_(chance), wide_chance_(wide_chance) {
  std::size_t count = 3 + chance_.below(10);
  for (std::size_t i = 0; i < count; ++i)
    names_.push_back(std::string(1, static_cast<char>('a' + i)));
  for (std::size_t i = count; i > 1; --i)
    std::swap(names_[i - 1], names_[chance_.below(i)]);
  const ObjectId& first = grow(nullptr, false);
  tips_[main_branch] = first;
  tips_[other_branch] = first;
}

std::optional<ObjectId> Repository::seen_tip(const std::string& branch) const {
  return gone_.contains(branch) ? std::nullopt : std::optional(tip(branch));
}

void Repository::move(const std::string& branch) {
  gone_.erase(branch);
  ObjectId& tip = tips_.at(branch);
  if (chance_.one_in(8)) {
    tip = any();
  } else {
    tip = grow(&tip, true);
  }
}

void Repository::push(const std::string& branch) {
  ObjectId& tip = remote_tips_.at(branch);
  if (chance_.one_in(6)) {
    tip = any();
  } else {
    tip = grow(&tip, true);
  }
}

std::optional<ObjectId> Repository::fetched_tip(const std::string& branch) const {
  auto found = fetched_tips_.find(branch);
  return found == fetched_tips_.end() ? std::nullopt : std::optional(found->second);
}

bool Repository::is_after(const ObjectId& descendant, const ObjectId& ancestor) const {
  for (std::optional<ObjectId> id = descendant; id; id = commits_.at(*id).parent()) {
    if (*id == ancestor) return true;
  }
  return false;
}

TipsCompared Repository::compare(const TipQuestion& question) const {
  using Relation = TipsCompared::Relation;
  TipsCompared compared{.question = question, .error = ""};
  if (question.local && question.local != question.remote) {
    compared.relation = is_after(*question.local, question.remote)   ? Relation::ahead
                        : is_after(question.remote, *question.local) ? Relation::behind
                                                                     : Relation::diverged;
  }
  compared.is_local_in_base = question.base && (!question.local || is_after(*question.base, *question.local));
  compared.is_remote_after_base = !question.base || is_after(question.remote, *question.base);
  compared.is_remote_after_applied = question.applied && is_after(question.remote, *question.applied);
  return compared;
}

bool Repository::move_along(const MoveBranch& command) {
  if (command.from != seen_tip(command.branch)) return false;
  gone_.erase(command.branch);
  tips_.at(command.branch) = command.to;
  return true;
}

bool Repository::touch_watched(const std::string& branch, const std::string& service) {
  ObjectId& tip = tips_.at(branch);
  Commit commit = next_commit(&tip);
  auto unit = commit.units.find(service);
  if (unit == commit.units.end() || unit->second->commands(ExecPhase::reload).empty()) return false;
  Unit touched = *unit->second;
  touched.watched.edit() = {{.path = "file", .content = object_id(++versions_), .restarts = false}};
  unit->second = sealed(std::move(touched));
  gone_.erase(branch);
  tip = add(std::move(commit));
  return true;
}

Commit Repository::next_commit(const ObjectId* parent) const {
  std::uint64_t number = ids_.size() + 1;
  Commit commit;
  commit.info = {.id = object_id(number),
                 .tree = object_id(number),
                 .author = "A",
                 .subject = "commit " + std::to_string(number),
                 .at = WallTime(seconds(number))};
  if (parent != nullptr) {
    commit.units = commits_.at(*parent).units;
    commit.parents = {*parent};
  }
  return commit;
}

const ObjectId& Repository::add(Commit commit) {
  ids_.push_back(commit.info.id);
  return commits_.emplace(commit.info.id, std::move(commit)).first->second.info.id;
}

const ObjectId& Repository::grow(const ObjectId* parent, bool may_break) {
  Commit commit = next_commit(parent);
  commit.is_broken = may_break && chance_.one_in(10);
  commit.is_signed = !may_break || !chance_.one_in(10);
  // A mistake that empties the node, or nearly.
  bool prunes = parent != nullptr && chance_.one_in(12);
  if (prunes) std::erase_if(commit.units, [this](const auto&) { return !chance_.one_in(4); });
  // Most commits change one or two things; some the whole.
  unsigned share = parent == nullptr ? 70 : chance_.one_in(6) ? 60 : 15;
  for (const std::string& name : names_) {
    if (!chance_.percent(share)) continue;
    auto known = commit.units.find(name);
    if (known == commit.units.end()) {
      commit.units.emplace(name, new_unit(name));
    } else if (chance_.one_in(4)) {
      commit.units.erase(known);
    } else {
      known->second = changed(*known->second);
    }
  }
  drop_dangling(commit.units);
  for (auto& [name, unit] : commit.units) {
    bool is_sealed = unit->fingerprint != 0;
    if (!is_sealed) unit = sealed(*unit);
  }
  return add(std::move(commit));
}

Result<CommitNode> Repository::node(const ObjectId& commit) {
  const Commit& found = at(commit);
  return CommitNode{.parents = found.parents, .at = found.info.at};
}

Result<std::vector<Refusal>> Repository::check(std::span<const ObjectId> commits) {
  std::vector<Refusal> refusals;
  for (const ObjectId& commit : commits)
    refusals.emplace_back(at(commit).is_signed ? "" : "is not signed");
  return refusals;
}

UnitPtr Repository::new_unit(const std::string& name) {
  Unit unit;
  unit.name = name;
  unit.start = {command("/bin/" + name)};
  draw_behaviour(unit);
  if (wide_chance_ != nullptr) draw_rare_behaviour(unit);
  draw_relations(unit);
  if (chance_.one_in(3)) draw_limits(unit);
  return sealed(std::move(unit));
}

void Repository::draw_limits(Unit& unit) {
  static const std::vector<OomPolicy> policies = {OomPolicy::stop, OomPolicy::kill, OomPolicy::carry_on};
  ResourceControl& limits = unit.resources.edit();
  limits = {};
  if (chance_.one_in(5)) return;  // taken back
  limits.memory_max = {ResourceAmount::Kind::absolute, (1 + chance_.below(1000)) << 20};
  limits.oom_policy = chance_.pick(policies);
}

void Repository::draw_behaviour(Unit& unit) {
  static const std::vector<ServiceType> types = {
      ServiceType::simple,  ServiceType::simple,  ServiceType::exec,   ServiceType::notify,
      ServiceType::forking, ServiceType::oneshot, ServiceType::oneshot};
  static const std::vector<RestartMode> modes = {RestartMode::no,          RestartMode::always,
                                                 RestartMode::on_failure,  RestartMode::on_success,
                                                 RestartMode::on_abnormal, RestartMode::always};
  unit.type = chance_.pick(types);
  bool is_oneshot = unit.type == ServiceType::oneshot;
  unit.remains_after_exit = chance_.one_in(is_oneshot ? 2 : 12);
  unit.is_desired_running = !chance_.one_in(7);
  if (is_oneshot && chance_.one_in(4)) unit.start.push_back(command("/bin/" + unit.name + "-2"));
  if (unit.type == ServiceType::forking && chance_.one_in(2)) unit.pid_file = "/run/" + unit.name + ".pid";

  AuxiliaryCommands& auxiliary = unit.auxiliary.edit();
  if (chance_.one_in(8)) auxiliary.condition.push_back(command("/bin/condition"));
  if (chance_.one_in(5)) auxiliary.start_pre.push_back(command("/bin/start-pre"));
  if (chance_.one_in(6)) auxiliary.start_post.push_back(command("/bin/start-post"));
  if (chance_.one_in(3)) auxiliary.reload.push_back(command("/bin/reload"));
  if (chance_.one_in(5)) auxiliary.stop.push_back(command("/bin/stop"));
  if (chance_.one_in(6)) auxiliary.stop_post.push_back(command("/bin/stop-post"));
  if (chance_.one_in(8)) unit.conditions.edit().push_back({.parameter = "/etc/" + unit.name});

  RestartPolicy& restart = unit.restart.edit();
  restart.mode = chance_.pick(modes);
  // As systemd has it: a oneshot cannot be restarted after success.
  if (is_oneshot) restart.mode = chance_.one_in(2) ? RestartMode::on_failure : RestartMode::no;
  restart.delay = chance_.span(milliseconds(100), seconds(3));
  if (chance_.one_in(3)) restart.start_limit_interval = Duration::zero();

  Timeouts& timeouts = unit.timeouts.edit();
  if (!is_oneshot || chance_.one_in(2)) timeouts.start = seconds(5);
  timeouts.stop = seconds(3);
  static const std::vector<KillMode> kill_modes = {KillMode::control_group, KillMode::control_group,
                                                   KillMode::mixed, KillMode::process};
  // A daemon that is not known yet would be spared.
  if (unit.type != ServiceType::forking) unit.kill.edit().mode = chance_.pick(kill_modes);
  if (!is_oneshot && chance_.one_in(6)) {
    HealthCheck& check = unit.health.edit();
    check.kind = HealthCheckKind::tcp;
    check.url = "localhost:1";
    check.interval = seconds(5 + chance_.below(20));
    check.retries = static_cast<unsigned>(1 + chance_.below(3));
    check.success_threshold = static_cast<unsigned>(1 + chance_.below(2));
    check.restarts = chance_.one_in(2);
  }
}

void Repository::draw_rare_behaviour(Unit& unit) {
  static const std::vector<TimeoutFailureMode> failure_modes = {
      TimeoutFailureMode::terminate, TimeoutFailureMode::abort, TimeoutFailureMode::kill};
  static const std::vector<ServiceType> simple_types = {ServiceType::idle, ServiceType::dbus};
  Chance& chance = *wide_chance_;
  if (unit.type == ServiceType::simple && chance.one_in(4)) unit.type = chance.pick(simple_types);
  Timeouts& timeouts = unit.timeouts.edit();
  timeouts.start_failure = chance.pick(failure_modes);
  timeouts.stop_failure = chance.pick(failure_modes);
  if (chance.one_in(3)) timeouts.abort = seconds(1);
  RestartPolicy& restart = unit.restart.edit();
  if (chance.one_in(4)) restart.success.codes = {7};
  if (chance.one_in(6)) restart.prevent.codes = {1};
  if (chance.one_in(6)) restart.force.codes = {7};
  if (chance.one_in(4)) restart.start_limit_burst = 2;
  constexpr int sigint = 2, sighup = 1;
  KillPolicy& kill = unit.kill.edit();
  if (chance.one_in(4)) kill.restart_signal = sigint;
  if (chance.one_in(8)) kill.signal = sighup;  // which nobody here ends by
  if (chance.one_in(4)) kill.sends_sighup = true;
  if (unit.has_health_check() && chance.one_in(3)) unit.health.edit().start_period = seconds(4);
}

void Repository::draw_relations(Unit& unit) {
  Dependencies relations;
  std::size_t rank = static_cast<std::size_t>(std::ranges::find(names_, unit.name) - names_.begin());
  std::size_t wishes = rank == 0 ? 0 : chance_.below(4);
  for (std::size_t i = 0; i < wishes; ++i) {
    const std::string& other = names_[chance_.below(rank)];
    bool is_ordered = !chance_.one_in(4);
    auto add = [&](std::vector<std::string>& list) {
      if (std::ranges::find(list, other) == list.end()) list.push_back(other);
    };
    switch (chance_.below(9)) {
      case 0:
      case 1:
      case 2: add(relations.requires_); break;
      case 3: add(relations.binds_to); break;
      case 4:
      case 5: add(relations.wants); break;
      case 6: add(relations.part_of); break;
      case 7: add(relations.requisite); break;
      case 8: is_ordered = true; break;
    }
    if (is_ordered) add(relations.after);
  }
  if (rank + 1 < names_.size() && chance_.one_in(8)) {
    relations.before.push_back(names_[rank + 1 + chance_.below(names_.size() - rank - 1)]);
  }
  // Who needs others, and they others, could come to need what it conflicts with: then there is no right end.
  bool needs_nobody = relations.requires_.empty() && relations.binds_to.empty() && relations.wants.empty() &&
                      relations.part_of.empty() && relations.requisite.empty();
  if (rank > 0 && needs_nobody && chance_.one_in(10))
    relations.conflicts.push_back(names_[chance_.below(rank)]);
  for (auto* list : {&relations.requires_, &relations.binds_to, &relations.wants, &relations.part_of,
                     &relations.requisite, &relations.after}) {
    std::ranges::sort(*list);
  }
  unit.dependencies.edit() = std::move(relations);
}

UnitPtr Repository::changed(const Unit& before) {
  Unit unit = before;
  std::string version = "v" + std::to_string(++versions_);
  switch (chance_.below(11)) {
    case 0:
    case 1:
    case 2: unit.start.front().arguments.push_back(version); break;
    case 3: unit.description = version; break;
    case 4: unit.restart.edit().mode = RestartMode::on_failure; break;
    case 5: draw_limits(unit); break;
    case 6:
    case 7: draw_relations(unit); break;
    case 8: {
      std::vector<WatchedPath>& watched = unit.watched.edit();
      if (watched.empty())
        watched.push_back({.path = "file", .content = std::nullopt, .restarts = chance_.one_in(2)});
      watched.front().content = object_id(versions_);
      break;
    }
    case 9: unit.is_desired_running = !unit.is_desired_running; break;
    case 10: break;  // other text of the same meaning
  }
  return sealed(std::move(unit));
}

// Each version that is made is another text, so it has another fingerprint.
UnitPtr Repository::sealed(Unit unit) {
  unit.fingerprint = ++versions_ * 0x9E3779B97F4A7C15u;
  unit.sources = {{unit.name + ".service", object_id(versions_)}};
  return std::make_shared<const Unit>(std::move(unit));
}

// What is required is in the commit, or the commit would be invalid.
void Repository::drop_dangling(UnitMap& units) {
  for (auto& [name, unit] : units) {
    auto is_missing = [&units](const std::string& other) { return !units.contains(other); };
    const Dependencies& on = *unit->dependencies;
    bool is_any_missing = std::ranges::any_of(on.requires_, is_missing) ||
                          std::ranges::any_of(on.binds_to, is_missing) ||
                          std::ranges::any_of(on.requisite, is_missing);
    if (!is_any_missing) continue;
    Unit repaired = *unit;
    Dependencies& relations = repaired.dependencies.edit();
    for (auto* list : {&relations.requires_, &relations.binds_to, &relations.requisite})
      std::erase_if(*list, is_missing);
    repaired.fingerprint = 0;  // to be sealed
    unit = std::make_shared<const Unit>(std::move(repaired));
  }
}

}  // namespace gitproc::sim
