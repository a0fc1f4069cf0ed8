// Stories told to the Reconciler: commits, operators and exits in, and what the world then looks like. The world
// here does everything at once and well; faults and races are reconcile/sim's.
#include "reconcile/reconciler.h"

#include <map>
#include <set>

#include "reconcile/world_for_tests.h"
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
    for (std::string_view argument : command.arguments)
      mix(std::string(argument) + ",");
  }
  if (unit->resources->tasks_max) mix("T" + std::to_string(unit->resources->tasks_max->value));
  mix(unit->description.str() + (unit->is_desired_running ? "r" : "s"));
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
auto with_relations(Dependencies relations) {
  return [relations](Unit& unit) { unit.dependencies.edit() = relations; };
}
auto described(const std::string& words) {
  return [words](Unit& unit) { unit.description = words; };
}
auto limited_to(std::uint64_t tasks) {
  return [tasks](Unit& unit) { unit.resources.edit().tasks_max = {ResourceAmount::Kind::absolute, tasks}; };
}
void desired_stopped(Unit& unit) { unit.is_desired_running = false; }

class World : public WorldForTests {
 public:
  explicit World(DurableState durable = {}, std::vector<AdoptedService> adopted = {}) {
    reconciler = std::make_unique<Reconciler>(Reconciler::Options{.boot_id = "boot", .seed = 7},
                                              std::move(durable), std::move(adopted));
  }

  void step() override {
    std::vector<Event> batch = std::exchange(events, {});
    for (Command& command : reconciler->step(batch, now))
      std::visit([this](const auto& what) { carry_out(what); }, command);
  }

  void exits(const std::string& name, ExitStatus status) {
    Pid pid = alive.at(name);
    alive.erase(name);
    happens(ProcessExited{*reconciler->find(name), pid, status, false});
  }

