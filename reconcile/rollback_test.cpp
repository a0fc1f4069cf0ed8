// Stories of commits that do not get healthy, of commits that would remove too much, and of agents that are killed
// over either. The node here outlives its agents: processes, journal and state file stay when one is killed.
#include <map>
#include <set>

#include "reconcile/plan/guard.h"
#include "reconcile/reconciler.h"
#include "reconcile/world_for_tests.h"
#include "testing/catch.h"

using namespace gitproc;
using namespace std::chrono_literals;

namespace {

// "web bad" is a unit called web whose process ends at once, "web slow" one that never gets ready; with any other
// word it runs well.
UnitPtr make_unit(const std::string& name, const std::string& word = "1", const std::string& needed = "",
                  std::uint64_t max_tasks = 0) {
  auto unit = std::make_shared<Unit>();
  unit->name = name;
  unit->start = {ExecCommand{.path = "/bin/" + name, .arguments = {name, word}}};
  if (word.starts_with("slow")) {
    unit->type = ServiceType::notify;
    unit->timeouts.edit().start = infinite;
  }
  if (word.starts_with("looping")) {
    unit->restart.edit().mode = RestartMode::always;
    unit->restart.edit().delay = 2s;
    unit->restart.edit().start_limit_interval = 0s;
  }
  if (!needed.empty()) {
    unit->dependencies.edit().requires_ = {needed};
    unit->dependencies.edit().after = {needed};
  }
  if (max_tasks != 0) unit->resources.edit().tasks_max = {ResourceAmount::Kind::absolute, max_tasks};
  unit->fingerprint =
      std::hash<std::string>()(name + " " + word + " " + needed + " " + std::to_string(max_tasks));
  unit->sources = {{name + ".service", {}}};
  return unit;
}

class Node : public WorldForTests {
 public:
  explicit Node(Reconciler::Options given) : options(std::move(given)) { start_agent(); }

  // --- the agent ---
  void start_agent() {
    std::vector<AdoptedService> adopted;
    for (const auto& [name, process] : alive) {
      AdoptedService service{.name = name, .fingerprint = process.unit->fingerprint};
      service.main = AdoptedProcess{process.pid, true};
      service.was_started = process.is_ready;
      adopted.push_back(std::move(service));
    }
    for (const auto& [name, latch] : latches) {
      if (alive.contains(name)) continue;
      AdoptedService service{.name = name, .fingerprint = latch.first};
      service.latch = latch.second;
      adopted.push_back(std::move(service));
    }
    events.clear();
    catalog.clear();
    reconciler = std::make_unique<Reconciler>(options, disk, adopted);
    if (tip) events.push_back(TipObserved{branch, tip, ""});
  }
  // kill -9 before the `commands`th command from now on is carried out.
  void kill_agent_after(unsigned commands) { lives_for = commands; }

  void step() override {
    std::vector<Event> batch = std::exchange(events, {});
    bool is_killed = false;
    for (Command& command : reconciler->step(batch, now)) {
      is_killed = lives_for && (*lives_for)-- == 0;
      if (is_killed) break;
      std::visit([this](const auto& what) { carry_out(what); }, command);
    }
    if (is_killed) {
      lives_for.reset();
      ++kills;
      return start_agent();
    }
    disk = reconciler->durable();
  }

  // --- what is to be seen ---
  // "api 1, web 2": what runs, in which version.
  std::string running() {
    std::string text;
    for (const auto& [name, process] : alive)
      text +=
          (text.empty() ? "" : ", ") + name + " " + process.unit->start.front().arguments.unpacked().back();
    return text;
  }
  // "1 commit healthy, 2 commit rolled-back": the history without what was superseded.
  std::string history() {
    std::string text;
    for (const HistoryEntry& entry : reconciler->durable().history) {
      text += (text.empty() ? "" : ", ") + std::to_string(entry.commit.bytes[19]) + " " + entry.cause + " " +
              std::string(to_string(entry.outcome));
    }
    return text;
  }
  unsigned rollbacks() {
    unsigned count = 0;
    for (const HistoryEntry& entry : reconciler->durable().history)
      count += entry.outcome == Outcome::rolled_back ? 1 : 0;
    return count;
  }

