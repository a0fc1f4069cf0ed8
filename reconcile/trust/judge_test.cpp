// Stories of what a branch brings in, and who signed it.
#include "reconcile/trust/judge.h"

#include <map>
#include <set>

#include "testing/catch.h"

using namespace gitproc;

namespace {

ObjectId id_of(unsigned number) {
  ObjectId id;
  id.bytes[19] = static_cast<std::uint8_t>(number);
  return id;
}

WallTime at(int hour) { return WallTime(std::chrono::hours(hour)); }

// Commits by number; what is not said to be unsigned is signed.
class World : public CommitGraph, public SignatureCheck {
 public:
  void commit(unsigned number, std::vector<unsigned> parents, int hour) {
    CommitNode made{.parents = {}, .at = at(hour)};
    for (unsigned parent : parents)
      made.parents.push_back(id_of(parent));
    nodes_[id_of(number)] = std::move(made);
  }
  // 1 <- 2 <- ... <- last
  void line(unsigned last) {
    for (unsigned number = 1; number <= last; ++number) {
      commit(number, number == 1 ? std::vector<unsigned>{} : std::vector{number - 1},
             static_cast<int>(number) * 10);
    }
  }
  void forget(unsigned number) { nodes_.erase(id_of(number)); }

  Result<CommitNode> node(const ObjectId& commit) override {
    auto found = nodes_.find(commit);
    if (found == nodes_.end()) return fail("no commit " + commit.abbreviated(), ErrorCode::not_found);
    return found->second;
  }
  Result<std::vector<Refusal>> check(std::span<const ObjectId> commits) override {
    std::vector<Refusal> refusals;
    for (const ObjectId& commit : commits) {
      checked.insert(commit.bytes[19]);
      refusals.emplace_back(unsigned_.contains(commit.bytes[19]) ? "is not signed" : "");
    }
    return refusals;
  }

  // "" when it is good, and then it is remembered; else the reasons.
  std::string asks(unsigned number, const std::string& branch = "main") {
    checked.clear();
    auto judgement = judge(policy, {id_of(number), branch, verified}, *this, *this);
    if (!judgement) return "fault: " + judgement.error().message;
    std::string text;
    for (const std::string& reason : judgement->reasons)
      text += (text.empty() ? "" : "; ") + reason;
    if (text.empty()) remember(verified, judgement->verified);
    return text;
  }

  SignaturePolicy policy{.allowed_signers = "/etc/signers", .keyring = "", .since = std::nullopt};
  VerifiedCommits verified;
  std::set<unsigned> unsigned_, checked;