  using WorldForTests::carry_out;
  void carry_out(const Spawn& spawn) {
    const std::string& name = spawn.unit->name;
    if (spawn.phase == ExecPhase::reload) {
      log.push_back("reload " + name);
      reloading = Spawned{spawn.service, spawn.spawn, ++last_pid};
    }
    if (spawn.phase != ExecPhase::start) return;
    CHECK_FALSE(alive.contains(name));
    log.push_back("start " + join(spawn.unit->start.front().arguments.unpacked()));
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
  void carry_out(const AdjustLimits& adjust) {
    const auto& limit = adjust.unit->resources->tasks_max;
    log.push_back("adjust " + adjust.unit->name + " to " + (limit ? std::to_string(limit->value) : "none"));
  }
  void carry_out(const RunRecord& record) {
    if (record.kind == RunRecord::Kind::stamped) stamped[record.name] = record.fingerprint;
  }
  void carry_out(const ExitAgent&) { has_exited = true; }
  void carry_out(const Announce& news) {
    if (news.kind == "state") told.push_back(news.to + ": " + news.reason);
  }

  std::string request(ServiceVerb verb, const std::string& name) {
    RequestId id{++last_request};
    happens(ServiceRequested{id, verb, name, "uid 0"});
    return answer_of(id);
  }
  std::vector<std::string> take_log() { return std::exchange(log, {}); }
  std::string state(const std::string& name) {
    auto view = reconciler->service(name);
    return view ? std::string(to_string(view->state)) : "(none)";
  }

  static std::string join(const std::vector<std::string>& words) {
    std::string joined;
    for (const std::string& word : words)
      joined += (joined.empty() ? "" : " ") + word;
    return joined;
  }

  std::map<std::string, Pid> alive;
  std::set<std::string> immortal;
  std::map<std::string, std::uint64_t> stamped;
  std::vector<std::string> told;  // changes of state, with their reasons
  Spawned reloading;              // the last ExecReload=, to be told of by the story
  std::vector<std::string> log;
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
  CHECK_FALSE(world.markers.contains(Marker::healthy));
  world.wait(11s);
  CHECK(world.markers.at(Marker::healthy) == id_of(1));
  CHECK(world.reconciler->next_deadline() == never);
}

TEST_CASE("a changed limit is adjusted live, and so is one that goes away") {
  World world;
  world.commit(1, {make_unit("a", limited_to(5)), make_unit("b"), make_unit("idle", desired_stopped)});
  CHECK(world.take_log() == Log{"start a", "start b"});
  world.commit(2, {make_unit("a", limited_to(6)), make_unit("b", limited_to(7)),
                   make_unit("idle", desired_stopped, limited_to(8))});
  CHECK(world.take_log() == Log{"adjust a to 6", "adjust b to 7"});
  CHECK(world.sync_state() == "synced");
  world.commit(3, {make_unit("a"), make_unit("b", limited_to(9), version("2"))});
  // Who starts anew is born with them.
  CHECK(world.take_log() == Log{"adjust a to none", "stop b", "start b 2"});
}

namespace {

// A unit with ReloadOn= of a file of that content.
UnitPtr with_file(std::uint8_t content) {
  return make_unit("web", described(std::to_string(content)), [content](Unit& unit) {
    ObjectId blob;
    blob.bytes[0] = content;
    unit.watched.edit() = {{.path = "web.conf", .content = blob, .restarts = false}};
    unit.auxiliary.edit().reload = {ExecCommand{.path = "/bin/reload", .arguments = {"reload"}}};
  });
}

void end_reload(World& world, int exit_code) {
  world.happens(world.reloading);
  world.happens(
      ProcessExited{world.reloading.service, world.reloading.pid, {ExitStatus::Kind::exited, exit_code}});
}

}  // namespace

TEST_CASE("what changes while a service reloads is reloaded after it, also by the next agent") {
  World world;
  world.commit(1, {with_file(1)});
  world.commit(2, {with_file(2)});
  CHECK(world.take_log() == Log{"start web", "reload web"});
  world.commit(3, {with_file(3)});
  CHECK(world.take_log() == Log{});
  CHECK(world.stamped["web"] == with_file(2)->fingerprint);  // an agent that starts now reloads it
  end_reload(world, 0);
  CHECK(world.take_log() == Log{"reload web"});
  CHECK(world.stamped["web"] == with_file(3)->fingerprint);
}

TEST_CASE("a reload that fails leaves the node degraded, until one goes well or the service ends") {
  World world;
  world.commit(1, {with_file(1)});
  world.commit(2, {with_file(2)});
  end_reload(world, 1);
  CHECK(world.sync_state() == "degraded");
  CHECK(world.reconciler->service("web")->reason == "could not be reloaded");
  CHECK(world.take_log() == Log{"start web", "reload web"});

  CHECK(world.sync() == "(waiting)");
  CHECK(world.take_log() == Log{"reload web"});
  end_reload(world, 0);
  CHECK(world.sync_state() == "synced");

  world.commit(3, {with_file(3)});
  end_reload(world, 1);
  CHECK(world.sync_state() == "degraded");
  CHECK(world.request(ServiceVerb::stop, "web") == "done");
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("a limit that somebody else changed is put back, but not for ever") {
  World world;
  world.commit(1, {make_unit("web", limited_to(5))});
  world.take_log();
  ServiceId web = *world.reconciler->find("web");
  for (int i = 0; i < 100; ++i)
    world.happens(LimitsDrifted{web, "pids.max", "5", "max"});
  CHECK(world.take_log() == Log(10, "adjust web to 5"));
  world.wait(61s);
  world.happens(LimitsDrifted{web, "pids.max", "5", "max"});
  CHECK(world.take_log() == Log{"adjust web to 5"});
  world.request(ServiceVerb::stop, "web");
  world.take_log();
  world.happens(LimitsDrifted{web, "pids.max", "5", "max"});
  CHECK(world.take_log() == Log{});
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

TEST_CASE("a stop is a hold that outlives commits, dependents wait for it and come back by themselves") {
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

TEST_CASE("a rollback ends at its time by the clock, also when that is set meanwhile") {
  World world;
  world.commit(1, {make_unit("web")});
  world.commit(2, {make_unit("web", version("2"))});
  world.happens(RollbackRequested{
      .request = RequestId{1}, .commit = id_of(1), .by = "uid 0", .until = world.now.wall + 8h});
  world.wait(1h);
  CHECK(world.reconciler->node().pin);
  world.now.wall += 8h;
  world.wait(1min);
  CHECK_FALSE(world.reconciler->node().pin);
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
    "what an earlier agent started and no commit knows is stopped, what only the new commit knows is kept") {
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

TEST_CASE("a stop holds what only others want running, and it does not come back for them") {
  World world;
  Dependencies part{.part_of = {"db"}, .after = {"db"}};
  world.commit(1, {make_unit("db", desired_stopped), make_unit("page", with_relations(part)),
                   make_unit("web", needs("db"))});
  CHECK(world.state("db") == "running");
  world.take_log();
  CHECK(world.request(ServiceVerb::stop, "db") == "done");
  CHECK(world.take_log() == Log{"stop page", "stop web", "stop db"});
  CHECK(world.reconciler->durable().holds.contains("db"));
  CHECK(world.state("web") == "waiting");
  CHECK(world.state("page") == "waiting");
  CHECK(world.request(ServiceVerb::start, "db") == "done");
  CHECK(world.take_log() == Log{"start db", "start page", "start web"});
}

TEST_CASE("a stop of what nobody wants running is no hold") {
  World world;
  world.commit(1, {make_unit("tool", desired_stopped), make_unit("web")});
  CHECK(world.request(ServiceVerb::start, "tool") == "done");
  CHECK(world.request(ServiceVerb::stop, "tool") == "done");
  CHECK(world.reconciler->durable().holds.empty());
}

TEST_CASE("who is told to start displaces also what an operator started") {
  World world;
  world.commit(1, {make_unit("a", desired_stopped),
                   make_unit("b", with_relations({.conflicts = {"a"}}), desired_stopped)});
  CHECK(world.request(ServiceVerb::start, "a") == "done");
  world.take_log();
  CHECK(world.request(ServiceVerb::start, "b") == "done");
  CHECK(world.take_log() == Log{"stop a", "start b"});
  CHECK(world.state("a") == "stopped");
  CHECK(world.reconciler->durable().holds.empty());
}

TEST_CASE("back on the configured branch the node is on the one that its tip was told of") {
  World world;
  world.commit(1, {make_unit("web")});
  world.happens(TipObserved{"testing", world.tip, ""});
  world.happens(BranchSwitched{"testing", false, std::nullopt});
  CHECK(world.reconciler->node().branch == "testing");
  world.events.push_back(TipObserved{"main", world.tip, ""});
  world.happens(BranchSwitched{"", true, std::nullopt});
  CHECK(world.reconciler->node().branch == "main");
  CHECK(!world.reconciler->durable().branch_override);
}

// --- stories that the simulation told first (reconcile/sim) ---

namespace {

AdoptedService left_running(const UnitPtr& unit, Pid pid) {
  AdoptedService service{.name = unit->name, .fingerprint = unit->fingerprint};
  service.main = AdoptedProcess{pid, true};
  service.was_started = true;
  return service;
}

DurableState applied(unsigned number) {
  DurableState durable;
  durable.applied = id_of(number);
  return durable;
}

}  // namespace

TEST_CASE("limits of what an earlier agent left are written anew, and the new commit's after them") {
  UnitPtr web = make_unit("web", limited_to(5));
  World world(applied(1), {left_running(web, 50)});
  world.alive = {{"web", 50}};
  world.commits[id_of(1)] = {{"web", web}};
  world.commits[id_of(2)] = {{"web", make_unit("web", limited_to(6))}};
  world.happens(TipObserved{"main", id_of(2), ""});
  CHECK(world.take_log() == Log{"adjust web to 5", "adjust web to 6"});
}

TEST_CASE("a changed service that waits for a new one does not wait for its wave") {
  World world;
  world.commit(1, {make_unit("web")});
  world.take_log();
  world.commit(
      2, {make_unit("web", version("2"), needs("db")), make_unit("db", is_after("disk")), make_unit("disk")});
  CHECK(world.take_log() == Log{"stop web", "start disk", "start db", "start web 2"});
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("who is in backoff, and waited for by a changed service, does not wait for a new one's wave") {
  World world;
  world.commit(1, {make_unit("db", restarts_always()), make_unit("web", needs("db"))});
  world.exits("db", {ExitStatus::Kind::exited, 1});
  world.take_log();
  world.commit(2, {make_unit("db", restarts_always(), is_after("job"), is_after("disk")),
                   make_unit("web", version("2"), needs("db")),
                   make_unit("job", of_type(ServiceType::oneshot)), make_unit("disk")});
  world.wait(1s);
  CHECK(world.take_log() == Log{"stop web", "start job"});
  world.exits("job", {ExitStatus::Kind::exited, 0});
  CHECK(world.take_log() == Log{"start disk", "start db", "start web 2"});
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("a commit that was not healthy yet when the next came is superseded") {
  World world;
  world.commit(1, {make_unit("web")});
  world.commit(2, {make_unit("web", version("2"))});
  CHECK(world.reconciler->durable().history.front().outcome == Outcome::superseded);
  CHECK(world.reconciler->durable().history.back().outcome == Outcome::progressing);
}

TEST_CASE("what an agent that was killed had begun is ended by the next one") {
  DurableState durable = applied(1);
  HistoryEntry begun{.commit = id_of(2), .subject = "s", .author = "A", .cause = "commit"};
  durable.history = {begun};
  World world(durable);
  world.commits[id_of(1)] = {{"web", make_unit("web")}};
  world.commit(2, {make_unit("web", version("2"))});
  REQUIRE(world.reconciler->durable().history.size() == 1);  // gone on with, not begun again
  world.wait(11s);
  CHECK(world.reconciler->durable().history.back().outcome == Outcome::healthy);

  World other(durable);
  other.commits[id_of(1)] = {{"web", make_unit("web")}};
  other.commit(3, {make_unit("web", version("3"))});
  CHECK(other.reconciler->durable().history.front().outcome == Outcome::superseded);
}

TEST_CASE("a commit that was once healthy stays so in the history, whatever happens later") {
  DurableState durable = applied(1);
  durable.history = {{.commit = id_of(1), .subject = "s", .author = "A", .outcome = Outcome::healthy}};
  World world(durable);
  world.commit(1, {make_unit("web")});
  world.exits("web", {ExitStatus::Kind::exited, 1});
  CHECK(world.sync_state() == "degraded");
  CHECK(world.reconciler->durable().history.back().outcome == Outcome::healthy);
}

TEST_CASE("after a boot with a broken tip the node runs what was applied last") {
  World world(applied(1));
  world.commits[id_of(1)] = {{"web", make_unit("web")}};
  world.broken_commit(2);
  CHECK(world.take_log() == Log{"start web"});
  CHECK(world.sync_state() == "rejected");
}

TEST_CASE("an agent killed while it applied its first commit goes on with it when the tip is broken") {
  UnitPtr web = make_unit("web");
  DurableState durable;
  durable.history = {{.commit = id_of(1), .subject = "s", .author = "A", .cause = "commit"}};
  World world(durable, {left_running(web, 50)});
  world.alive = {{"web", 50}};
  world.commits[id_of(1)] = {{"web", web}, {"db", make_unit("db")}};
  world.broken_commit(2);
  CHECK(world.take_log() == Log{"start db"});
  CHECK(world.reconciler->service("web")->pid == 50);
  CHECK(world.reconciler->durable().applied == id_of(1));
}

TEST_CASE("what was applied is tried again when it could not be read and the tip is broken") {
  World world(applied(1));
  world.commits[id_of(1)] = {{"web", make_unit("web")}};
  world.unreadable.insert(id_of(1));
  world.broken_commit(2);
  world.wait(100s);
  CHECK(world.take_log() == Log{});
  world.unreadable.clear();
  world.wait(31s);
  CHECK(world.take_log() == Log{"start web"});
}

TEST_CASE("what was applied is tried again however often it cannot be read, while no tip can be applied") {
  for (bool has_branch : {false, true}) {
    World world(applied(1));
    world.commits[id_of(1)] = {{"web", make_unit("web")}};
    world.unreadable.insert(id_of(1));
    if (has_branch) {
      world.broken_commit(2);
    } else {
      world.happens(TipObserved{"main", std::nullopt, "no such branch"});
    }
    for (int i = 0; i < 3; ++i)
      world.wait(31s);
    world.unreadable.clear();
    world.wait(31s);
    CHECK(world.take_log() == Log{"start web"});
  }
}

TEST_CASE("a started agent puts the markers right that the one before did not come to") {
  DurableState durable = applied(1);
  durable.pin = Pin{.commit = id_of(1), .by = "uid 0"};
  World world(durable);
  world.commit(1, {make_unit("web")});
  CHECK(world.markers == std::map<Marker, ObjectId>{{Marker::applied, id_of(1)}, {Marker::pinned, id_of(1)}});
}

TEST_CASE("'cannot read' is said only as long as that commit is wanted") {
  World world;
  world.commit(1, {make_unit("web")});
  world.unreadable.insert(id_of(2));
  world.happens(TipObserved{"main", id_of(2), ""});
  CHECK(world.sync_state() == "error");
  world.happens(TipObserved{"main", id_of(1), ""});
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("a service is never resumed as what another commit says it is") {
  auto second_command = [](Unit& unit) { unit.start.push_back({.path = "/bin/b", .arguments = {"b"}}); };
  UnitPtr old_job = make_unit("job", of_type(ServiceType::oneshot), second_command);
  UnitPtr job = make_unit("job", of_type(ServiceType::oneshot), version("2"));
  AdoptedService record{.name = "job", .fingerprint = job->fingerprint};
  record.main = AdoptedProcess{50, false};
  World world(applied(1), {record});
  world.commits[id_of(1)] = {{"job", old_job}};
  world.commit(2, {job});
  CHECK(world.take_log() == Log{});
  CHECK(world.state("job") == "completed");
}

TEST_CASE("an exit that is seen before it is known what runs is not lost") {
  UnitPtr db = make_unit("db", restarts_always());
  World world(applied(1), {left_running(db, 50)});
  world.commits[id_of(1)] = {{"db", db}};
  world.happens(ProcessExited{*world.reconciler->find("db"), 50, {ExitStatus::Kind::exited, 1}, false});
  CHECK(world.state("db") == "backoff");
  world.wait(200ms);
  CHECK(world.take_log() == Log{"start db"});
}

TEST_CASE("a hold outlives the agent also when the stop did not happen any more") {
  UnitPtr db = make_unit("db"), web = make_unit("web", needs("db"));
  DurableState durable = applied(1);
  durable.holds["db"] = OperatorHold{.by = "uid 0", .at = {}};
  World world(durable, {left_running(db, 50), left_running(web, 51)});
  world.alive = {{"db", 50}, {"web", 51}};
  world.commit(1, {db, web});
  CHECK(world.take_log() == Log{"stop web", "stop db"});
}

TEST_CASE("a hold of a service that was removed while no agent looked is forgotten") {
  DurableState durable = applied(1);
  durable.holds["db"] = OperatorHold{.by = "uid 0", .at = {}};
  World world(durable);
  world.commits[id_of(1)] = {{"db", make_unit("db")}};
  world.commit(2, {make_unit("web")});
  CHECK(world.reconciler->durable().holds.empty());
}

TEST_CASE("a unit that became DesiredState=stopped is stopped although the agent was killed over it") {
  UnitPtr before = make_unit("web"), after = make_unit("web", desired_stopped);
  World world(applied(1));
  world.commit(1, {before});
  world.commit(2, {after});
  CHECK(world.take_log() == Log{"start web", "stop web"});
  // It had not been stopped: nothing but the stop may have said that it runs the new unit.
  World next(applied(2), {left_running(before, 50)});
  next.alive = {{"web", 50}};
  next.commit(2, {after});
  CHECK(next.take_log() == Log{"stop web"});
}

TEST_CASE("a stop takes along those whose relation comes with the same commit, in order") {
  Dependencies part_of_a{.part_of = {"a"}, .after = {"a"}};
  World world;
  world.commit(1, {make_unit("a"), make_unit("b")});
  world.take_log();
  world.commit(2, {make_unit("a", desired_stopped), make_unit("b", with_relations(part_of_a))});
  CHECK(world.take_log() == Log{"stop b", "stop a", "start b"});
}

TEST_CASE("a service that ends by itself is waited for like one that is told to end") {
  auto killed_alone = [](Unit& unit) { unit.kill.edit().mode = KillMode::process; };
  UnitPtr db = make_unit("db"), web = make_unit("web", needs("db"), killed_alone);
  AdoptedService ending = left_running(web, 51);
  ending.was_stopping = true;
  World world(applied(1), {left_running(db, 50), ending});
  world.alive = {{"db", 50}, {"web", 51}};
  world.immortal = {"web"};
  world.commit(1, {db, web});
  CHECK(world.request(ServiceVerb::stop, "db") == "(waiting)");
  CHECK(world.take_log() == Log{});
  world.exits("web", {ExitStatus::Kind::exited, 0});
  CHECK(world.take_log() == Log{"stop db"});
}

TEST_CASE("who asked to start a service is told when a commit removes it meanwhile") {
  World world;
  UnitPtr api = make_unit("api", is_after("db")), cron = make_unit("cron", is_after("api"));
  world.commit(1, {make_unit("db"), api, cron});
  world.exits("api", {ExitStatus::Kind::exited, 0});
  world.exits("cron", {ExitStatus::Kind::exited, 0});
  UnitPtr slow = make_unit("db", version("2"), of_type(ServiceType::notify));
  world.commit(2, {slow, api, cron});
  CHECK(world.request(ServiceVerb::start, "api") == "(waiting)");
  world.commit(3, {slow});
  CHECK(world.answer_of(RequestId{1}) == "'api' is no longer in the repository");
  CHECK_FALSE(world.reconciler->find("api"));
}

TEST_CASE("nothing is kept of a service that was removed before it ever started") {
  World world;
  UnitPtr slow = make_unit("db", of_type(ServiceType::notify));
  world.commit(1, {slow, make_unit("api", is_after("db"))});
  CHECK(world.state("api") == "waiting");
  world.commit(2, {slow});
  CHECK_FALSE(world.reconciler->find("api"));
}

TEST_CASE("of two that conflict the one with the greater claim runs, and they do not take turns") {
  auto without = make_unit("main");
  auto with_conflict = make_unit("main", with_relations({.conflicts = {"spare"}}), described("conflicts"));
  UnitPtr spare = make_unit("spare", desired_stopped), user = make_unit("user", needs("spare"));
  World world;
  world.commit(1, {with_conflict, spare, user});
  CHECK(world.take_log() == Log{"start main"});
  CHECK(world.state("user") == "waiting");
  world.commit(2, {without, spare, user});
  CHECK(world.take_log() == Log{"start spare", "start user"});
}

TEST_CASE("nobody is displaced by one that cannot start") {
  World world;
  UnitPtr tool = make_unit("tool", desired_stopped, with_relations({.conflicts = {"web"}}));
  world.commit(1, {make_unit("db"), make_unit("web", needs("db")), tool});
  CHECK(world.request(ServiceVerb::stop, "db") == "done");
  world.take_log();
  CHECK(world.request(ServiceVerb::start, "tool") == "done");
  CHECK(world.take_log() == Log{"start tool"});
}

TEST_CASE("bound without an order: both come up together, and one alone waits instead of starting in vain") {
  World world;
  world.commit(1, {make_unit("a", with_relations({.binds_to = {"b"}})), make_unit("b")});
  CHECK(world.take_log() == Log{"start b", "start a"});
  world.exits("b", {ExitStatus::Kind::exited, 1});
  CHECK(world.take_log() == Log{"stop a"});
  CHECK(world.state("a") == "waiting");
}

TEST_CASE("what goes down with another comes back with it, however often") {
  World world;
  world.commit(1, {make_unit("a", with_relations({.binds_to = {"b"}, .after = {"b"}})),
                   make_unit("b", restarts_always())});
  for (int i = 0; i < 20; ++i) {
    world.exits("b", {ExitStatus::Kind::exited, 1});
    world.wait(200ms);
    REQUIRE(world.state("a") == "running");
  }
}

TEST_CASE("what a service says of itself is not the reason of what is done to it") {
  World world;
  world.commit(1, {make_unit("web", of_type(ServiceType::notify))});
  Notified busy;
  busy.service = *world.reconciler->find("web");
  busy.sender = world.alive.at("web");
  busy.is_ready = true;
  busy.status = "serving 3 guests";
  world.happens(busy);
  world.told.clear();
  CHECK(world.request(ServiceVerb::stop, "web") == "done");
  CHECK(world.told == Log{"stopping: stopped by uid 0", "stopped: stopped by uid 0"});
}

TEST_CASE("a service that waits for its restart tells what ended it") {
  World world;
  UnitPtr web = make_unit("web", restarts_always(), [](Unit& unit) { unit.restart.edit().delay = 10s; });
  world.commit(1, {web});
  world.exits("web", {ExitStatus::Kind::exited, 3});
  CHECK(world.reconciler->service("web")->state == ServiceState::backoff);
  CHECK(world.reconciler->service("web")->reason == "main process exited with status 3");
}

TEST_CASE("a start of what runs does not make it forget that a changed unit is still to come") {
  World world;
  world.commit(1, {make_unit("web")});
  world.missing.insert("web");
  world.commit(2, {make_unit("web", version("2"))});
  CHECK(world.request(ServiceVerb::start, "web") == "done");
  CHECK(world.sync_state() == "degraded");
}

TEST_CASE("a restart that is not needed any more leaves nothing in motion") {
  World world;
  world.commit(1, {make_unit("web")});
  world.missing.insert("web");
  world.commit(2, {make_unit("web", version("2"))});
  CHECK(world.request(ServiceVerb::stop, "web") == "done");
  CHECK(world.sync() == "done");
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("what could not be replaced stops when the commit comes back that does not want it running") {
  World world;
  UnitPtr tool = make_unit("tool", desired_stopped);
  world.commit(1, {tool});
  CHECK(world.request(ServiceVerb::start, "tool") == "done");
  world.missing.insert("tool");
  world.commit(2, {make_unit("tool", version("2"))});
  CHECK(world.state("tool") == "running");
  world.take_log();
  world.commit(3, {tool});
  CHECK(world.take_log() == Log{"stop tool"});
  CHECK(world.state("tool") == "stopped");
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("what a started agent has not got to know yet is not answered for") {
  UnitPtr db = make_unit("db");
  World world(applied(1), {left_running(db, 50)});
  world.commits[id_of(1)] = {{"db", db}};
  CHECK(world.request(ServiceVerb::stop, "db") == "'db' is not known yet: the agent has just started");
}

TEST_CASE("an event that comes with the end of a backoff does not hide it") {
  World world;
  world.commit(1, {make_unit("db", restarts_always())});
  world.exits("db", {ExitStatus::Kind::exited, 1});
  world.take_log();
  world.now.instant += 1s;
  world.happens(ProcessExited{*world.reconciler->find("db"), 7, {ExitStatus::Kind::exited, 0}, false});
  CHECK(world.take_log() == Log{"start db"});
}

TEST_CASE("what only an unreadable commit knows is left alone until it can be read") {
  UnitPtr web = make_unit("web", version("2")), extra = make_unit("extra");
  World world(applied(1), {left_running(web, 50), left_running(extra, 51)});
  world.alive = {{"web", 50}, {"extra", 51}};
  world.commits[id_of(1)] = {{"web", make_unit("web")}, {"db", make_unit("db")}};
  world.commits[id_of(2)] = {{"web", web}, {"db", make_unit("db")}, {"extra", extra}};
  world.unreadable.insert(id_of(2));
  world.happens(TipObserved{"main", id_of(2), ""});
  CHECK(world.take_log() == Log{"start db"});
  world.unreadable.clear();
  world.wait(31s);
  CHECK(world.take_log() == Log{});
  CHECK(world.reconciler->service("web")->pid == 50);
  CHECK(world.reconciler->service("extra")->pid == 51);
  CHECK(world.sync_state() == "synced");
}

TEST_CASE("how the old unit ended says nothing about the new one") {
  auto job = [](auto... changes) { return make_unit("job", of_type(ServiceType::oneshot), changes...); };
  World world;
  world.commit(1, {job()});
  world.missing.insert("job");
  world.commit(2, {job(version("2"))});  // cannot be restarted now
  world.take_log();
  world.exits("job", {ExitStatus::Kind::exited, 0});
  CHECK(world.take_log() == Log{"start job 2"});
}

TEST_CASE("a step looks at a bounded number of services, and nothing is judged before all were looked at") {
  constexpr int services = 10;
  UnitMap units;
  for (int i = 0; i < services; ++i) {
    std::string name = "s" + std::to_string(i);
    units.emplace(name, make_unit(name));
  }
  World world;
  Reconciler::Options options{.boot_id = "boot", .seed = 7};
  options.services_per_step = 4;
  world.reconciler = std::make_unique<Reconciler>(options, DurableState{}, std::vector<AdoptedService>{});
  world.commits[id_of(1)] = units;
  world.happens(TipObserved{"main", id_of(1), ""});
  CHECK(world.take_log().size() == services);
  CHECK(world.sync_state() == "synced");

  // All are touched at once, and none is in motion until it was looked at.
  world.events.push_back(ShutdownRequested{true});
  world.step();
  CHECK(world.take_log().size() == 4);
  CHECK(world.reconciler->has_more());
  CHECK(world.reconciler->next_deadline() == world.now.instant);
  CHECK(world.sync_state() == "progressing");
  CHECK_FALSE(world.has_exited);
  world.settle();
  CHECK(world.take_log().size() == services - 4);
  CHECK_FALSE(world.reconciler->has_more());
  CHECK(world.has_exited);
}