  // --- what processes do ---
  void exits(const std::string& name) {
    Pid pid = alive.at(name).pid;
    alive.erase(name);
    happens(ProcessExited{*reconciler->find(name), pid, {ExitStatus::Kind::exited, 1}, false});
  }
  void gets_ready(const std::string& name) {
    Notified ready;
    ready.service = *reconciler->find(name);
    ready.sender = alive.at(name).pid;
    ready.is_ready = true;
    happens(ready);
  }

  // --- drivers ---
  using WorldForTests::carry_out;
  void carry_out(const ExportTree& tree) {
    events.push_back(TreeExported{tree.commit, full_disk ? "no space left on device" : ""});
  }
  void carry_out(const LoadCommit& load) {
    bool is_refused = !load.was_applied && !load.branch.empty() && too_old.contains(load.commit);
    if (!is_refused) return WorldForTests::carry_out(load);
    events.push_back(
        CommitRejected{info_of(load.commit), {{.file = "", .message = "is too old"}}, std::nullopt});
  }
  std::optional<VerifiedCommit> verified_by(const LoadCommit& load) const override {
    if (!options.verifies_signatures || load.was_applied) return std::nullopt;
    return VerifiedCommit{.branch = load.branch, .commit = load.commit};
  }
  void carry_out(const Spawn& spawn) {
    if (spawn.phase != ExecPhase::start) return;
    const std::string& name = spawn.unit->name;
    CHECK_FALSE(alive.contains(name));
    std::string word = spawn.unit->start.front().arguments.unpacked().back();
    ++starts[name + " " + word];
    alive[name] = {++last_pid, spawn.unit, !word.starts_with("slow"), *spawn.unit->resources};
    latches.erase(name);
    events.push_back(Spawned{spawn.service, spawn.spawn, last_pid});
    if (word.starts_with("bad") || word.starts_with("looping")) {
      alive.erase(name);
      events.push_back(ProcessExited{spawn.service, last_pid, {ExitStatus::Kind::exited, 1}, false});
    }
  }
  void carry_out(const Kill& kill) {
    const std::string& name = kill.unit->name;
    if (kill.main_pid != 0 && alive.contains(name)) {
      alive.erase(name);
      events.push_back(
          ProcessExited{kill.service, kill.main_pid, {ExitStatus::Kind::killed, kill.signal}, false});
    }
    if (kill.awaits_empty && !alive.contains(name)) events.push_back(Emptied{kill.service});
  }
  void carry_out(const AdjustLimits& adjust) { alive.at(adjust.unit->name).limits = *adjust.unit->resources; }
  void carry_out(const RunRecord& record) {
    if (record.kind == RunRecord::Kind::ended && record.latch) {
      latches[record.name] = {catalog.contains(record.name) ? catalog[record.name]->fingerprint : 0,
                              *record.latch};
    }
    if (record.kind == RunRecord::Kind::stamped) alive.at(record.name).unit = catalog.at(record.name);
    if (record.kind == RunRecord::Kind::forgotten) latches.erase(record.name);
  }
  void carry_out(const Announce& news) {
    if (news.service.empty()) told.push_back(news.kind + (news.reason.empty() ? "" : ": " + news.reason));
  }

  bool has_told(const std::string& words) { return std::find(told.begin(), told.end(), words) != told.end(); }

  struct Process {
    Pid pid = 0;
    UnitPtr unit;
    bool is_ready = true;
    ResourceControl limits;
  };
  const Reconciler::Options options;
  DurableState disk;
  std::set<ObjectId> too_old;
  std::map<std::string, Process> alive;
  std::map<std::string, std::pair<std::uint64_t, Latch>> latches;
  std::map<std::string, unsigned> starts;
  std::vector<std::string> told;
  std::optional<unsigned> lives_for;
  unsigned kills = 0;
  bool full_disk = false;
};

Node node_that_rolls_back() { return Node({.boot_id = "boot", .seed = 7, .auto_rollback = true}); }
Node node_with_guard() { return Node({.boot_id = "boot", .seed = 7, .prune_guard = true}); }

std::vector<UnitPtr> units_called(const std::string& letters) {
  std::vector<UnitPtr> units;
  for (char letter : letters)
    units.push_back(make_unit(std::string(1, letter)));
  return units;
}

}  // namespace

// --- automatic rollback ---

