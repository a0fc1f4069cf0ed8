#include "drivers/git/commit_loader.h"

#include <chrono>
#include <iostream>

#include "drivers/git/scratch_repository.h"
#include "drivers/git/tree_diff.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

const std::string unit_text = "[Service]\nExecStart=/bin/sleep infinity\n";

Catalog::Options options(const std::string& node = "web-1") {
  return {.node = {.name = node, .labels = {{"role", "web"}}}};
}

CommitLoader loader(const ScratchRepository& scratch) {
  return {Repository::open(scratch.path()).value(), options()};
}

// What changed, "web" or "-web" where it is gone, or why the commit was not taken.
std::vector<std::string> outcome_of(const LoadOutcome& outcome) {
  std::vector<std::string> lines;
  if (const auto* loaded = std::get_if<CommitLoaded>(&outcome)) {
    for (const UnitChange& change : loaded->changes)
      lines.push_back((change.unit ? "" : "-") + change.name);
  } else if (const auto* rejected = std::get_if<CommitRejected>(&outcome)) {
    for (const Diagnostic& diagnostic : rejected->errors)
      lines.push_back("rejected " + diagnostic.file);
  } else {
    lines.push_back("unreadable");
  }
  return lines;
}

using Lines = std::vector<std::string>;

struct Imported {
  ObjectId first, second, foreign;
};

