// Stories of a node whose commits must be signed: what is asked to be judged, and what a verdict changes. Git is
// played by the test; nothing runs.
#include <algorithm>
#include <set>

#include "reconcile/reconciler.h"
#include "testing/catch.h"

using namespace gitproc;
using namespace std::chrono_literals;

namespace {

ObjectId id_of(unsigned number) {
  ObjectId id;
  id.bytes[19] = static_cast<std::uint8_t>(number);
  return id;
}

CommitInfo info_of(const ObjectId& commit) {
  return {.id = commit, .tree = commit, .author = "A", .subject = "s", .at = {}};
}

VerifiedCommit verified_as(unsigned number, const std::string& branch = "main") {
  return {.branch = branch, .commit = id_of(number), .at = WallTime(1h), .from = id_of(1)};
}

// Answers each LoadCommit as the signatures say, and each export well.
class Node {
 public:
  explicit Node(DurableState durable = {}, bool verifies_signatures = true, bool has_remote = false)
      : verifies(verifies_signatures),
        reconciler(
            {.boot_id = "boot",
             .seed = 7,
             .verifies_signatures = verifies_signatures,
             .remote = has_remote ? std::optional(Reconciler::Remote{.poll_interval = 1h}) : std::nullopt},
            std::move(durable), {}) {}

  void tip(unsigned number, const std::string& branch = "main") {
    happens(TipObserved{branch, id_of(number), ""});
  }
  std::string rollback(unsigned number) {
    RequestId id{++requests};
    happens(RollbackRequested{
        .request = id, .commit = id_of(number), .by = "uid 0", .reason = "", .until = {}, .waits = true});
    return answers.contains(id) ? answers[id] : "(waiting)";
  }
  std::string sync(bool retries) {
    RequestId id{++requests};
    happens(SyncRequested{.request = id, .waits = true, .retries = retries, .by = "uid 0"});
    return answers.contains(id) ? answers[id] : "(waiting)";
  }

  void happens(Event event) {
    events.push_back(std::move(event));
    settle();
  }
  void settle() {
    for (int round = 0; round < 100 && (!events.empty() || reconciler.next_deadline() <= now.instant);
         ++round) {
      std::vector<Event> batch = std::exchange(events, {});
      for (const Command& command : reconciler.step(batch, now))
        std::visit([this](const auto& what) { carry_out(what); }, command);
    }
  }

  void wait(Duration span) {
    now.instant += span;
    now.wall += span;
    settle();
  }