TEST_CASE("a commit whose changed service fails is undone by itself, once, and not tried again") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("db"), make_unit("web")});
  node.wait(11s);
  node.commit(2, {make_unit("db"), make_unit("web", "bad")});
  CHECK(node.running() == "db 1, web 1");
  CHECK(node.sync_state() == "rejected");
  CHECK(node.has_told("rolled-back: web (failed)"));
  CHECK(node.history() == "1 commit healthy, 2 commit rolled-back, 1 auto-rollback progressing");
  NodeView view = node.reconciler->node();
  CHECK(view.desired_commit == id_of(1));
  CHECK(view.branch_commit == id_of(2));
  CHECK(view.error == "web (failed); change it, or try it again by 'gitproc sync --retry'");
  node.wait(1h);
  CHECK(node.history() == "1 commit healthy, 2 commit rolled-back, 1 auto-rollback healthy");
  CHECK(node.starts["web bad"] == 1);
  CHECK(node.markers[Marker::applied] == id_of(1));
  CHECK(node.markers[Marker::healthy] == id_of(1));
  CHECK(node.sync() != "done");
}

TEST_CASE("an unrelated commit that still holds what failed is not tried, one that fixes it is, at once") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.commit(2, {make_unit("web", "bad")});
  node.commit(3, {make_unit("other"), make_unit("web", "bad")});
  CHECK(node.running() == "web 1");
  CHECK(node.sync_state() == "rejected");
  CHECK(node.reconciler->node().error ==
        "web is as in 000000000000, which failed here: web (failed); change it, or try it again by 'gitproc "
        "sync "
        "--retry'");
  CHECK(node.starts["web bad"] == 1);
  CHECK(node.history() ==
        "1 commit healthy, 2 commit rolled-back, 1 auto-rollback progressing, 3 commit rejected");
  node.commit(4, {make_unit("other"), make_unit("web", "2")});
  CHECK(node.running() == "other 1, web 2");
  CHECK(node.sync_state() == "synced");
  CHECK_FALSE(node.disk.retreat);
  node.wait(11s);
  CHECK(node.disk.healthy == id_of(4));
  // What failed once is known for ever.
  node.commit(5, {make_unit("other"), make_unit("web", "bad")});
  CHECK(node.running() == "other 1, web 2");
  CHECK(node.reconciler->node().desired_commit == id_of(4));
  CHECK(node.starts["web bad"] == 1);
  CHECK(node.rollbacks() == 1);
}

TEST_CASE("'sync --retry' tries what failed again, once more") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.commit(2, {make_unit("web", "bad")});
  CHECK(node.starts["web bad"] == 1);
  CHECK(node.sync() != "done");
  CHECK(node.starts["web bad"] == 1);
  CHECK(node.sync(true) == "rejected: web (failed); change it, or try it again by 'gitproc sync --retry'");
  CHECK(node.starts["web bad"] == 2);
  CHECK(node.running() == "web 1");
  CHECK(node.rollbacks() == 2);
}

TEST_CASE("a service that never gets ready fails the commit at the deadline, one that loops does, too") {
  for (const char* word : {"slow", "looping"}) {
    Node node = node_that_rolls_back();
    node.commit(1, {make_unit("web")});
    node.wait(11s);
    node.commit(2, {make_unit("web", word)});
    node.wait(4min);
    CHECK(node.rollbacks() == 0);
    node.wait(2min);
    CHECK(node.rollbacks() == 1);
    CHECK(node.running() == "web 1");
  }
}

TEST_CASE("only what the commit changed is judged, and who waits for what failed is not to blame") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("db"), make_unit("web", "1", "db")});
  node.wait(11s);
  // An old failure does not count against a commit that leaves it alone.
  node.commit(2, {make_unit("db"), make_unit("web", "1", "db"), make_unit("x")});
  node.wait(11s);
  node.alive.erase("x");
  node.happens(
      ProcessExited{*node.reconciler->find("x"), node.last_pid, {ExitStatus::Kind::exited, 1}, false});
  CHECK(node.sync_state() == "degraded");
  node.commit(3, {make_unit("db"), make_unit("web", "2", "db"), make_unit("x")});
  node.wait(1h);
  CHECK(node.rollbacks() == 0);
  // db fails, web only waits for it: a commit that mends db alone is tried.
  node.commit(4, {make_unit("db", "bad"), make_unit("web", "3", "db"), make_unit("x", "2")});
  CHECK(node.rollbacks() == 1);
  CHECK(node.reconciler->node().desired_commit == id_of(2));
  node.commit(5, {make_unit("db", "2"), make_unit("web", "3", "db"), make_unit("x", "2")});
  CHECK(node.running() == "db 2, web 3, x 2");
}