 private:
  std::map<ObjectId, CommitNode> nodes_;
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

using Numbers = std::set<unsigned>;

}  // namespace

TEST_CASE("the first time the tip alone is judged") {
  World world;
  world.line(3);
  world.unsigned_ = {1, 2};
  CHECK(world.asks(3) == "");
  CHECK(world.checked == Numbers{3});
  CHECK(world.verified == VerifiedCommits{{"main", id_of(3), at(30), id_of(3)}});
}

TEST_CASE("later everything between the newest verified commit and the tip is judged") {
  World world;
  world.line(6);
  REQUIRE(world.asks(2) == "");
  CHECK(world.asks(5) == "");
  CHECK(world.checked == Numbers{3, 4, 5});
  CHECK(world.verified == VerifiedCommits{{"main", id_of(5), at(50), id_of(2)}});
  CHECK(world.asks(5) == "");
  CHECK(world.checked.empty());
}

TEST_CASE("a signed merge does not hide what is unsigned") {
  World world;
  world.line(3);
  world.commit(10, {2}, 25);
  world.commit(11, {10}, 26);
  world.commit(12, {3, 11}, 40);
  world.unsigned_ = {10};
  REQUIRE(world.asks(3) == "");
  CHECK(has(world.asks(12), ", which " + id_of(12).abbreviated() + " brings in, is not signed"));
  CHECK(world.checked == Numbers{10, 11, 12});
  CHECK(world.verified.back().commit == id_of(3));
}

TEST_CASE("a date in the past leaves no commit out") {
  World world;
  world.line(3);
  world.commit(10, {3}, 1);  // dated before all that it follows
  world.commit(11, {10}, 50);
  world.unsigned_ = {10};
  REQUIRE(world.asks(3) == "");
  CHECK(has(world.asks(11), "is not signed"));
  CHECK(has(world.asks(10), "is not signed"));
}

TEST_CASE("a date in the future makes nothing of the past suspicious") {
  World world;
  world.line(2);
  world.commit(3, {2}, 900);
  world.commit(4, {3}, 40);
  world.commit(5, {4, 1}, 50);  // brings in, once more, what was long there
  world.unsigned_ = {1, 2, 3};
  REQUIRE(world.asks(4) == "");
  CHECK(world.asks(5) == "");
}

TEST_CASE("a tip that is older than the newest verified one is refused") {
  World world;
  world.line(5);
  REQUIRE(world.asks(3) == "");
  REQUIRE(world.asks(5) == "");
  CHECK(has(world.asks(4), "is older than"));
  CHECK(has(world.asks(1), "the newest verified commit of 'main'"));
  SECTION("but may be rolled back to") {
    CHECK(world.asks(4, "") == "");
    CHECK(world.checked.empty());  // it was judged on the way to 5
    CHECK(has(world.asks(4), "is older than"));
  }
  SECTION("even when the newest one was removed from the repository") {
    world.forget(5);
    CHECK(has(world.asks(4), "is older than"));
  }
}

TEST_CASE("a rewritten branch is judged anew, and may not be older") {
  World world;
  world.line(3);
  REQUIRE(world.asks(1) == "");
  REQUIRE(world.asks(3) == "");
  world.commit(10, {2}, 31);
  CHECK(world.asks(10) == "");
  CHECK(world.checked == Numbers{10});
  CHECK(has(world.asks(3), "is older than"));
}

TEST_CASE("what lies behind the first verified commit needs a signature of its own to be rolled back to") {
  World world;
  world.line(4);
  world.unsigned_ = {1};
  REQUIRE(world.asks(3) == "");
  REQUIRE(world.asks(4) == "");
  CHECK(has(world.asks(1, ""), "is not signed"));
  CHECK(world.asks(2, "") == "");
  CHECK(world.checked == Numbers{2});
  CHECK(world.asks(3, "") == "");
  CHECK(world.checked.empty());
}

TEST_CASE("what was found good stays good when its key is no longer listed") {
  World world;
  world.line(4);
  REQUIRE(world.asks(1) == "");
  REQUIRE(world.asks(3) == "");
  world.unsigned_ = {1, 2, 3};
  CHECK(world.asks(3) == "");
  CHECK(world.asks(2, "") == "");
  CHECK(world.asks(4) == "");
  CHECK(world.checked == Numbers{4});
}

TEST_CASE("verify.since is where the first range begins") {
  World world;
  world.line(4);
  world.policy.since = id_of(2);
  world.unsigned_ = {1, 2};
  SECTION("itself taken on trust") {
    CHECK(world.asks(2) == "");
    CHECK(world.asks(4) == "");
    CHECK(world.checked == Numbers{3, 4});
  }
  SECTION("all that follows it is judged") {
    world.unsigned_.insert(3);
    CHECK(has(world.asks(4), "is not signed"));
  }
  SECTION("what comes before it is too old") {
    CHECK(has(world.asks(1), "is older than " + id_of(2).abbreviated() + ", verify.since"));
    CHECK(has(world.asks(1, ""), "is not signed"));
  }
  SECTION("a repository that lacks it is not judged") {
    world.forget(2);
    CHECK(has(world.asks(4), "fault: "));
  }
}

TEST_CASE("mode tip judges tips alone, and each commit that is to run") {
  World world;
  world.line(5);
  world.policy.judges_only_the_tip = true;
  world.unsigned_ = {1, 2, 4};
  REQUIRE(world.asks(3) == "");
  CHECK(world.asks(5) == "");
  CHECK(world.checked == Numbers{5});
  CHECK(has(world.asks(4, ""), "is not signed"));
  CHECK(world.asks(3, "") == "");
  CHECK(has(world.asks(3), "is older than"));
}

TEST_CASE("another branch is judged from what all branches have in common with it") {
  World world;
  world.line(3);
  world.commit(10, {2}, 25);
  REQUIRE(world.asks(1) == "");
  REQUIRE(world.asks(3) == "");
  CHECK(world.asks(10, "testing") == "");
  CHECK(world.checked == Numbers{10});
  // Back on main, whose tip has not moved: not older than itself.
  CHECK(world.asks(3) == "");
  world.commit(11, {2}, 26);
  world.unsigned_ = {11};
  CHECK(has(world.asks(11, "third"), "is not signed"));
}

TEST_CASE("branches beyond the limit are forgotten, the oldest first") {
  VerifiedCommits verified;
  for (unsigned number = 0; number <= verified_branches_limit; ++number)
    remember(verified, {"b" + std::to_string(number), id_of(number), at(1), id_of(1)});
  CHECK(verified.size() == verified_branches_limit);
  CHECK_FALSE(is_verified(verified, id_of(0), ""));
  CHECK(is_verified(verified, id_of(7), "b7"));
  CHECK_FALSE(is_verified(verified, id_of(7), "b8"));
}

TEST_CASE("a range past its bound is not judged") {
  World world;
  // Millions of commits, each with the next smaller number for a parent.
  class Endless : public CommitGraph {
    Result<CommitNode> node(const ObjectId& commit) override {
      if (commit == id_of(1)) return CommitNode{{}, at(1)};
      ObjectId parent = commit;
      for (std::size_t i = 0; i < 4 && --parent.bytes[i] == 255; ++i) {
      }
      return CommitNode{{parent}, at(100)};
    }
  } endless;
  ObjectId tip;
  tip.bytes[3] = 1;
  auto judgement = judge(world.policy, {tip, "", {{"main", id_of(1), at(1), id_of(1)}}}, endless, world);
  REQUIRE_FALSE(judgement);
  CHECK(has(judgement.error().message, "more than 10000 commits"));
}
