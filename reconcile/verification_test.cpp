// Stories of a node whose commits must be signed: what is asked to be judged, and what a verdict changes. Git is
// played by the test; nothing runs.
#include <algorithm>
#include <set>

#include "reconcile/reconciler.h"
#include "reconcile/world_for_tests.h"
#include "testing/catch.h"

using namespace gitproc;
using namespace std::chrono_literals;

namespace {

VerifiedCommit verified_as(unsigned number, const std::string& branch = "main") {
  return {.branch = branch, .commit = id_of(number), .at = WallTime(1h), .from = id_of(1)};
}

// Answers each LoadCommit as the signatures say, and each export well.
class Node : public WorldForTests {
 public:
  explicit Node(DurableState durable = {}, bool verifies_signatures = true, bool has_remote = false)
      : verifies(verifies_signatures) {
    Reconciler::Options options{.boot_id = "boot", .seed = 7, .verifies_signatures = verifies_signatures};
    if (has_remote) options.remote = Reconciler::Remote{.poll_interval = 1h};
    reconciler =
        std::make_unique<Reconciler>(std::move(options), std::move(durable), std::vector<AdoptedService>{});
  }

  void observe(unsigned number, const std::string& of = "main") {
    happens(TipObserved{of, id_of(number), ""});
  }

  void step() override {
    std::vector<Event> batch = std::exchange(events, {});
    for (const Command& command : reconciler->step(batch, now))
      std::visit([this](const auto& what) { carry_out(what); }, command);
  }

  using WorldForTests::carry_out;
  void carry_out(const LoadCommit& load) {
    asked.push_back(load);
    bool is_refused = !load.was_applied && refused.contains({load.commit, load.branch});
    if (!is_refused) return WorldForTests::carry_out(load);
    events.push_back(
        CommitRejected{info_of(load.commit), {{.file = "", .message = "is not signed"}}, std::nullopt});
  }
  std::optional<VerifiedCommit> verified_by(const LoadCommit& load) const override {
    if (!verifies || load.was_applied) return std::nullopt;
    return VerifiedCommit{.branch = load.branch, .commit = load.commit, .at = WallTime(1h), .from = id_of(1)};
  }
  void carry_out(const ExportTree& tree) {
    exported.push_back(tree.commit);
    WorldForTests::carry_out(tree);
  }
  void carry_out(const MoveBranch& move) { moves.push_back(move); }
  // Each tip is the child of the one before.
  void carry_out(const CompareTips& compare) {
    events.push_back(TipsCompared{.question = compare.question,
                                  .error = "",
                                  .relation = TipsCompared::Relation::behind,
                                  .is_local_in_base = true,
                                  .is_remote_after_base = true,
                                  .is_remote_after_applied = true});
  }

  std::optional<ObjectId> verified_marker() {
    auto found = markers.find(Marker::verified);
    return found != markers.end() ? std::optional(found->second) : std::nullopt;
  }
  std::optional<ObjectId> applied() { return reconciler->node().applied_commit; }
  VerifiedCommits known() { return reconciler->durable().verified; }

  bool verifies;                                       // what is asked of it is judged
  std::set<std::pair<ObjectId, std::string>> refused;  // by commit, and as whose tip
  std::vector<LoadCommit> asked;
  std::vector<ObjectId> exported;
  std::vector<MoveBranch> moves;
};

}  // namespace

TEST_CASE("what is verified is remembered, for each branch, and shown by a ref") {
  Node node;
  node.observe(1);
  node.observe(2);
  CHECK(node.known() == VerifiedCommits{verified_as(2)});
  CHECK(node.verified_marker() == id_of(2));
  CHECK(node.asked.back().branch == "main");
  CHECK(node.asked.back().verified == VerifiedCommits{verified_as(1)});
  node.happens(BranchSwitched{"testing", false, {}});
  node.observe(3, "testing");
  CHECK(node.known() == VerifiedCommits{verified_as(2), verified_as(3, "testing")});
}

TEST_CASE("what is refused is not applied, and what was found good is not forgotten") {
  Node node;
  node.observe(1);
  node.refused = {{id_of(2), "main"}};
  node.observe(2);
  CHECK(node.sync_state() == "rejected");
  CHECK(node.reconciler->node().error == "is not signed");
  CHECK(node.applied() == id_of(1));
  CHECK(node.exported == std::vector{id_of(1)});
  CHECK(node.known() == VerifiedCommits{verified_as(1)});
  CHECK(node.verified_marker() == id_of(1));
  // Until it is asked for again, when its key is listed perhaps.
  CHECK(node.sync(false) == "rejected: is not signed");
  node.refused.clear();
  CHECK(node.sync(true) == "done");
  CHECK(node.applied() == id_of(2));
}