TEST_CASE("what could not even be started fails the commit although the old instance runs on") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.missing.insert("web");
  node.commit(2, {make_unit("web", "2")});
  CHECK(node.rollbacks() == 1);
  CHECK(node.running() == "web 1");
  CHECK(node.starts["web 1"] == 1);
  CHECK(node.starts["web 2"] == 0);
}

TEST_CASE("without auto_rollback, and without a healthy commit to go to, nothing is undone") {
  Node calm(Reconciler::Options{.boot_id = "boot", .seed = 7});
  calm.commit(1, {make_unit("web")});
  calm.wait(11s);
  calm.commit(2, {make_unit("web", "bad")});
  calm.wait(1h);
  CHECK(calm.sync_state() == "degraded");
  CHECK(calm.rollbacks() == 0);
  Node fresh = node_that_rolls_back();
  fresh.commit(1, {make_unit("web", "bad")});
  fresh.wait(1h);
  CHECK(fresh.sync_state() == "degraded");
  CHECK(fresh.rollbacks() == 0);
}

TEST_CASE("a newer commit takes over from one on trial, and answers for what that one changed") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.commit(2, {make_unit("web", "slow")});
  node.wait(1min);
  node.commit(3, {make_unit("web", "slow"), make_unit("other")});
  CHECK(node.running() == "web slow");  // the new one waits for the changed one
  node.wait(6min);
  CHECK(node.running() == "web 1");
  CHECK(node.rollbacks() == 1);
  CHECK(node.history() ==
        "1 commit healthy, 2 commit superseded, 3 commit rolled-back, 1 auto-rollback healthy");
  node.move(2);
  CHECK(node.running() == "web 1");
  CHECK(node.starts["web slow"] == 1);
}

TEST_CASE("a rollback by hand goes before an automatic one, and holds through later commits until sync") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.commit(2, {make_unit("web", "2")});
  node.wait(11s);
  CHECK(node.rollback(1) == "done");
  node.commit(3, {make_unit("web", "bad")});
  node.commit(4, {make_unit("web", "bad"), make_unit("other")});
  node.commit(5, {make_unit("web", "5")});
  node.wait(1h);
  CHECK(node.running() == "web 1");
  CHECK(node.rollbacks() == 0);
  CHECK(node.sync() == "done");
  CHECK(node.running() == "web 5");
}

TEST_CASE("an operator may roll back to what failed, when it is healthy then, it is no longer denied") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.missing.insert("web");
  node.commit(2, {make_unit("web", "2")});
  CHECK(node.rollbacks() == 1);
  node.missing.clear();
  CHECK(node.rollback(2) == "done");
  node.wait(11s);
  CHECK(node.disk.denials.empty());
  CHECK(node.sync() == "done");
  CHECK(node.running() == "web 2");
  CHECK(node.sync_state() == "synced");
}

TEST_CASE("a tip that holds what failed is applied as soon as that got healthy") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.missing.insert("web");
  node.commit(2, {make_unit("web", "2")});
  node.missing.clear();
  node.commit(3, {make_unit("web", "3")});
  node.wait(11s);
  node.happens(RollbackRequested{
      .request = RequestId{1}, .commit = id_of(2), .by = "uid 0", .until = node.now.wall + 5s});
  node.commit(4, {make_unit("other"), make_unit("web", "2")});
  node.wait(9s);
  CHECK(node.sync_state() == "rejected");
  node.wait(2s);
  CHECK(node.running() == "other 1, web 2");
  CHECK(node.sync_state() == "synced");
}

TEST_CASE("an automatic rollback that could not begin is superseded by one by hand") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.commit(2, {make_unit("web"), make_unit("api", "slow")});
  node.unreadable.insert(id_of(1));
  node.wait(6min);
  CHECK(node.history() == "1 commit healthy, 2 commit rolled-back, 1 auto-rollback progressing");
  node.rollback(2);
  CHECK(node.history() == "1 commit healthy, 2 commit rolled-back, 1 auto-rollback superseded");
  node.sync();
  node.unreadable.clear();
  node.wait(42s);
  CHECK(node.history() == "1 commit healthy, 2 commit rolled-back, 1 auto-rollback healthy");
}