  void carry_out(const LoadCommit& load) {
    asked.push_back(load);
    CommitInfo info = info_of(load.commit);
    bool is_refused = !load.was_applied && refused.contains({load.commit, load.branch});
    if (is_refused) {
      events.push_back(CommitRejected{info, {{.file = "", .message = "is not signed"}}, std::nullopt});
      return;
    }
    if (unreadable.contains(load.commit)) {
      events.push_back(CommitUnreadable{load.commit, "missing object"});
      return;
    }
    std::optional<VerifiedCommit> verified;
    if (verifies && !load.was_applied)
      verified =
          VerifiedCommit{.branch = load.branch, .commit = load.commit, .at = WallTime(1h), .from = id_of(1)};
    if (broken.contains(load.commit)) {
      events.push_back(CommitRejected{info, {{"a.service", 3, 1, Severity::error, "bad"}}, verified});
      return;
    }
    events.push_back(CommitLoaded{.commit = info, .changes = {}, .warnings = {}, .verified = verified});
  }
  void carry_out(const ExportTree& tree) {
    exported.push_back(tree.commit);
    events.push_back(TreeExported{tree.commit, ""});
  }
  void carry_out(const SetMarker& marker) {
    if (marker.marker == Marker::verified) verified_marker = marker.commit;
  }
  void carry_out(const Answer& answer) {
    answers[answer.request] = answer.error ? answer.error->message : "done";
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
  void carry_out(const auto&) {}

  std::string sync_state() { return std::string(to_string(reconciler.node().sync)); }
  std::optional<ObjectId> applied() { return reconciler.node().applied_commit; }
  VerifiedCommits known() { return reconciler.durable().verified; }

  bool verifies;  // what is asked of it is judged
  Reconciler reconciler;
  Now now{Instant(1h), WallTime(1000h)};
  std::vector<Event> events;
  std::set<std::pair<ObjectId, std::string>> refused;  // by commit, and as whose tip
  std::set<ObjectId> broken, unreadable;
  std::vector<LoadCommit> asked;
  std::vector<ObjectId> exported;
  std::vector<MoveBranch> moves;
  std::optional<ObjectId> verified_marker;
  std::map<RequestId, std::string> answers;
  std::uint64_t requests = 0;
};

}  // namespace

TEST_CASE("what is verified is remembered, for each branch, and shown by a ref") {
  Node node;
  node.tip(1);
  node.tip(2);
  CHECK(node.known() == VerifiedCommits{verified_as(2)});
  CHECK(node.verified_marker == id_of(2));
  CHECK(node.asked.back().branch == "main");
  CHECK(node.asked.back().verified == VerifiedCommits{verified_as(1)});
  node.happens(BranchSwitched{"testing", false, {}});
  node.tip(3, "testing");
  CHECK(node.known() == VerifiedCommits{verified_as(2), verified_as(3, "testing")});
}

TEST_CASE("what is refused is not applied, and what was found good is not forgotten") {
  Node node;
  node.tip(1);
  node.refused = {{id_of(2), "main"}};
  node.tip(2);
  CHECK(node.sync_state() == "rejected");
  CHECK(node.reconciler.node().error == "is not signed");
  CHECK(node.applied() == id_of(1));
  CHECK(node.exported == std::vector{id_of(1)});
  CHECK(node.known() == VerifiedCommits{verified_as(1)});
  CHECK(node.verified_marker == id_of(1));
  // Until it is asked for again, when its key is listed perhaps.
  CHECK(node.sync(false) == "rejected: is not signed");
  node.refused.clear();
  CHECK(node.sync(true) == "done");
  CHECK(node.applied() == id_of(2));
}

TEST_CASE("a signed commit with a bad unit is verified, though rejected") {
  Node node;
  node.tip(1);
  node.broken = {id_of(2)};
  node.tip(2);
  CHECK(node.sync_state() == "rejected");
  CHECK(node.known() == VerifiedCommits{verified_as(2)});
  CHECK(node.verified_marker == id_of(2));
}

TEST_CASE("a rollback to what is not signed is none") {
  Node node;
  node.tip(1);
  node.tip(2);
  node.refused = {{id_of(7), ""}};
  CHECK(node.rollback(7) == "cannot roll back: is not signed");
  CHECK_FALSE(node.reconciler.node().pin);
  CHECK(node.applied() == id_of(2));
  CHECK(node.sync_state() == "synced");
}

TEST_CASE("a commit that is too old as a tip may be rolled back to, and is too old again afterwards") {
  Node node;
  node.tip(1);
  node.tip(2);
  node.refused = {{id_of(1), "main"}};
  node.tip(1);
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
  node.tip(2);
  node.refused = {{id_of(1), "main"}};
  node.tip(1);
  CHECK(node.sync_state() == "rejected");
  node.happens(BranchSwitched{"testing", false, {}});
  node.tip(1, "testing");
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
    node.tip(1);
    REQUIRE(node.asked.size() == 1);
    CHECK(node.asked.front().was_applied);
    CHECK(node.sync_state() == "synced");
  }
  SECTION("it was not, and is not signed") {
    Node node(durable);
    node.refused = {{id_of(1), "main"}};
    node.tip(1);
    REQUIRE(node.asked.size() == 2);
    CHECK_FALSE(node.asked.back().was_applied);
    CHECK(node.sync_state() == "rejected");
    CHECK(node.applied() == id_of(1));
  }
  SECTION("it was not, but is signed: nothing is applied twice") {
    Node node(durable);
    node.tip(1);
    CHECK(node.asked.size() == 2);
    CHECK(node.sync_state() == "synced");
    CHECK(node.exported.size() == 1);
    CHECK(node.known() == VerifiedCommits{verified_as(1)});
  }
}

TEST_CASE("a commit that is there already can be rolled back to although it cannot be judged as the tip") {
  Node node;
  node.tip(1);
  node.happens(BranchSwitched{"testing", false, {}});
  node.unreadable = {id_of(1)};
  node.tip(1, "testing");
  CHECK(node.sync_state() == "error");
  CHECK(node.rollback(1) == "done");
  CHECK(node.sync_state() == "synced");
}

TEST_CASE("what was applied but could not be read is loaded although it is too old as the tip") {
  DurableState durable;
  durable.applied = id_of(1);
  Node node(durable);
  node.unreadable = {id_of(1)};
  node.tip(1);
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
  CHECK(node.reconciler.durable().history.size() == 1);
}

TEST_CASE("without a policy nothing is judged twice") {
  DurableState durable;
  durable.applied = id_of(1);
  Node node(durable, false);
  node.tip(1);
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
  Node again(node.reconciler.durable(), true, true);
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
  node.tip(1);
  CHECK(node.known().empty());
  node.refused = {{id_of(2), "main"}};
  node.verifies = true;
  node.happens(strict);
  CHECK(node.known() == VerifiedCommits{verified_as(1)});
  CHECK(node.sync_state() == "synced");
  CHECK(node.exported == std::vector{id_of(1)});
  node.tip(2);
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
  node.tip(1);
  node.refused = {{id_of(2), "main"}};
  node.tip(2);
  CHECK(node.sync_state() == "rejected");
  node.refused.clear();
  node.happens(PolicyChanged{.min_healthy_time = 10s, .rollout_deadline = 5min, .judges_anew = true});
  CHECK(node.applied() == id_of(2));
  CHECK(node.sync_state() == "synced");
}