TEST_CASE("a signed commit with a bad unit is verified, though rejected") {
  Node node;
  node.observe(1);
  node.broken = {id_of(2)};
  node.observe(2);
  CHECK(node.sync_state() == "rejected");
  CHECK(node.known() == VerifiedCommits{verified_as(2)});
  CHECK(node.verified_marker() == id_of(2));
}

TEST_CASE("a rollback to what is not signed is none") {
  Node node;
  node.observe(1);
  node.observe(2);
  node.refused = {{id_of(7), ""}};
  CHECK(node.rollback(7) == "cannot roll back: is not signed");
  CHECK_FALSE(node.reconciler->node().pin);
  CHECK(node.applied() == id_of(2));
  CHECK(node.sync_state() == "synced");
}

TEST_CASE("a commit that is too old as a tip may be rolled back to, and is too old again afterwards") {
  Node node;
  node.observe(1);
  node.observe(2);
  node.refused = {{id_of(1), "main"}};
  node.observe(1);
  CHECK(node.sync_state() == "rejected");
  CHECK(node.applied() == id_of(2));
  CHECK(node.rollback(1) == "done");
  CHECK(node.asked.back().branch == "");
  CHECK(node.applied() == id_of(1));
  CHECK(node.sync(false) == "rejected: is not signed");
  CHECK(node.asked.back().branch == "main");
}

TEST_CASE("what is too old as the tip of one branch is judged anew as that of another") {
  Node node;
  node.observe(2);
  node.refused = {{id_of(1), "main"}};
  node.observe(1);
  CHECK(node.sync_state() == "rejected");
  node.happens(BranchSwitched{"testing", false, {}});
  node.observe(1, "testing");
  CHECK(node.sync_state() == "synced");
  CHECK(node.applied() == id_of(1));
}

TEST_CASE(
    "what was applied is loaded without a judgement at the start, and judged before it passes for the tip") {
  DurableState durable;
  durable.applied = id_of(1);
  SECTION("it was verified then") {
    durable.verified = {verified_as(1)};
    Node node(durable);
    node.observe(1);
    REQUIRE(node.asked.size() == 1);
    CHECK(node.asked.front().was_applied);
    CHECK(node.sync_state() == "synced");
  }
  SECTION("it was not, and is not signed") {
    Node node(durable);
    node.refused = {{id_of(1), "main"}};
    node.observe(1);
    REQUIRE(node.asked.size() == 2);
    CHECK_FALSE(node.asked.back().was_applied);
    CHECK(node.sync_state() == "rejected");
    CHECK(node.applied() == id_of(1));
  }
  SECTION("it was not, but is signed: nothing is applied twice") {
    Node node(durable);
    node.observe(1);
    CHECK(node.asked.size() == 2);
    CHECK(node.sync_state() == "synced");
    CHECK(node.exported.size() == 1);
    CHECK(node.known() == VerifiedCommits{verified_as(1)});
  }
}

TEST_CASE("a commit that is there already can be rolled back to although it cannot be judged as the tip") {
  Node node;
  node.observe(1);
  node.happens(BranchSwitched{"testing", false, {}});
  node.unreadable = {id_of(1)};
  node.observe(1, "testing");
  CHECK(node.sync_state() == "error");
  CHECK(node.rollback(1) == "done");
  CHECK(node.sync_state() == "synced");
}

TEST_CASE("what was applied but could not be read is loaded although it is too old as the tip") {
  DurableState durable;
  durable.applied = id_of(1);
  Node node(durable);
  node.unreadable = {id_of(1)};
  node.observe(1);
  CHECK(node.sync_state() == "error");
  node.unreadable.clear();
  node.refused = {{id_of(1), "main"}};
  node.wait(31s);
  CHECK(node.sync_state() == "rejected");
  CHECK(node.exported.empty());
  node.wait(31s);
  CHECK(node.exported == std::vector{id_of(1)});
  CHECK(node.sync_state() == "rejected");
  std::size_t loads = node.asked.size();
  node.wait(31s);
  CHECK(node.asked.size() == loads);
  CHECK(node.reconciler->durable().history.size() == 1);
}

TEST_CASE("without a policy nothing is judged twice") {
  DurableState durable;
  durable.applied = id_of(1);
  Node node(durable, false);
  node.observe(1);
  CHECK(node.asked.size() == 1);
  CHECK(node.sync_state() == "synced");
}