TEST_CASE("an automatic rollback is taken up again when the tip that came in between was none to apply") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.unreadable.insert(id_of(1));
  node.commit(2, {make_unit("web", "bad")});
  node.full_disk = true;
  node.commit(3, {make_unit("web", "2")});
  CHECK(node.sync_state() == "error");
  node.unreadable.clear();
  node.full_disk = false;
  node.broken_commit(4);
  CHECK(node.running() == "web 1");
  CHECK(node.history() ==
        "1 commit healthy, 2 commit rolled-back, 1 auto-rollback progressing, 4 commit rejected");
}

TEST_CASE("content that was healthy is not on trial where it takes over from a commit that failed") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.unreadable.insert(id_of(1));
  node.commit(2, {make_unit("web", "2"), make_unit("api", "bad")});
  node.commit(3, {make_unit("web"), make_unit("db")});
  CHECK(node.running() == "db 1, web 1");
  node.exits("web");
  CHECK(node.sync_state() == "degraded");
  CHECK(node.rollbacks() == 1);
}

TEST_CASE("the tip that the node has gone back to is not said to be refused, whatever it holds") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web"), make_unit("api")});
  node.wait(11s);
  node.exits("api");
  node.commit(2, {make_unit("web", "2"), make_unit("api")});
  node.wait(11s);
  node.missing.insert("web");
  node.commit(3, {make_unit("web"), make_unit("api"), make_unit("db")});
  CHECK(node.rollbacks() == 1);
  CHECK(node.reconciler->durable().applied == id_of(1));
  CHECK(node.sync_state() == "rejected");
  node.move(1);
  CHECK(node.sync_state() == "degraded");
}

TEST_CASE("'sync --retry' tries a commit that failed where it is, if the node had no time to leave it") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.unreadable.insert(id_of(1));
  node.commit(2, {make_unit("web", "slow")});
  node.wait(6min);
  CHECK(node.rollbacks() == 1);
  node.gets_ready("web");
  node.sync(true);
  node.wait(11s);
  CHECK(node.history() == "1 commit healthy, 2 commit healthy, 1 auto-rollback superseded");
  CHECK(node.sync_state() == "synced");
}

TEST_CASE("the commit to go back to is no valid one any more: the node stays where it is") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.broken.insert(id_of(1));
  node.commit(2, {make_unit("web", "bad")});
  node.wait(1h);
  CHECK(node.disk.applied == id_of(2));
  CHECK(node.rollbacks() == 1);
  node.commit(3, {make_unit("web", "3")});
  CHECK(node.running() == "web 3");
}

TEST_CASE("the commit to go back to is the tip again, and refused as one: by name it is gone back to") {
  Node node({.boot_id = "boot",
             .seed = 7,
             .auto_rollback = true,
             .prune_guard = true,
             .verifies_signatures = true});
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.commit(2, {make_unit("web", "slow")});
  node.too_old = {id_of(1)};
  SECTION("before that is known") {
    node.move(1);
    node.wait(6min);
    CHECK(node.history() ==
          "1 commit healthy, 2 commit rolled-back, 1 commit rejected, 1 auto-rollback healthy");
  }
  SECTION("afterwards") {
    node.wait(6min);
    node.move(1);
    CHECK(node.history() ==
          "1 commit healthy, 2 commit rolled-back, 1 auto-rollback healthy, 1 commit rejected");
  }
  CHECK(node.running() == "web 1");
  CHECK(node.disk.applied == id_of(1));
  CHECK(node.sync_state() == "rejected");
  CHECK(node.sync() == "rejected: is too old");
  node.start_agent();
  node.settle();
  CHECK(node.running() == "web 1");
  CHECK(node.sync_state() == "rejected");
  node.commit(3, {make_unit("web", "3")});
  CHECK(node.running() == "web 3");
}

