// Stories of a node with a remote: fetches, sync, and holds. What services do meanwhile is told elsewhere; here no
// commit holds any.
#include "reconcile/reconciler.h"

#include <algorithm>

#include "testing/catch.h"

using namespace gitproc;
using namespace std::chrono_literals;

namespace {

ObjectId id(char digit) { return *ObjectId::parse(std::string(40, digit)); }

// Commits are loaded and exported at once; fetches, comparisons and answers wait for the story.
class Node {
 public:
  explicit Node(DurableState durable = {})
      : reconciler({.boot_id = "boot", .seed = 7, .remote = Reconciler::Remote{.poll_interval = 60s}},
                   std::move(durable), {}) {
    happens({});
  }

  void happens(std::vector<Event> events) {
    while (true) {
      Commands commands = reconciler.step(events, {now, WallTime(now.time_since_epoch())});
      events.clear();
      for (const Command& command : commands) {
        if (const auto* load = std::get_if<LoadCommit>(&command))
          events.push_back(CommitLoaded{.commit = {.id = load->commit}, .changes = {}, .warnings = {}});
        if (const auto* tree = std::get_if<ExportTree>(&command))
          events.push_back(TreeExported{tree->commit, ""});
        if (std::holds_alternative<Fetch>(command)) ++fetches;
        if (const auto* compare = std::get_if<CompareTips>(&command)) question = compare->question;
        if (const auto* move = std::get_if<MoveBranch>(&command)) moved = *move;
        if (const auto* answered = std::get_if<Answer>(&command)) answers.push_back(*answered);
      }
      if (events.empty()) return;
    }
  }
  void passes(Duration span) {
    now += span;
    happens({});
  }
  // The fetch that is under way ends well.
  void fetched(std::optional<ObjectId> local, const ObjectId& remote) {
    happens({TipObserved{"main", local, "", remote}, Fetched{}});
  }

  Instant now{1h};
  Reconciler reconciler;
  unsigned fetches = 0;
  std::optional<TipQuestion> question;
  std::optional<MoveBranch> moved;
  std::vector<Answer> answers;
};

TipsCompared rewritten(const TipQuestion& question) {
  return {.question = question,
          .error = "",
          .relation = TipsCompared::Relation::diverged,
          .is_local_in_base = true,
          .is_remote_after_base = false,
          .is_remote_after_applied = false};
}

}  // namespace

TEST_CASE("a node that knows nothing fetches at once, and runs what came") {
  Node node;
  CHECK(node.fetches == 1);
  CHECK(node.reconciler.node().remote->is_fetching);
  node.fetched(std::nullopt, id('a'));
  CHECK(node.moved == MoveBranch{"main", std::nullopt, id('a')});
  CHECK(node.reconciler.node().applied_commit == id('a'));
  CHECK(node.reconciler.durable().remote_base == RemoteBase{"main", id('a')});
  node.passes(120s);
  CHECK(node.fetches == 2);
}

TEST_CASE("a sync fetches first, where that fails the pin stays and the reason is told") {
  DurableState durable;
  durable.applied = id('a');
  durable.pin = Pin{id('a'), "uid 0", {}, "", std::nullopt};
  Node node(durable);
  node.happens({TipObserved{"main", id('a'), "", id('a')}});
  node.happens({SyncRequested{.request = RequestId{1}, .by = "uid 0"}});
  CHECK(node.fetches == 1);
  // It came when a fetch was under way already, which may have looked too early.
  node.happens({SyncRequested{.request = RequestId{2}, .by = "uid 0"}});
  CHECK(node.fetches == 1);
  node.happens({Fetched{Fetched::Fault::failed, "cannot fetch: no route"}});
  REQUIRE(node.answers.size() == 1);
  CHECK(node.answers[0].request == RequestId{1});
  CHECK(node.answers[0].error == Error{"cannot fetch: no route"});
  CHECK(node.reconciler.durable().pin);
  CHECK(node.fetches == 2);
  CHECK(node.reconciler.node().remote->error == "cannot fetch: no route");
  node.fetched(id('a'), id('a'));
  CHECK_FALSE(node.reconciler.durable().pin);
  REQUIRE(node.answers.size() == 2);
  CHECK(node.answers[1].error == std::nullopt);
}

