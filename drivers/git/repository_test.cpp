#include "drivers/git/repository.h"

#include <sys/stat.h>
#include <unistd.h>

#include "drivers/git/init.h"
#include "drivers/git/scratch_repository.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

Repository open(const std::string& path) {
  auto repository = Repository::open(path);
  INFO((repository ? std::string() : repository.error().message));
  REQUIRE(repository);
  return std::move(*repository);
}

std::string error_of(const auto& result) { return result ? "no error" : result.error().message; }

}  // namespace

TEST_CASE("the tip of a branch is what git says, packed or not, in any layout of repository") {
  ScratchRepository scratch;
  ObjectId first = scratch.commit("web.service", "[Service]\nExecStart=/bin/true\n");
  scratch.git("branch team/a/web");
  ObjectId second = scratch.commit("web.service", "[Service]\nExecStart=/bin/false\n");

  SECTION("working tree") {
    Repository repository = open(scratch.path());
    CHECK(holds(repository.tip("main"), second));
    CHECK(holds(repository.tip("team/a/web"), first));
    CHECK(holds(repository.tip("team/a"), std::nullopt));
    CHECK(holds(repository.tip("team/a/web/x"), std::nullopt));
    CHECK(holds(repository.tip("nothing"), std::nullopt));
    CHECK(repository.tip("bad name..").error().code == ErrorCode::invalid);
    scratch.git("pack-refs --all");
    CHECK(holds(repository.tip("main"), second));
    CHECK(holds(repository.tip("team/a/web"), first));
    CHECK(holds(repository.head_branch(), "main"));
  }
  SECTION("bare") {
    ScratchRepository::shell("git clone -q --bare " + scratch.path() + " " + scratch.beside("bare"));
    CHECK(holds(open(scratch.beside("bare")).tip("main"), second));
  }
  SECTION("linked worktree with a configuration of its own") {
    scratch.git("config extensions.worktreeConfig true");
    scratch.git("worktree add -q -b side " + scratch.beside("side"));
    Repository repository = open(scratch.beside("side"));
    CHECK(holds(repository.head_branch(), "side"));
    CHECK(holds(repository.tip("main"), second));
    CHECK(repository.common_dir() == std::filesystem::canonical(scratch / ".git").string());
    CHECK(repository.git_dir() == repository.common_dir() + "/worktrees/side");
  }
  SECTION("branch that is a symbolic ref") {
    scratch.git("symbolic-ref refs/heads/live refs/heads/team/a/web");
    CHECK(holds(open(scratch.path()).tip("live"), first));
  }
}

TEST_CASE("a repository whose caches were given back reads as before, what was added meanwhile, too") {
  ScratchRepository scratch;
  ObjectId first = scratch.commit("web.service", "[Service]\nExecStart=/bin/true\n");
  scratch.git("gc -q");
  Repository repository = open(scratch.path());
  constexpr std::size_t limit = 1 << 20;
  for (int i = 0; i < 300; ++i)
    REQUIRE(repository.objects().read(first, ObjectKind::commit, limit));
  repository.release_caches();
  CHECK(repository.objects().reads() == 0);
  CHECK(repository.objects().read(first, ObjectKind::commit, limit));
  ObjectId second = scratch.commit("web.service", "[Service]\nExecStart=/bin/false\n");
  scratch.git("gc -q");
  CHECK(holds(repository.tip("main"), second));
  CHECK(repository.objects().read(second, ObjectKind::commit, limit));
}