TEST_CASE("an automatic rollback survives kill -9 of the agent before any command, and stays one") {
  bool was_killed = true;
  unsigned tried = 0;
  for (unsigned moment = 0; was_killed; ++moment) {
    Node node = node_that_rolls_back();
    node.commit(1, {make_unit("db"), make_unit("web", "1", "db")});
    node.wait(11s);
    node.kill_agent_after(moment);
    node.commit(2, {make_unit("db", "bad"), make_unit("new"), make_unit("web", "1", "db")});
    node.wait(20s);
    was_killed = node.kills != 0;
    node.lives_for.reset();
    INFO("killed before command " << moment << ": " << node.history());
    CHECK(node.running() == "db 1, web 1");
    CHECK(node.rollbacks() == 1);
    CHECK(node.disk.applied == id_of(1));
    CHECK(node.disk.healthy == id_of(1));
    CHECK(node.sync_state() == "rejected");
    unsigned starts = node.starts["db bad"];
    CHECK((starts == 1 || starts == 2));  // the second where the first one's end was told to nobody
    // All of it is there after one more kill, and the next commits are judged by it.
    node.start_agent();
    node.commit(3, {make_unit("db", "bad"), make_unit("web", "1", "db")});
    CHECK(node.running() == "db 1, web 1");
    CHECK(node.starts["db bad"] == starts);
    node.commit(4, {make_unit("db", "2"), make_unit("web", "1", "db")});
    CHECK(node.running() == "db 2, web 1");
    ++tried;
  }
  CHECK(tried > 30);
}

TEST_CASE("a trial goes on with the next agent") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.commit(2, {make_unit("web", "looping")});
  node.wait(1min);
  CHECK(node.disk.trial);
  node.start_agent();
  node.settle();
  CHECK(node.disk.trial);
  CHECK(node.rollbacks() == 0);
  node.wait(6min);
  CHECK(node.running() == "web 1");
  CHECK(node.rollbacks() == 1);
}

// --- the prune guard ---

TEST_CASE("the guard counts: all of two or more, more than half of five or more") {
  CHECK_FALSE(prune_guard(1, {"a"}));
  CHECK(prune_guard(2, {"a", "b"}) == "it would remove all 2 services of this node: a, b");
  CHECK_FALSE(prune_guard(2, {"a"}));
  CHECK_FALSE(prune_guard(4, {"a", "b", "c"}));
  CHECK_FALSE(prune_guard(5, {"a", "b"}));
  CHECK(prune_guard(5, {"a", "b", "c"}) == "it would remove 3 of 5 services of this node: a, b, c");
  CHECK_FALSE(prune_guard(6, {"a", "b", "c"}));
  CHECK(prune_guard(9, {"a", "b", "c", "d", "e", "f", "g"}) ==
        "it would remove 7 of 9 services of this node: a, b, c, d, e and 2 more");
  CHECK_FALSE(prune_guard(0, {}));
}

TEST_CASE("a commit that removes most of a node is held until it is approved") {
  Node node = node_with_guard();
  node.commit(1, units_called("abcde"));
  node.wait(11s);
  node.commit(2, units_called("ab"));
  CHECK(node.running() == "a 1, b 1, c 1, d 1, e 1");
  CHECK(node.sync_state() == "held");
  NodeView view = node.reconciler->node();
  CHECK(view.hold == Hold{"prune", id_of(2), "it would remove 3 of 5 services of this node: c, d, e"});
  CHECK(view.desired_commit == id_of(1));
  CHECK(node.sync() == "held: it would remove 3 of 5 services of this node: c, d, e");
  CHECK(node.approve(7) == "cannot approve 000000000000: held is 000000000000");
  node.start_agent();  // it is held by the next agent, too
  node.settle();
  CHECK(node.sync_state() == "held");
  CHECK(node.running() == "a 1, b 1, c 1, d 1, e 1");
  CHECK(node.approve() == "done");
  CHECK(node.running() == "a 1, b 1");
  CHECK(node.sync_state() == "synced");
  CHECK_FALSE(node.reconciler->node().hold);
  CHECK(node.approve() == "nothing is held");
}

TEST_CASE("a held commit gives way to a later one, which is judged by itself") {
  Node node = node_with_guard();
  node.commit(1, units_called("abcde"));
  node.commit(2, {});
  CHECK(node.sync_state() == "held");
  node.commit(3, units_called("abcdf"));
  CHECK(node.running() == "a 1, b 1, c 1, d 1, f 1");
  CHECK(node.sync_state() == "synced");
  node.commit(4, {});
  CHECK(node.sync_state() == "held");
  node.move(3);
  CHECK(node.sync_state() == "synced");
  CHECK(node.running() == "a 1, b 1, c 1, d 1, f 1");
}

TEST_CASE("what ran is taken over in the end although it cannot be read for a while and the tip is held") {
  Node node = node_with_guard();
  node.commit(1, units_called("abcde"));
  node.commit(2, {});
  node.unreadable.insert(id_of(1));
  node.start_agent();
  node.settle();
  for (int i = 0; i < 3; ++i)
    node.wait(31s);
  node.unreadable.clear();
  node.wait(31s);
  auto taken_over = node.reconciler->service("a");
  REQUIRE(taken_over.has_value());
  CHECK(taken_over->state == ServiceState::running);
  CHECK(node.sync_state() == "held");
}