TEST_CASE("a rewritten branch is held, through a restart too, until exactly it is accepted") {
  Node first;
  first.fetched(std::nullopt, id('a'));
  first.happens({TipObserved{"main", id('a'), "", id('b')}});
  REQUIRE(first.question);
  CHECK(first.question == TipQuestion{"main", id('a'), id('b'), id('a'), id('a')});
  CHECK(first.reconciler.node().sync == SyncState::progressing);
  first.happens({rewritten(*first.question)});
  CHECK(first.reconciler.node().sync == SyncState::held);
  CHECK(first.reconciler.node().branch_commit == id('a'));

  Node node(first.reconciler.durable());
  node.happens({TipObserved{"main", id('a'), "", id('b')}});
  node.happens({rewritten(*node.question)});
  CHECK(node.reconciler.node().hold->commit == id('b'));
  CHECK(node.reconciler.node().applied_commit == id('a'));
  CHECK(node.reconciler.node().desired_commit == id('a'));
  node.happens({AcceptRequested{RequestId{1}, id('c'), "uid 0", true}});
  REQUIRE(node.answers.size() == 1);
  CHECK(node.answers[0].error);
  node.happens({AcceptRequested{RequestId{2}, id('b'), "uid 0", true}});
  CHECK(node.moved == MoveBranch{"main", id('a'), id('b')});
  CHECK(node.reconciler.node().applied_commit == id('b'));
  REQUIRE(node.answers.size() == 2);
  CHECK(node.answers[1].error == std::nullopt);
}

TEST_CASE("what was compared is not compared again by every fetch") {
  Node node;
  node.fetched(std::nullopt, id('a'));
  // Somebody has the branch checked out: it stays behind.
  auto behind = [](const TipQuestion& question) {
    return TipsCompared{.question = question,
                        .error = "",
                        .relation = TipsCompared::Relation::behind,
                        .is_local_in_base = true,
                        .is_remote_after_base = true,
                        .is_remote_after_applied = true};
  };
  auto finds_the_same = [&] {
    node.question.reset();
    node.moved.reset();
    node.passes(120s);
    node.fetched(id('a'), id('b'));
  };
  finds_the_same();
  REQUIRE(node.question);
  TipsCompared unknown = behind(*node.question);
  unknown.error = "cannot read a commit";
  node.happens({unknown});
  finds_the_same();
  REQUIRE(node.question);  // there was no answer
  node.happens({behind(*node.question)});
  CHECK(node.reconciler.node().applied_commit == id('b'));

  // What was followed and applied since makes it another question.
  finds_the_same();
  CHECK(node.question == TipQuestion{"main", id('a'), id('b'), id('b'), id('b')});
  node.happens({behind(*node.question)});
  finds_the_same();
  CHECK_FALSE(node.question);
  CHECK(node.moved == MoveBranch{"main", id('a'), id('b')});  // it may be free now
  CHECK(node.reconciler.node().sync == SyncState::synced);
}

TEST_CASE("without a remote a bundle is followed from the first import on") {
  Reconciler reconciler({.boot_id = "boot", .seed = 7}, {}, {});
  Now now{Instant(1h), {}};
  std::vector<Event> observed = {TipObserved{"main", std::nullopt, "no such branch", id('a')}};
  (void)reconciler.step(observed, now);
  CHECK(reconciler.node().branch_commit == std::nullopt);
  std::vector<Event> imported = {BundleImported{}};
  (void)reconciler.step(imported, now);
  CHECK(reconciler.node().branch_commit == id('a'));
  CHECK(reconciler.durable().follows_imports);
  CHECK(reconciler.node().remote == std::nullopt);
}