TEST_CASE(
    "of large trees the two newest are kept, so that a load reads them once and the memory does not grow") {
  ScratchRepository scratch;
  for (int i = 0; i < 30; ++i)
    scratch.write(std::string(200, 'n') + std::to_string(i), "");
  scratch.commit("many names");
  ObjectId first = scratch.id("HEAD^{tree}");
  scratch.commit("web.service", "[Service]\nExecStart=/bin/true\n");
  ObjectId second = scratch.id("HEAD^{tree}");
  scratch.commit("web.service", "[Service]\nExecStart=/bin/false\n");
  ObjectId third = scratch.id("HEAD^{tree}");
  Repository repository = open(scratch.path());
  constexpr std::size_t limit = 1 << 20;
  auto is_kept = [&](const ObjectId& tree) {
    std::filesystem::rename(scratch.loose_object(tree), scratch.beside("away"));
    bool is_read = repository.objects().read(tree, ObjectKind::tree, limit).has_value();
    std::filesystem::rename(scratch.beside("away"), scratch.loose_object(tree));
    return is_read;
  };

  CHECK_FALSE(is_kept(first));
  REQUIRE(repository.objects().read(first, ObjectKind::tree, limit));
  CHECK(is_kept(first));
  CHECK_FALSE(repository.objects().read(first, ObjectKind::tree, 100));
  REQUIRE(repository.objects().read(second, ObjectKind::tree, limit));
  CHECK(is_kept(first));
  CHECK(is_kept(second));
  REQUIRE(repository.objects().read(third, ObjectKind::tree, limit));
  CHECK(is_kept(second));
  CHECK(is_kept(third));
  CHECK_FALSE(is_kept(first));
}

TEST_CASE("a repository without a commit has a branch and no tip") {
  ScratchRepository scratch;
  Repository repository = open(scratch.path());
  CHECK(holds(repository.head_branch(), "main"));
  CHECK(holds(repository.tip("main"), std::nullopt));
  CHECK(repository.resolve("HEAD", "main").error() ==
        Error{"no commit 'HEAD' in the repository", ErrorCode::not_found});
}

TEST_CASE("a branch that points to no commit is an error, never an absence") {
  ScratchRepository scratch;
  ObjectId commit = scratch.commit("a", "a");
  Repository repository = open(scratch.path());
  SECTION("annotated tag") {
    scratch.git("tag -a -m x v1");
    ScratchRepository::shell("git -C " + scratch.path() + " rev-parse v1 > " +
                             scratch / ".git/refs/heads/odd");
    CHECK(error_of(repository.tip("odd")) == "'refs/heads/odd' points to a tag, not to a commit");
  }
  SECTION("missing commit") {
    scratch.write(".git/refs/heads/odd", "0123456789012345678901234567890123456789\n");
    CHECK(error_of(repository.tip("odd")).starts_with("'refs/heads/odd': cannot read object 012345678901"));
  }
  SECTION("file that a power loss left empty") {
    scratch.write(".git/refs/heads/main", "");
    CHECK(error_of(repository.tip("main")).starts_with("cannot read 'refs/heads/main'"));
  }
  SECTION("truncated commit") {
    std::filesystem::permissions(scratch.loose_object(commit), std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::add);
    std::filesystem::resize_file(scratch.loose_object(commit), 0);
    Repository fresh = open(scratch.path());
    CHECK_FALSE(fresh.tip("main"));
    CHECK_FALSE(fresh.commit_info(commit));
  }
}