TEST_CASE(
    "what ran is taken over in the end although a rollback was tried, and undone, before it could be read") {
  Node node = node_with_guard();
  node.commit(1, units_called("abcde"));
  node.wait(11s);
  node.commit(2, units_called("abcd"));
  node.broken_commit(3);
  node.unreadable = {id_of(1), id_of(2)};
  node.start_agent();
  node.settle();
  CHECK(node.rollback(1) == "cannot roll back: cannot read commit 000000000000: missing object");
  node.wait(31s);
  node.wait(31s);
  node.unreadable = {id_of(1)};
  node.wait(31s);
  auto taken_over = node.reconciler->service("a");
  REQUIRE(taken_over.has_value());
  CHECK(taken_over->state == ServiceState::running);
}

TEST_CASE("an approval survives kill -9 of the agent before any command") {
  bool was_killed = true;
  for (unsigned moment = 0; was_killed; ++moment) {
    Node node = node_with_guard();
    node.commit(1, units_called("abcde"));
    node.wait(11s);
    node.commit(2, units_called("a"));
    node.kill_agent_after(moment);
    std::string answered = node.approve();
    was_killed = node.kills != 0;
    node.lives_for.reset();
    INFO("killed before command " << moment);
    bool is_applied = node.running() == "a 1" && node.sync_state() == "synced";
    bool is_forgotten = node.running() == "a 1, b 1, c 1, d 1, e 1" && node.sync_state() == "held";
    CHECK((is_applied || (is_forgotten && answered != "done")));
  }
}

TEST_CASE("rollback, sync back, switch and automatic rollback say what they remove, and go ahead") {
  Node node({.boot_id = "boot", .seed = 7, .auto_rollback = true, .prune_guard = true});
  node.commit(1, units_called("ab"));
  node.wait(11s);
  node.commit(2, units_called("abcdef"));
  node.wait(11s);
  CHECK(node.rollback(1) == "done");
  CHECK(node.running() == "a 1, b 1");
  CHECK(node.has_told("applying: rollback: removes c, d, e, f"));
  CHECK(node.sync() == "done");
  node.branch = "other";
  node.commits[id_of(3)] = {};
  node.tip = id_of(3);
  node.events.push_back(TipObserved{"other", node.tip, ""});
  node.happens(BranchSwitched{"other", false, std::nullopt});
  CHECK(node.running() == "");
  CHECK(node.has_told("applying: switch: removes a, b, c, d, e and 1 more"));
  node.wait(11s);
  node.commit(4, {make_unit("x"), make_unit("y"), make_unit("z", "bad")});
  CHECK(node.running() == "");
  CHECK(node.has_told("applying: auto-rollback: removes x, y, z"));
}

// --- the causes that the history tells ---

TEST_CASE("a tip that is refused while a rollback is asked for was to come by a commit") {
  Node node({.boot_id = "boot", .seed = 7});
  node.commit(1, {make_unit("web")});
  node.commit(2, {make_unit("web", "2")});
  node.broken.insert(id_of(3));
  node.events.push_back(TipObserved{"main", id_of(3), ""});
  node.step();  // it is being loaded
  node.events.insert(
      node.events.begin(),
      RollbackRequested{.request = RequestId{9}, .commit = id_of(1), .by = "uid 0", .reason = ""});
  node.settle();
  CHECK(node.history() ==
        "1 commit superseded, 2 commit superseded, 3 commit rejected, 1 rollback progressing");
}

TEST_CASE("what is asked of an agent that is still starting is why the next commit is applied") {
  Node node({.boot_id = "boot", .seed = 7});
  node.commit(1, {make_unit("web")});
  node.commits[id_of(2)] = {{"web", make_unit("web", "2")}};
  node.tip = id_of(2);
  node.start_agent();
  node.step();  // what was applied is being loaded
  node.events.insert(node.events.begin(),
                     SyncRequested{.request = RequestId{9}, .waits = true, .by = "uid 0"});
  node.settle();
  CHECK(node.history() == "1 commit superseded, 2 sync progressing");
}

