// Stories told to the Reconciler: commits, operators and exits in, and what the world then looks like. The world
// here does everything at once and well; faults and races are reconcile/sim's.
#include "reconcile/reconciler.h"

#include <map>
#include <set>

#include "testing/catch.h"

using namespace gitproc;
using namespace std::chrono_literals;

namespace {

UnitPtr make_unit(const std::string& name, auto&&... changes) {
  auto unit = std::make_shared<Unit>();
  unit->name = name;
  unit->start = {ExecCommand{.path = "/bin/" + name, .arguments = {name}}};
  (changes(*unit), ...);
  std::uint64_t hash = 1469598103934665603u;
  auto mix = [&hash](const std::string& text) {
    for (char c : text)
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  };
  mix(unit->name);
  for (const ExecCommand& command : unit->start) {
    for (const std::string& argument : command.arguments)
      mix(argument + ",");
  }
  mix(unit->description + (unit->is_desired_running ? "r" : "s"));
  for (const std::string& other : unit->dependencies->requires_)
    mix("R" + other);
  for (const std::string& other : unit->dependencies->after)
    mix("A" + other);
  unit->fingerprint = hash;
  unit->sources = {{name + ".service", {}}};
  return unit;
}

auto version(const std::string& argument) {
  return [argument](Unit& unit) { unit.start.front().arguments.push_back(argument); };
}
auto needs(const std::string& other) {
  return [other](Unit& unit) {
    unit.dependencies.edit().requires_.push_back(other);
    unit.dependencies.edit().after.push_back(other);
  };
}
auto is_after(const std::string& other) {
  return [other](Unit& unit) { unit.dependencies.edit().after.push_back(other); };
}
auto of_type(ServiceType type) {
  return [type](Unit& unit) { unit.type = type; };
}
auto restarts_always() {
  return [](Unit& unit) {
    unit.restart.edit().mode = RestartMode::always;
    unit.restart.edit().start_limit_interval = 0s;
  };
}
void desired_stopped(Unit& unit) { unit.is_desired_running = false; }

ObjectId id_of(unsigned number) {
  ObjectId id;
  id.bytes[19] = static_cast<std::uint8_t>(number);
  return id;
}

class World {
 public:
  explicit World(DurableState durable = {}, std::vector<AdoptedService> adopted = {}) {
    reconciler = std::make_unique<Reconciler>(Reconciler::Options{.boot_id = "boot", .seed = 7},
                                              std::move(durable), std::move(adopted));
  }

  void commit(unsigned number, std::vector<UnitPtr> units) {
    UnitMap map;
    for (UnitPtr& unit : units)
      map.emplace(unit->name, unit);
    commits[id_of(number)] = std::move(map);
    happens(TipObserved{"main", id_of(number), ""});
  }
  void broken_commit(unsigned number) {
    broken.insert(id_of(number));
    happens(TipObserved{"main", id_of(number), ""});
  }

  void happens(Event event) {
    events.push_back(std::move(event));
    settle();
  }

  void settle() {
    for (int round = 0; round < 1000; ++round) {
      bool is_due = reconciler->next_deadline() <= now.instant;
      if (events.empty() && !is_due && round > 0) return;
      std::vector<Event> batch = std::exchange(events, {});
      for (Command& command : reconciler->step(batch, now)) {
        std::visit([this](auto& what) { carry_out(what); }, command);
      }
    }
    FAIL("the world does not come to rest");
  }

  void wait(Duration span) {
    Instant end = now.instant + span;
    while (reconciler->next_deadline() <= end) {
      Instant next = std::max(now.instant, reconciler->next_deadline());
      now.wall += next - now.instant;
      now.instant = next;
      settle();
    }
    now.wall += end - now.instant;
    now.instant = end;
    settle();
  }

  void exits(const std::string& name, ExitStatus status) {
    Pid pid = alive.at(name);
    alive.erase(name);
    happens(ProcessExited{*reconciler->find(name), pid, status, false});
  }