TEST_CASE("a clone keeps what is true of commits and none of what was decided for the other machine") {
  DurableState state;
  state.applied = id_of(1);
  state.verified = {verified_as(1)};
  state.pin = Pin{.commit = id_of(1), .by = "uid 0", .at = {}, .reason = "", .until = {}};
  state.holds["web"] = OperatorHold{"uid 0", {}};
  state.machine = "one";
  CHECK_FALSE(left_by_clone(state, "one"));
  CHECK_FALSE(left_by_clone(state, ""));
  DurableState expected;
  expected.applied = id_of(1);
  expected.verified = {verified_as(1)};
  expected.machine = "two";
  CHECK(left_by_clone(state, "two") == expected);
  state.machine = "";
  CHECK_FALSE(left_by_clone(state, "two"));
}

TEST_CASE("the local branch is moved along to what met the policy, and to nothing else") {
  Node node({}, true, /*has_remote=*/true);
  node.happens(TipObserved{"main", std::nullopt, "", id_of(1)});
  MoveBranch made{"main", std::nullopt, id_of(1)};
  CHECK(node.moves == std::vector{made});
  node.happens(TipObserved{"main", id_of(1), "", id_of(1)});

  node.refused = {{id_of(2), "main"}};
  node.happens(TipObserved{"main", id_of(1), "", id_of(2)});
  CHECK(node.sync_state() == "rejected");
  CHECK(node.moves == std::vector{made});
  // Neither is it later, nor by a restart.
  node.happens(Fetched{});
  Node again(node.reconciler->durable(), true, true);
  again.refused = node.refused;
  again.happens(TipObserved{"main", id_of(1), "", id_of(2)});
  CHECK(again.sync_state() == "rejected");
  CHECK(again.moves.empty());

  // What mends it is signed, and takes both along. A unit that is wrong is no matter of trust.
  node.broken = {id_of(3)};
  node.happens(TipObserved{"main", id_of(1), "", id_of(3)});
  CHECK(node.sync_state() == "rejected");
  CHECK(node.moves == std::vector{made, {"main", id_of(1), id_of(3)}});
}

TEST_CASE("while another commit is pinned the local branch waits for the judgement") {
  Node node({}, true, /*has_remote=*/true);
  node.happens(TipObserved{"main", std::nullopt, "", id_of(1)});
  node.happens(TipObserved{"main", id_of(1), "", id_of(1)});
  node.moves.clear();
  node.happens(Fetched{});
  CHECK(node.rollback(1) == "done");
  node.happens(TipObserved{"main", id_of(1), "", id_of(2)});
  CHECK(node.moves.empty());
  node.happens(SyncRequested{.request = RequestId{9}, .by = "uid 0"});
  node.happens(Fetched{});
  CHECK(node.applied() == id_of(2));
  CHECK(node.moves == std::vector{MoveBranch{"main", id_of(1), id_of(2)}});
}

TEST_CASE("another policy judges anew what the old one refused, and what nobody had judged") {
  PolicyChanged strict{
      .min_healthy_time = 10s, .rollout_deadline = 5min, .verifies_signatures = true, .judges_anew = true};
  Node node({}, /*verifies=*/false);
  node.observe(1);
  CHECK(node.known().empty());
  node.refused = {{id_of(2), "main"}};
  node.verifies = true;
  node.happens(strict);
  CHECK(node.known() == VerifiedCommits{verified_as(1)});
  CHECK(node.sync_state() == "synced");
  CHECK(node.exported == std::vector{id_of(1)});
  node.observe(2);
  CHECK(node.sync_state() == "rejected");
  // Something else has changed: that is no reason to ask again.
  strict.judges_anew = false;
  std::size_t asked = node.asked.size();
  node.happens(strict);
  CHECK(node.asked.size() == asked);
  CHECK(node.sync_state() == "rejected");
  // Its key is listed now.
  node.refused.clear();
  strict.judges_anew = true;
  node.happens(strict);
  CHECK(node.applied() == id_of(2));
  CHECK(node.sync_state() == "synced");
}

TEST_CASE("a policy that is given up lets go what it refused") {
  Node node;
  node.observe(1);
  node.refused = {{id_of(2), "main"}};
  node.observe(2);
  CHECK(node.sync_state() == "rejected");
  node.refused.clear();
  node.happens(PolicyChanged{.min_healthy_time = 10s, .rollout_deadline = 5min, .judges_anew = true});
  CHECK(node.applied() == id_of(2));
  CHECK(node.sync_state() == "synced");
}