TEST_CASE("the tip of another branch comes by the switch to it also when it was approved by name") {
  Node node = node_with_guard();
  node.commit(1, {make_unit("web")});
  node.commits[id_of(2)] = {{"web", make_unit("web", "2")}};
  node.branch = "other";
  node.tip = id_of(2);
  node.events.push_back(BranchSwitched{"other", false, std::nullopt});
  node.events.push_back(TipObserved{"other", node.tip, ""});
  node.step();  // it is being loaded
  node.events.insert(node.events.begin(),
                     ApproveRequested{.request = RequestId{9}, .commit = id_of(2), .by = "uid 0"});
  node.settle();
  CHECK(node.history() == "1 commit superseded, 2 switch progressing");
}

// --- limits ---

TEST_CASE("limits are those of the commit that is come back to, whenever the agent was killed over others") {
  for (auto [before, after] : {std::pair(0, 5), std::pair(5, 0), std::pair(5, 6)}) {
    bool was_killed = true;
    for (unsigned moment = 0; was_killed; ++moment) {
      Node node({.boot_id = "boot", .seed = 7});
      node.commit(1, {make_unit("web", "1", "", before)});
      node.commits[id_of(2)] = {{"web", make_unit("web", "1", "", after)}};
      node.kill_agent_after(moment);
      node.happens(TipObserved{"main", id_of(2), ""});  // and while no agent looks, the branch goes back to 1
      was_killed = node.kills != 0;
      node.lives_for.reset();
      node.move(1);
      INFO("from " << before << " to " << after << ", killed before command " << moment);
      CHECK(node.alive.at("web").limits == *node.commits[id_of(1)].at("web")->resources);
    }
  }
}

// --- the history ---

TEST_CASE("a thousand applied commits are remembered, however many were rejected in between") {
  Node node(Reconciler::Options{.boot_id = "boot", .seed = 7});
  for (unsigned number = 1; number <= 1100; ++number) {
    node.commit(number, {make_unit("web", std::to_string(number))});
    node.broken.insert(id_of(2000 + number));
    node.move(2000 + number);
  }
  std::size_t applied = 0;
  for (const HistoryEntry& entry : node.disk.history)
    applied += entry.outcome != Outcome::rejected ? 1 : 0;
  CHECK(applied == history_limit);
  CHECK(node.disk.history.size() == history_limit + rejected_history_limit);
}

// --- another policy ---

TEST_CASE("what the prune guard holds goes ahead when the guard is taken away") {
  Node node = node_with_guard();
  node.commit(1, {make_unit("a"), make_unit("b"), make_unit("c")});
  node.commit(2, {});
  CHECK(node.sync_state() == "held");
  node.happens(PolicyChanged{.min_healthy_time = 10s, .rollout_deadline = 5min, .prune_guard = true});
  CHECK(node.sync_state() == "held");
  node.happens(PolicyChanged{.min_healthy_time = 10s, .rollout_deadline = 5min});
  CHECK(node.sync_state() == "synced");
  CHECK(node.running().empty());
}

TEST_CASE("automatic rollback is switched on and off for what comes then") {
  Node node({.boot_id = "boot", .seed = 7});
  PolicyChanged on{.min_healthy_time = 10s, .rollout_deadline = 5min, .auto_rollback = true};
  PolicyChanged off{.min_healthy_time = 10s, .rollout_deadline = 5min};
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.commit(2, {make_unit("web", "bad")});
  node.happens(on);
  node.wait(1h);
  CHECK(node.sync_state() == "degraded");  // it was not on trial
  CHECK(node.rollbacks() == 0);
  node.commit(3, {make_unit("web", "3")});
  node.wait(11s);
  node.commit(4, {make_unit("web", "bad 4")});
  CHECK(node.rollbacks() == 1);
  CHECK(node.running() == "web 3");
  node.happens(off);
  CHECK(node.running() == "web 3");
  node.commit(5, {make_unit("web", "bad 5")});
  node.wait(1h);
  CHECK(node.rollbacks() == 1);
  CHECK(node.sync_state() == "degraded");
}

TEST_CASE("a trial that is under way ends with auto_rollback, for the next agent too") {
  Node node = node_that_rolls_back();
  node.commit(1, {make_unit("web")});
  node.wait(11s);
  node.commit(2, {make_unit("web", "slow")});
  CHECK(node.reconciler->durable().trial);
  node.happens(PolicyChanged{.min_healthy_time = 10s, .rollout_deadline = 5min});
  CHECK_FALSE(node.reconciler->durable().trial);
}