  void carry_out(const LoadCommit& load) {
    CommitInfo info{.id = load.commit, .tree = load.commit, .author = "A", .subject = "s", .at = {}};
    if (broken.contains(load.commit)) {
      events.push_back(CommitRejected{info, {{"web.service", 3, 1, Severity::error, "bad value"}}});
      return;
    }
    const UnitMap& wanted = commits.at(load.commit);
    CommitLoaded loaded{.commit = info, .changes = {}, .warnings = {}};
    for (const auto& [name, unit] : wanted) {
      auto known = catalog.find(name);
      if (known == catalog.end() || known->second->fingerprint != unit->fingerprint)
        loaded.changes.push_back({name, unit});
    }
    for (const auto& [name, unit] : catalog) {
      if (!wanted.contains(name)) loaded.changes.push_back({name, nullptr});
    }
    catalog = wanted;
    events.push_back(std::move(loaded));
  }
  void carry_out(const ExportTree& tree) { events.push_back(TreeExported{tree.commit, ""}); }
  void carry_out(const SetMarker& marker) {
    if (marker.marker == Marker::healthy) healthy = marker.commit;
  }
  void carry_out(const Spawn& spawn) {
    if (spawn.phase != ExecPhase::start) return;
    const std::string& name = spawn.unit->name;
    CHECK_FALSE(alive.contains(name));
    log.push_back("start " + join(spawn.unit->start.front().arguments));
    alive[name] = ++last_pid;
    events.push_back(Spawned{spawn.service, spawn.spawn, last_pid});
  }
  void carry_out(const Kill& kill) {
    const std::string& name = kill.unit->name;
    if (kill.main_pid != 0 && alive.contains(name) && !immortal.contains(name)) {
      log.push_back("stop " + name);
      alive.erase(name);
      events.push_back(
          ProcessExited{kill.service, kill.main_pid, {ExitStatus::Kind::killed, kill.signal}, false});
    }
    if (kill.awaits_empty && !alive.contains(name)) events.push_back(Emptied{kill.service});
  }
  void carry_out(const AwaitMainPid&) {}
  void carry_out(const CleanUp&) {}
  void carry_out(const CheckConditions& check) {
    events.push_back(ConditionsChecked{check.service, true, false, ""});
  }
  void carry_out(const Preflight& check) {
    events.push_back(PreflightChecked{check.service, check.unit->fingerprint,
                                      missing.contains(check.unit->name) ? "no executable" : ""});
  }
  void carry_out(const StartProbe&) {}
  void carry_out(const CancelProbe&) {}
  void carry_out(const RunRecord&) {}
  void carry_out(const Answer& answer) {
    answers[answer.request] = answer.error ? answer.error->message : "done";
  }
  void carry_out(const Announce&) {}
  void carry_out(const ExitAgent&) { has_exited = true; }

  std::string request(ServiceVerb verb, const std::string& name) {
    RequestId id{++last_request};
    happens(ServiceRequested{id, verb, name, "uid 0"});
    return answers.contains(id) ? answers[id] : "(waiting)";
  }
  std::string sync() {
    RequestId id{++last_request};
    happens(SyncRequested{.request = id, .waits = true, .retries = false, .by = "uid 0"});
    return answers.contains(id) ? answers[id] : "(waiting)";
  }
  std::string rollback(std::optional<unsigned> number) {
    RequestId id{++last_request};
    std::optional<ObjectId> commit = number ? std::optional(id_of(*number)) : std::nullopt;
    happens(RollbackRequested{
        .request = id, .commit = commit, .by = "uid 0", .reason = "", .until = {}, .waits = true});
    return answers.contains(id) ? answers[id] : "(waiting)";
  }
  std::vector<std::string> take_log() { return std::exchange(log, {}); }
  std::string state(const std::string& name) {
    auto view = reconciler->service(name);
    return view ? std::string(to_string(view->state)) : "(none)";
  }
  std::string sync_state() { return std::string(to_string(reconciler->node().sync)); }

  static std::string join(const std::vector<std::string>& words) {
    std::string joined;
    for (const std::string& word : words)
      joined += (joined.empty() ? "" : " ") + word;
    return joined;
  }