TEST_CASE("a revision is resolved as git does, with HEAD standing for the followed branch") {
  ScratchRepository scratch;
  ObjectId first = scratch.commit("a", "1");
  ObjectId second = scratch.commit("a", "2");
  ObjectId third = scratch.commit("a", "3");
  scratch.git("tag -a -m x v1 HEAD~1");
  scratch.git("checkout -q -b other HEAD~1");
  ObjectId other = scratch.commit("a", "other");
  Repository repository = open(scratch.path());

  CHECK(holds(repository.resolve("HEAD", "main"), third));
  CHECK(holds(repository.resolve("HEAD~2", "main"), first));
  CHECK(holds(repository.resolve("@^", "main"), second));
  CHECK(holds(repository.resolve("HEAD", "other"), other));
  CHECK(holds(repository.resolve("v1", "main"), second));
  CHECK(holds(repository.resolve("v1~1", "main"), first));
  CHECK(holds(repository.resolve(first.hex(), "main"), first));
  CHECK(holds(repository.resolve(first.hex().substr(0, 10), "main"), first));
  CHECK(holds(repository.resolve("other", "main"), other));

  CHECK(repository.resolve("nothing", "main").error().code == ErrorCode::not_found);
  CHECK(repository.resolve("HEAD~3", "main").error().code == ErrorCode::not_found);
  CHECK(repository.resolve("0123456789012345678901234567890123456789", "main").error().code ==
        ErrorCode::not_found);
  CHECK(error_of(repository.resolve("HEAD:a", "main")) == "'HEAD:a' names a blob, not a commit");
  CHECK(error_of(repository.resolve("HEAD^{tree}", "main")) == "'HEAD^{tree}' names a tree, not a commit");
  for (const char* bad : {"", "HEAD..other", "~~~^", "a b", "^{/[}", "@{99}", "HEAD@{1000}"}) {
    INFO(bad);
    CHECK_FALSE(repository.resolve(bad, "main"));
  }
  scratch.git("branch v1 HEAD");
  CHECK(error_of(repository.resolve("v1", "main")) == "'v1' is ambiguous: it names several commits");
  scratch.git("branch -q " + first.hex().substr(0, 7) + " HEAD");
  CHECK(error_of(repository.resolve(first.hex().substr(0, 7), "main"))
            .ends_with("is ambiguous: it names several commits"));
}

TEST_CASE("a commit is told of in one printable line each") {
  ScratchRepository scratch;
  scratch.write("a", "a");
  scratch.git("add -A");
  ScratchRepository::shell("GIT_COMMITTER_DATE='1700000000 +0200' git -C " + scratch.path() +
                           " commit -q -m 'web: listen on 8080' -m 'Because.'");
  Repository repository = open(scratch.path());
  auto info = repository.commit_info(scratch.id("HEAD"));
  REQUIRE(info);
  CHECK(*info == CommitInfo{scratch.id("HEAD"), scratch.id("HEAD^{tree}"), "Ada <ada@example.org>",
                            "web: listen on 8080", WallTime(std::chrono::seconds(1700000000))});
  CHECK(repository.commit_info(scratch.id("HEAD^{tree}")).error().code == ErrorCode::invalid);
}

TEST_CASE("commits behind are counted as rev-list does, up to a limit") {
  ScratchRepository scratch;
  ObjectId base = scratch.commit("a", "0");
  for (int i = 1; i <= 5; ++i)
    scratch.commit("a", std::to_string(i));
  ObjectId tip = scratch.id("HEAD");
  scratch.git("checkout -q -b side " + base.hex());
  scratch.commit("b", "1");
  ObjectId side = scratch.commit("b", "2");
  scratch.git("merge -q -m merge main");
  ObjectId merge = scratch.id("HEAD");
  Repository repository = open(scratch.path());

  for (auto [from, to] : {std::pair(base, tip),
                          {tip, base},
                          {tip, side},
                          {side, tip},
                          {tip, merge},
                          {side, merge},
                          {base, merge},
                          {merge, base},
                          {tip, tip}}) {
    unsigned expected =
        static_cast<unsigned>(std::stoul(scratch.git("rev-list --count " + from.hex() + ".." + to.hex())));
    CHECK(holds(repository.count_behind(from, to, 100), expected));
  }
  CHECK(holds(repository.count_behind(base, tip, 3), 3u));
}

