#include "reconcile/tip_choice.h"

#include "testing/catch.h"

using namespace gitproc;
using Relation = TipsCompared::Relation;

namespace {

ObjectId id(char digit) { return *ObjectId::parse(std::string(40, digit)); }
const ObjectId local = id('a'), remote = id('b'), base = id('c'), applied = id('d');

TipsCompared tips(Relation relation, bool is_local_in_base, bool is_remote_after_base,
                  bool is_remote_after_applied) {
  return {.question = {.branch = "main", .local = local, .remote = remote, .base = base, .applied = applied},
          .error = "",
          .relation = relation,
          .is_local_in_base = is_local_in_base,
          .is_remote_after_base = is_remote_after_base,
          .is_remote_after_applied = is_remote_after_applied};
}

TipChoice follows(const ObjectId& tip, std::optional<MoveBranch> move = std::nullopt) {
  return {.tip = tip, .hold = std::nullopt, .move = std::move(move)};
}

std::string hold_of(const TipChoice& choice) {
  CHECK_FALSE(choice.tip);
  CHECK_FALSE(choice.move);
  return choice.hold ? choice.hold->kind + " " + choice.hold->commit.hex().substr(0, 1) : "";
}

const MoveBranch along{"main", local, remote};

}  // namespace

TEST_CASE("a push is followed, and the local branch moved along") {
  CHECK(choose_tip(tips(Relation::behind, true, true, true), {}, false) == follows(remote, along));
  // The user's own commits, pushed meanwhile.
  CHECK(choose_tip(tips(Relation::behind, false, true, true), {}, false) == follows(remote, along));
}

TEST_CASE("local commits that are not pushed yet are followed") {
  CHECK(choose_tip(tips(Relation::ahead, false, true, true), {}, false) == follows(local));
}

TEST_CASE("a rewritten branch is held until exactly its tip is accepted") {
  TipsCompared rewritten = tips(Relation::diverged, true, false, false);
  CHECK(hold_of(choose_tip(rewritten, {}, false)) == "force-push b");
  CHECK(hold_of(choose_tip(rewritten, Acceptance{id('e'), local, "", {}}, false)) == "force-push b");
  CHECK(choose_tip(rewritten, Acceptance{remote, local, "", {}}, false) == follows(remote, along));
  CHECK(choose_tip(rewritten, {}, true) == follows(remote, along));
  // Rewound to what was there before.
  CHECK(hold_of(choose_tip(tips(Relation::ahead, true, false, false), {}, false)) == "force-push b");
}

TEST_CASE("a rewritten branch that descends from what is applied is no surprise") {
  CHECK(choose_tip(tips(Relation::diverged, true, false, true), {}, false) == follows(remote, along));
}

TEST_CASE("a branch that diverged is held, who accepts the remote's keeps the own commits") {
  TipsCompared diverged = tips(Relation::diverged, false, true, true);
  CHECK(hold_of(choose_tip(diverged, {}, false)) == "diverged b");
  CHECK(hold_of(choose_tip(diverged, {}, true)) == "diverged b");
  CHECK(choose_tip(diverged, Acceptance{remote, local, "", {}}, false) == follows(remote));
  // Another own commit after that is another matter.
  CHECK(hold_of(choose_tip(diverged, Acceptance{remote, id('e'), "", {}}, false)) == "diverged b");
}

TEST_CASE("the first fetch makes the branch, and needs no look at history") {
  TipQuestion question{.branch = "main", .local = std::nullopt, .remote = remote, .base = {}, .applied = {}};
  std::optional<TipsCompared> compared = compare_by_id(question);
  REQUIRE(compared);
  CHECK(choose_tip(*compared, {}, false) == follows(remote, MoveBranch{"main", std::nullopt, remote}));
  question.local = local;
  CHECK_FALSE(compare_by_id(question));
}