  std::unique_ptr<Reconciler> reconciler;
  Now now{Instant(1h), WallTime(1000h)};
  std::vector<Event> events;
  std::map<ObjectId, UnitMap> commits;
  std::set<ObjectId> broken;
  UnitMap catalog;
  std::map<std::string, Pid> alive;
  std::set<std::string> immortal, missing;
  std::vector<std::string> log;
  std::map<RequestId, std::string> answers;
  std::optional<ObjectId> healthy;
  Pid last_pid = 100;
  std::uint64_t last_request = 0;
  bool has_exited = false;
};

using Log = std::vector<std::string>;

}  // namespace

TEST_CASE("a first commit starts its units in dependency order, and becomes healthy after a while") {
  World world;
  world.commit(1, {make_unit("web", needs("db")), make_unit("db"), make_unit("spare", desired_stopped)});
  CHECK(world.take_log() == Log{"start db", "start web"});
  CHECK(world.state("spare") == "stopped");
  CHECK(world.sync_state() == "synced");
  CHECK_FALSE(world.healthy);
  world.wait(11s);
  CHECK(world.healthy == id_of(1));
  CHECK(world.reconciler->next_deadline() == never);
}

TEST_CASE("a commit touches only what it changed: removed first, then changed, then new") {
  World world;
  world.commit(1, {make_unit("a"), make_unit("b"), make_unit("c"), make_unit("d", needs("c"))});
  world.take_log();
  world.commit(2, {make_unit("b"), make_unit("c", version("2")), make_unit("d", needs("c")), make_unit("e")});
  CHECK(world.take_log() == Log{"stop a", "stop d", "stop c", "start c 2", "start d", "start e"});
  CHECK(world.state("a") == "(none)");
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("an exit is judged by Restart=, and what requires the service restarts with it") {
  World world;
  world.commit(1, {make_unit("db", restarts_always()), make_unit("web", needs("db")), make_unit("plain")});
  world.take_log();
  world.exits("db", {ExitStatus::Kind::exited, 1});
  CHECK(world.state("db") == "backoff");
  world.wait(200ms);
  CHECK(world.take_log() == Log{"stop web", "start db", "start web"});
  world.exits("plain", {ExitStatus::Kind::exited, 0});
  CHECK(world.state("plain") == "stopped");
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("a failed service degrades the node until sync, start or a change of it tries again") {
  World world;
  world.commit(1, {make_unit("web")});
  world.take_log();
  world.exits("web", {ExitStatus::Kind::exited, 3});
  CHECK(world.state("web") == "failed");
  CHECK(world.sync_state() == "degraded");
  world.wait(1min);
  CHECK(world.take_log() == Log{});
  CHECK(world.sync() == "done");
  CHECK(world.take_log() == Log{"start web"});
  world.exits("web", {ExitStatus::Kind::exited, 3});
  world.commit(2, {make_unit("web", version("2"))});
  CHECK(world.take_log() == Log{"start web 2"});
}

TEST_CASE("a stop is a hold that outlives commits; dependents wait for it and come back by themselves") {
  World world;
  world.commit(1, {make_unit("db"), make_unit("web", needs("db"))});
  world.take_log();
  CHECK(world.request(ServiceVerb::stop, "db") == "done");
  CHECK(world.take_log() == Log{"stop web", "stop db"});
  CHECK(world.state("web") == "waiting");
  CHECK(world.sync_state() == "degraded");
  world.commit(2, {make_unit("db", version("2")), make_unit("web", needs("db"))});
  CHECK(world.take_log() == Log{});
  CHECK(world.reconciler->durable().holds.contains("db"));
  CHECK(world.request(ServiceVerb::start, "web") == "'web' waits: db is held");
  CHECK(world.request(ServiceVerb::start, "db") == "done");
  CHECK(world.take_log() == Log{"start db 2", "start web"});
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("a restart takes dependents along, and is refused before anything stops when it could not start") {
  World world;
  world.commit(1, {make_unit("db"), make_unit("web", needs("db"))});
  world.take_log();
  CHECK(world.request(ServiceVerb::restart, "db") == "done");
  CHECK(world.take_log() == Log{"stop web", "stop db", "start db", "start web"});
  world.missing.insert("db");
  CHECK(world.request(ServiceVerb::restart, "db") == "'db' was left running: no executable");
  CHECK(world.take_log() == Log{});
}

TEST_CASE("a changed unit that could not start leaves the old one running, degraded") {
  World world;
  world.commit(1, {make_unit("web")});
  world.take_log();
  world.missing.insert("web");
  world.commit(2, {make_unit("web", version("2"))});
  CHECK(world.take_log() == Log{});
  CHECK(world.state("web") == "running");
  CHECK(world.sync_state() == "degraded");
  world.missing.clear();
  CHECK(world.sync() == "done");
  CHECK(world.take_log() == Log{"stop web", "start web 2"});
}

TEST_CASE("a broken commit is rejected whole and changes nothing") {
  World world;
  world.commit(1, {make_unit("web")});
  world.take_log();
  world.broken_commit(2);
  CHECK(world.take_log() == Log{});
  CHECK(world.sync_state() == "rejected");
  CHECK(world.reconciler->node().error == "web.service:3: error: bad value");
  CHECK(world.sync() == "rejected: web.service:3: error: bad value");
  world.commit(3, {make_unit("web", version("3"))});
  CHECK(world.take_log() == Log{"stop web", "start web 3"});
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("a rollback pins the node until sync, and without a commit goes to the last healthy other one") {
  World world;
  world.commit(1, {make_unit("web")});
  world.wait(11s);
  world.commit(2, {make_unit("web", version("2"))});
  world.take_log();
  CHECK(world.rollback(std::nullopt) == "done");
  CHECK(world.take_log() == Log{"stop web", "start web"});
  CHECK(world.reconciler->durable().pin->commit == id_of(1));
  world.commit(3, {make_unit("web", version("3"))});
  CHECK(world.take_log() == Log{});
  CHECK(world.sync_state() == "synced");
  CHECK(world.sync() == "done");
  CHECK(world.take_log() == Log{"stop web", "start web 3"});
  CHECK_FALSE(world.reconciler->durable().pin);
}

TEST_CASE("a rollback to what cannot be applied leaves everything as it was") {
  World world;
  world.commit(1, {make_unit("web")});
  world.broken.insert(id_of(9));
  world.take_log();
  CHECK(world.rollback(9) != "done");
  CHECK(world.take_log() == Log{});
  CHECK_FALSE(world.reconciler->durable().pin);
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("a oneshot runs once, and once more when it changes") {
  World world;
  auto job = [](auto... changes) { return make_unit("job", of_type(ServiceType::oneshot), changes...); };
  world.commit(1, {job(), make_unit("web", needs("job"))});
  CHECK(world.take_log() == Log{"start job"});
  world.exits("job", {ExitStatus::Kind::exited, 0});
  CHECK(world.take_log() == Log{"start web"});
  CHECK(world.state("job") == "completed");
  world.commit(2, {job(), make_unit("web", needs("job")), make_unit("other")});
  CHECK(world.take_log() == Log{"start other"});
  world.commit(3, {job(version("2")), make_unit("web", needs("job")), make_unit("other")});
  CHECK(world.take_log() == Log{"start job 2"});
}

TEST_CASE("a new commit takes over from one that is still being applied") {
  World world;
  world.commit(1, {make_unit("a"), make_unit("b")});
  world.immortal.insert("a");
  world.take_log();
  world.commit(2, {make_unit("a", version("2")), make_unit("b"), make_unit("c")});
  CHECK(world.sync_state() == "progressing");
  world.commit(3, {make_unit("a", version("3")), make_unit("b")});
  world.immortal.clear();
  world.wait(2min);
  CHECK(world.take_log() == Log{"stop a", "start a 3"});
  CHECK(world.reconciler->durable().history[1].outcome == Outcome::superseded);
}

TEST_CASE("a started agent adopts what runs and starts only what is missing") {
  UnitPtr db = make_unit("db"), web = make_unit("web", needs("db")),
          job = make_unit("job", of_type(ServiceType::oneshot));
  DurableState durable;
  durable.applied = id_of(1);
  AdoptedService running{.name = "db", .fingerprint = db->fingerprint};
  running.main = AdoptedProcess{50, true};
  running.was_started = true;
  AdoptedService done{.name = "job", .fingerprint = job->fingerprint};
  done.latch = Latch{LatchKind::completed, ServiceResult::success, {}};
  World world(durable, {running, done});
  world.alive["db"] = 50;
  world.commit(1, {db, web, job});
  CHECK(world.take_log() == Log{"start web"});
  CHECK(world.reconciler->service("db")->pid == 50);
  CHECK(world.state("job") == "completed");
}

TEST_CASE("what changed while the agent was away is compared with what runs, not with the last commit") {
  UnitPtr a1 = make_unit("a"), a2 = make_unit("a", version("2")), b1 = make_unit("b"),
          b2 = make_unit("b", version("2"));
  DurableState durable;
  durable.applied = id_of(1);
  auto running = [](const UnitPtr& unit, Pid pid) {
    AdoptedService service{.name = unit->name, .fingerprint = unit->fingerprint};
    service.main = AdoptedProcess{pid, true};
    service.was_started = true;
    return service;
  };
  // The agent was killed while it applied commit 2: `a` runs the new unit already, `gone` is to go.
  World world(durable, {running(a2, 51), running(b1, 52), running(make_unit("gone"), 53)});
  world.alive = {{"a", 51}, {"b", 52}, {"gone", 53}};
  world.commits[id_of(1)] = {{"a", a1}, {"b", b1}, {"gone", make_unit("gone")}};
  world.commit(2, {a2, b2});
  CHECK(world.take_log() == Log{"stop gone", "stop b", "start b 2"});
  CHECK(world.reconciler->service("a")->pid == 51);
  CHECK(world.sync_state() == "synced");
}

TEST_CASE(
    "what an earlier agent started and no commit knows is stopped; what only the new commit knows is kept") {
  auto running = [](const UnitPtr& unit, Pid pid) {
    AdoptedService service{.name = unit->name, .fingerprint = unit->fingerprint};
    service.main = AdoptedProcess{pid, true};
    service.was_started = true;
    return service;
  };
  DurableState durable;
  durable.applied = id_of(1);
  World world(durable, {running(make_unit("stray"), 51), running(make_unit("added"), 52)});
  world.alive = {{"stray", 51}, {"added", 52}};
  world.commits[id_of(1)] = {};
  world.commit(2, {make_unit("added")});
  CHECK(world.take_log() == Log{"stop stray"});
  CHECK(world.reconciler->service("added")->pid == 52);
}

TEST_CASE("the agent's ordered end stops everything in reverse order") {
  World world;
  world.commit(1, {make_unit("db"), make_unit("web", needs("db"))});
  world.take_log();
  world.happens(ShutdownRequested{true});
  CHECK(world.take_log() == Log{"stop web", "stop db"});
  CHECK(world.has_exited);
}

TEST_CASE("ordering without a requirement: who comes later waits, but not for what has failed") {
  World world;
  world.commit(1, {make_unit("setup", of_type(ServiceType::oneshot)), make_unit("web", is_after("setup"))});
  CHECK(world.take_log() == Log{"start setup"});
  CHECK(world.state("web") == "waiting");
  world.exits("setup", {ExitStatus::Kind::exited, 1});
  CHECK(world.take_log() == Log{"start web"});
}

TEST_CASE("a service that is not desired running is started by hand, until its unit changes") {
  World world;
  world.commit(1, {make_unit("tool", desired_stopped)});
  CHECK(world.request(ServiceVerb::start, "tool") == "done");
  CHECK(world.take_log() == Log{"start tool"});
  world.commit(2, {make_unit("tool", desired_stopped, version("2"))});
  CHECK(world.take_log() == Log{"stop tool"});
  CHECK(world.state("tool") == "stopped");
}