// 1,000 nodes with 100 units each, in one pack; then a change of node-7's unit-5, then of node-8's.
Imported import_many(const ScratchRepository& scratch) {
  std::string stream =
      "commit refs/heads/main\ncommitter Ada <ada@example.org> 1700000000 +0000\ndata 3\nall\n";
  auto add = [&stream](int node, int unit, const std::string& text) {
    stream += "M 100644 inline nodes/node-" + std::to_string(node) + "/unit-" + std::to_string(unit) +
              ".service\ndata " + std::to_string(text.size()) + "\n" + text + "\n";
  };
  for (int node = 0; node < 1000; ++node) {
    for (int unit = 0; unit < 100; ++unit) {
      add(node, unit,
          "[Unit]\nDescription=" + std::to_string(unit) + " of " + std::to_string(node) + "\n" + unit_text +
              "Restart=always\n");
    }
  }
  for (int node : {7, 8}) {
    stream += "commit refs/heads/main\ncommitter Ada <ada@example.org> 1700000000 +0000\ndata 3\none\n";
    add(node, 5, unit_text);
  }
  std::ofstream(scratch.beside("stream"), std::ios::binary) << stream;
  scratch.git("fast-import --quiet < " + scratch.beside("stream"));
  scratch.git("repack -q -a -d");
  return {scratch.id("main~2"), scratch.id("main~1"), scratch.id("main")};
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("commits are loaded one after another, and each tells what changed for this node") {
  ScratchRepository scratch;
  scratch.write("web.service", unit_text);
  scratch.write("nodes/web-1/own.service", unit_text);
  scratch.write("nodes/web-2/foreign.service", "not a unit at all");
  scratch.write("groups/role=web/front.service", unit_text);
  ObjectId first = scratch.commit("first");
  CommitLoader commits = loader(scratch);

  LoadOutcome outcome = commits.load(first);
  CHECK(outcome_of(outcome) == Lines{"front", "own", "web"});
  CHECK(std::get<CommitLoaded>(outcome).commit.subject == "first");
  CHECK(outcome_of(commits.load(first)).empty());

  scratch.write("web.service.d/10.conf", "[Service]\nRestart=always\n");
  scratch.write("nodes/web-2/foreign.service", "still not");
  ScratchRepository::shell("rm " + scratch / "nodes/web-1/own.service");
  CHECK(outcome_of(commits.load(scratch.commit("second"))) == Lines{"-own", "web"});
  CHECK(outcome_of(commits.load(first)) == Lines{"own", "web"});
}

TEST_CASE("a commit with a mistake changes nothing, and the next good one is compared with what is loaded") {
  ScratchRepository scratch;
  scratch.write("web.service", unit_text);
  scratch.write("db.service", unit_text);
  ObjectId good = scratch.commit("good");
  CommitLoader commits = loader(scratch);
  REQUIRE(outcome_of(commits.load(good)) == Lines{"db", "web"});
  ScratchRepository::shell("rm " + scratch / "db.service");
  ObjectId bad = scratch.commit("web.service", "[Service]\nExecStart=relative/path\nType=nonsense\n");
  CHECK(outcome_of(commits.load(bad)).front() == "rejected web.service");
  CHECK(commits.units().size() == 2);
  CHECK(outcome_of(commits.load(scratch.commit("web.service", unit_text))) == Lines{"-db"});
}

TEST_CASE("what cannot be read is unreadable, never deleted") {
  ScratchRepository scratch;
  scratch.write("web.service", unit_text);
  ObjectId good = scratch.commit("good");
  CommitLoader commits = loader(scratch);
  REQUIRE(outcome_of(commits.load(good)) == Lines{"web"});
  scratch.write("nodes/web-1/new.service", unit_text + "# new\n");
  ObjectId next = scratch.commit("next");
  auto damage = [&](const std::string& revision, bool removes) {
    std::string object = scratch.loose_object(scratch.id(revision));
    ScratchRepository::shell("chmod u+w " + object + (removes ? " && rm " : " && truncate -s 0 ") + object);
  };
  SECTION("commit that does not exist") {
    CHECK(outcome_of(commits.load(*ObjectId::parse("0123456789012345678901234567890123456789"))) ==
          Lines{"unreadable"});
    CHECK(outcome_of(commits.load(next)) == Lines{"new"});
    return;
  }
  SECTION("missing blob") { damage("HEAD:nodes/web-1/new.service", true); }
  SECTION("emptied blob") { damage("HEAD:nodes/web-1/new.service", false); }
  SECTION("missing folder") { damage("HEAD:nodes/web-1", true); }
  SECTION("emptied top") { damage("HEAD^{tree}", false); }
  SECTION("missing commit") { damage("HEAD", true); }
  SECTION("content of another object") {
    std::string object = scratch.loose_object(scratch.id("HEAD:nodes/web-1/new.service"));
    ScratchRepository::shell("cp -f " + scratch.loose_object(scratch.id("HEAD:web.service")) + " " + object);
  }
  CHECK(outcome_of(commits.load(next)) == Lines{"unreadable"});
  CHECK(commits.units().size() == 1);
  CHECK(outcome_of(commits.load(good)).empty());
}

TEST_CASE("a repository that was made anew in the same place is compared unit by unit") {
  ScratchRepository scratch;
  scratch.write("gone.service", unit_text);
  scratch.write("same.service", unit_text + "[X-GitProc]\nRestartOn=conf\n");
  scratch.write("web.service", unit_text);
  scratch.write("conf/a", "1");
  ObjectId before = scratch.commit("before");
  CommitLoader commits = loader(scratch);
  REQUIRE(outcome_of(commits.load(before)) == Lines{"gone", "same", "web"});

  ScratchRepository::shell("cd " + scratch.path() + " && rm -rf .git gone.service && git init -q -b main");
  scratch.write("new.service", unit_text);
  scratch.write("web.service", unit_text + "Nice=1\n");
  ObjectId after = scratch.commit("after");
  CHECK(outcome_of(commits.load(after)) == Lines{"-gone", "new", "web"});
  scratch.write("conf/a", "2");
  CHECK(outcome_of(commits.load(scratch.commit("watched"))) == Lines{"same"});
}

TEST_CASE("a watched file or folder outside the units is followed") {
  ScratchRepository scratch;
  scratch.write("web.service", unit_text + "[X-GitProc]\nRestartOn=conf/nginx.conf\nReloadOn=certs\n");
  scratch.write("conf/nginx.conf", "1");
  scratch.write("conf/other", "1");
  scratch.write("certs/deep/a.pem", "1");
  scratch.write("data/x", "1");
  ObjectId first = scratch.commit("first");
  CommitLoader commits = loader(scratch);
  REQUIRE(outcome_of(commits.load(first)) == Lines{"web"});
  CHECK(outcome_of(commits.load(scratch.commit("conf/other", "2"))).empty());
  CHECK(outcome_of(commits.load(scratch.commit("data/x", "2"))).empty());
  CHECK(outcome_of(commits.load(scratch.commit("conf/nginx.conf", "2"))) == Lines{"web"});
  CHECK(outcome_of(commits.load(scratch.commit("certs/deep/a.pem", "2"))) == Lines{"web"});
  ScratchRepository::shell("rm -r " + scratch / "certs");
  CHECK(outcome_of(commits.load(scratch.commit("no certs"))) == Lines{"web"});
  CHECK(outcome_of(commits.load(scratch.commit("certs", "a file"))) == Lines{"web"});
}

TEST_CASE("submodules, symlinks and oversized files in the place of units are mistakes, not crashes") {
  ScratchRepository scratch;
  scratch.write("web.service", unit_text);
  SECTION("10 MiB unit") { scratch.write("big.service", std::string(10u << 20, '#')); }
  SECTION("symlink that leads nowhere") {
    ScratchRepository::shell("ln -s /etc/passwd " + scratch / "odd.service");
  }
  SECTION("submodule") {
    scratch.commit("base");
    scratch.git("update-index --add --cacheinfo 160000," + scratch.id("HEAD").hex() + ",sub.service");
    scratch.git("commit -q -m sub");
    CommitLoader commits = loader(scratch);
    CHECK(outcome_of(commits.load(scratch.id("HEAD"))) != Lines{"unreadable"});
    return;
  }
  CommitLoader commits = loader(scratch);
  LoadOutcome outcome = commits.load(scratch.commit("odd"));
  CHECK(std::holds_alternative<CommitRejected>(outcome));
}

TEST_CASE("an offline load of a commit, and of a plain folder, gives the same units") {
  ScratchRepository scratch;
  scratch.write("web.service", unit_text + "[X-GitProc]\nRestartOn=conf\n");
  scratch.write("web.service.d/10.conf", "[Service]\nRestart=always\n");
  scratch.write("worker@.service", unit_text);
  scratch.write("conf/sub/a", "1");
  scratch.write("conf/sub.x", "2");
  ScratchRepository::shell("cd " + scratch.path() +
                           " && ln -s worker@.service worker@1.service && echo x > conf/run && chmod +x "
                           "conf/run && ln -s a conf/link");
  ObjectId commit = scratch.commit("all");
  Repository repository = Repository::open(scratch.path()).value();
  auto from_commit = load_snapshot(repository, commit, options());
  auto from_folder = load_directory(scratch.path(), options());
  REQUIRE(from_commit);
  REQUIRE(from_folder);
  REQUIRE(from_commit->units.size() == 2);
  REQUIRE(from_folder->units.size() == 2);
  for (const auto& [name, unit] : from_commit->units)
    CHECK(*unit == *from_folder->units.at(name));
  CHECK(from_commit->warnings == from_folder->warnings);

  scratch.write("bad.service", "[Service]\nType=nonsense\n");
  auto failed = load_directory(scratch.path(), options());
  REQUIRE_FALSE(failed);
  CHECK(failed.error().errors.front().file == "bad.service");
  auto missing = load_directory(scratch / "nothing", options());
  REQUIRE_FALSE(missing);
  CHECK(missing.error().unreadable->code == ErrorCode::not_found);
}

TEST_CASE("a hundred thousand unit files cost only what this node runs and what changed", "[.bench]") {
  ScratchRepository scratch;
  auto [first, second, foreign] = import_many(scratch);
  auto start = std::chrono::steady_clock::now();
  auto took = [&](const std::string& what) {
    std::cout << what << ": " << milliseconds_since(start) << " ms\n";
    start = std::chrono::steady_clock::now();
  };
  {
    CommitLoader commits(Repository::open(scratch.path()).value(), options("node-7"));
    took("open");
    CHECK(outcome_of(commits.load(first)).size() == 100);
    took("first load, 100 of 100,000 units");
    CHECK(outcome_of(commits.load(second)) == Lines{"unit-5"});
    took("load of a commit that changes one unit");
    CHECK(outcome_of(commits.load(foreign)).empty());
    took("load of a commit that changes another node's unit");
    ObjectId old_tree = commits.repository().commit_info(second)->tree,
             new_tree = commits.repository().commit_info(foreign)->tree;
    constexpr int rounds = 100;
    start = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; ++i) {
      std::size_t count = 0;
      REQUIRE(diff_trees(
          commits.repository().objects(), old_tree, new_tree, [](std::string_view) { return true; },
          [&](const FileChange&) { ++count; }));
      REQUIRE(count == 1);
    }
    std::cout << "diff of one file among 100,000, everything entered, warm: "
              << milliseconds_since(start) / rounds << " ms\n";
  }
  {
    Repository repository = Repository::open(scratch.path()).value();
    ObjectId old_tree = repository.commit_info(second)->tree,
             new_tree = repository.commit_info(foreign)->tree;
    start = std::chrono::steady_clock::now();
    REQUIRE(diff_trees(
        repository.objects(), old_tree, new_tree, [](std::string_view) { return true; },
        [](const FileChange&) {}));
    took("the same diff, nothing cached");
    std::size_t count = 0;
    REQUIRE(diff_trees(
        repository.objects(), std::nullopt, new_tree, [](std::string_view) { return true; },
        [&](const FileChange&) { ++count; }));
    took("listing all 100,000 files");
    CHECK(count == 100'000);
  }
}