TEST_CASE("the history of a path tells who changed it last, and where") {
  ScratchRepository scratch;
  ObjectId made = scratch.commit("nodes/web-1/web.service", "one\ntwo\nthree\n");
  scratch.commit("other", "x");
  ObjectId edited = scratch.commit("nodes/web-1/web.service", "zero\none\nTWO\nthree\n");
  scratch.git("checkout -q -b side HEAD~1");
  ObjectId aside = scratch.commit("nodes/web-1/db.service", "x");
  scratch.git("checkout -q main");
  scratch.git("merge -q -m merge side");
  ObjectId tip = scratch.commit("other", "y");
  Repository repository = open(scratch.path());

  auto ids = [&](const std::vector<std::string>& paths, unsigned limit) {
    auto history = repository.path_history(paths, tip, limit);
    REQUIRE(history);
    std::vector<ObjectId> found;
    for (const CommitInfo& info : *history)
      found.push_back(info.id);
    return found;
  };
  CHECK(ids({"nodes/web-1/web.service"}, 10) == std::vector{edited, made});
  CHECK(ids({"nodes/web-1/web.service"}, 1) == std::vector{edited});
  CHECK(ids({"nodes/web-1/db.service"}, 10) == std::vector{aside});
  CHECK(ids({"missing"}, 10).empty());

  auto change = [&](const std::string& path, const ObjectId& commit) {
    auto found = repository.first_change({"missing", path}, commit);
    REQUIRE(found);
    return *found;
  };
  const std::string web = "nodes/web-1/web.service";
  CHECK(change(web, edited) == LineChange{web, 1, "zero"});
  CHECK(change(web, made) == LineChange{web, 1, "one"});
  CHECK(change(web, tip) == std::nullopt);
  ObjectId appended = scratch.commit(web, "zero\none\nTWO\nthree\nfour\n");
  CHECK(change(web, appended) == LineChange{web, 5, "four"});
  ObjectId cut = scratch.commit(web, "zero\none\nTWO\n");
  CHECK(change(web, cut) == std::nullopt);
}

TEST_CASE("markers are refs that git knows, and survive its housekeeping") {
  ScratchRepository scratch;
  ObjectId first = scratch.commit("a", "1");
  ObjectId second = scratch.commit("a", "2");
  Repository repository = open(scratch.path());
  CHECK(holds(repository.marker(Marker::applied), std::nullopt));
  REQUIRE(repository.set_marker(Marker::applied, first));
  REQUIRE(repository.set_marker(Marker::applied, first));
  REQUIRE(repository.set_marker(Marker::healthy, second));
  CHECK(scratch.id("refs/gitproc/applied") == first);
  scratch.git("gc -q --prune=now");
  CHECK(holds(repository.marker(Marker::applied), first));
  REQUIRE(repository.set_marker(Marker::applied, second));
  CHECK(holds(repository.marker(Marker::applied), second));
  REQUIRE(repository.set_marker(Marker::applied, std::nullopt));
  REQUIRE(repository.set_marker(Marker::applied, std::nullopt));
  CHECK(holds(repository.marker(Marker::applied), std::nullopt));
  CHECK(scratch.git("for-each-ref --format='%(refname)' refs/gitproc") == "refs/gitproc/healthy");
  scratch.git("fsck --strict");
}

TEST_CASE("what is written as root into another's repository belongs to its owner") {
  if (geteuid() != 0) GITPROC_SKIP("needs root");
  constexpr uid_t nobody = 65534;
  ScratchRepository scratch;
  ObjectId commit = scratch.commit("a", "1");
  ScratchRepository::shell("chmod 755 " + scratch.beside("") + "; chown -R 65534:65534 " + scratch.path());
  Repository repository = open(scratch.path());
  CHECK(repository.owner() == Owner{nobody, nobody});
  REQUIRE(repository.set_marker(Marker::applied, commit));
  for (const char* path : {".git/refs/gitproc", ".git/refs/gitproc/applied"}) {
    struct stat status{};
    REQUIRE(stat((scratch / path).c_str(), &status) == 0);
    CHECK(status.st_uid == nobody);
    CHECK(status.st_gid == nobody);
  }
}

TEST_CASE("as root, a repository that others can write is refused with the path that gives it away") {
  if (geteuid() != 0) GITPROC_SKIP("needs root");
  ScratchRepository scratch;
  scratch.commit("a", "1");
  scratch.git("branch deep/er");
  std::string place = std::filesystem::canonical(scratch.path()).string();
  REQUIRE(Repository::open(scratch.path()));
  for (const char* path : {".git", ".git/objects", ".git/refs", ".git/refs/heads/deep",
                           ".git/refs/heads/main", ".git/HEAD", ".git/config", ".git/objects/pack"}) {
    INFO(path);
    std::string file = scratch / path;
    ScratchRepository::shell("chmod o+w " + file);
    CHECK(Repository::open(scratch.path()).error() ==
          Error{"refused the repository for '" + place + "/" + path + "': everybody can write it",
                ErrorCode::denied});
    ScratchRepository::shell("chmod o-w " + file + "; chgrp 4242 " + file + "; chmod g+w " + file);
    CHECK(Repository::open(scratch.path()).error() ==
          Error{"refused the repository for '" + place + "/" + path + "': group 4242 can write it",
                ErrorCode::denied});
    ScratchRepository::shell("chmod g-w " + file + "; chgrp 0 " + file);
    CHECK(Repository::open(scratch.path()));
  }
  ScratchRepository::shell("chown 4242 " + scratch / ".git/refs/heads");
  CHECK(error_of(Repository::open(scratch.path()))
            .ends_with("belongs to uid 4242, neither root nor the owner"));
}

TEST_CASE("a repository that is deleted is an error, and one made anew in its place is read") {
  ScratchRepository scratch;
  scratch.commit("a", "1");
  Repository repository = open(scratch.path());
  REQUIRE(repository.tip("main"));
  ScratchRepository::shell("rm -rf " + scratch.path());
  CHECK(repository.tip("main").error().code == ErrorCode::not_found);
  ScratchRepository::shell("git init -q -b main " + scratch.path());
  CHECK(holds(repository.tip("main"), std::nullopt));
  ObjectId again = scratch.commit("b", "2");
  CHECK(holds(repository.tip("main"), again));
  CHECK(repository.commit_info(again)->subject == "change b");
}

TEST_CASE("opening what is no repository says so") {
  TemporaryDirectory directory;
  auto opened = Repository::open(directory / "nothing");
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::not_found);
  CHECK(opened.error().message.starts_with("cannot open repository '" + (directory / "nothing") + "'"));
}

TEST_CASE("init makes a repository with a first commit, and leaves one that has commits alone") {
  TemporaryDirectory directory;
  std::vector<InitialFile> files = {{"hello.service", "[Service]\nExecStart=/bin/true\n"}, {"conf/x", "1\n"}};
  SECTION("nothing there") {
    auto outcome = init_repository(directory / "a/b", files, "First");
    REQUIRE(outcome);
    CHECK(outcome->is_new_repository);
    CHECK(outcome->branch == "main");
    CHECK(holds(open(directory / "a/b").tip("main"), outcome->commit));
    CHECK(ScratchRepository::shell("cd " + directory / "a/b" +
                                   " && git status --porcelain && git ls-files && git fsck") ==
          "conf/x\nhello.service");
    auto again = init_repository(directory / "a/b", files, "Second");
    REQUIRE(again);
    CHECK_FALSE(again->is_new_repository);
    CHECK_FALSE(again->commit);
  }
  SECTION("bare and empty, on another branch") {
    ScratchRepository::shell("git init -q --bare -b trunk " + directory / "bare");
    auto outcome = init_repository(directory / "bare", files, "First");
    REQUIRE(outcome);
    CHECK(outcome->branch == "trunk");
    CHECK(holds(open(directory / "bare").tip("trunk"), outcome->commit));
    CHECK(ScratchRepository::shell("git -C " + directory / "bare" + " show trunk:conf/x") == "1");
  }
  SECTION("a file of the user's stays as it is") {
    std::filesystem::create_directory(directory / "own");
    std::ofstream(directory / "own/hello.service") << "mine\n";
    REQUIRE(init_repository(directory / "own", files, "First"));
    CHECK(ScratchRepository::shell("git -C " + directory / "own" + " show main:hello.service") == "mine");
  }
}
