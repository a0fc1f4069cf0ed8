#include "drivers/git/ref_watcher.h"

#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <optional>
#include <random>

#include "drivers/git/repository.h"
#include "drivers/git/scratch_repository.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

constexpr auto patience = std::chrono::seconds(5);

// What the agent does: waits for the descriptor, drains, reads the refs again.
class Follower {
 public:
  explicit Follower(const std::string& path) : repository_(Repository::open(path).value()) {
    auto watcher = RefWatcher::open(repository_.git_dir(), repository_.common_dir());
    INFO((watcher ? std::string() : watcher.error().message));
    REQUIRE(watcher);
    watcher_.emplace(std::move(*watcher));
  }

  // Waits until the watcher has made us read a tip that `is_expected` accepts; false after `patience`.
  bool sees(const std::string& branch,
            const std::function<bool(const Result<std::optional<ObjectId>>&)>& is_expected) {
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
      auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return false;
      pollfd poll_fd{watcher_->fd(), POLLIN, 0};
      if (poll(&poll_fd, 1, static_cast<int>(left.count())) != 1) return false;
      auto moved = watcher_->drain();
      INFO((moved ? std::string() : moved.error().message));
      REQUIRE(moved);
      if (*moved && is_expected(repository_.tip(branch))) return true;
    }
  }
  bool sees_tip(const std::string& branch, const std::optional<ObjectId>& tip) {
    return sees(branch, [&](const auto& seen) { return seen && *seen == tip; });
  }
  // All that happened so far.
  void settle() { REQUIRE(watcher_->drain()); }
  bool is_quiet() {
    pollfd poll_fd{watcher_->fd(), POLLIN, 0};
    return poll(&poll_fd, 1, 0) == 0;
  }

  Repository& repository() { return repository_; }
  RefWatcher& watcher() { return *watcher_; }

 private:
  Repository repository_;
  std::optional<RefWatcher> watcher_;
};

}  // namespace

TEST_CASE("every way to move a branch is noticed") {
  ScratchRepository scratch;
  ObjectId first = scratch.commit("a", "1");
  Follower follower(scratch.path());

  ObjectId second = scratch.commit("a", "2");
  CHECK(follower.sees_tip("main", second));
  scratch.git("reset -q --hard HEAD~1");
  CHECK(follower.sees_tip("main", first));
  scratch.git("update-ref refs/heads/main " + second.hex());
  CHECK(follower.sees_tip("main", second));
  scratch.git("branch a/b/c");
  CHECK(follower.sees_tip("a/b/c", second));
  scratch.git("update-ref refs/heads/a/b/c " + first.hex());
  CHECK(follower.sees_tip("a/b/c", first));
  scratch.git("pack-refs --all --prune");
  CHECK(follower.sees_tip("a/b/c", first));
  scratch.git("update-ref refs/heads/a/b/c " + second.hex());
  CHECK(follower.sees_tip("a/b/c", second));
  scratch.git("update-ref -d refs/heads/a/b/c");
  CHECK(follower.sees_tip("a/b/c", std::nullopt));
  scratch.git("branch a " + first.hex());
  CHECK(follower.sees_tip("a", first));
  scratch.git("branch -m a a/b/c/d/e");
  CHECK(follower.sees_tip("a/b/c/d/e", first));
  std::ofstream(scratch / ".git/refs/heads/main") << first.hex() << "\n";
  CHECK(follower.sees_tip("main", first));
}

TEST_CASE("a change of HEAD is noticed") {
  ScratchRepository scratch;
  scratch.commit("a", "1");
  Follower follower(scratch.path());
  scratch.git("symbolic-ref HEAD refs/heads/trunk");
  CHECK(follower.sees("main",
                      [&](const auto&) { return holds(follower.repository().head_branch(), "trunk"); }));
}

TEST_CASE("a commit in a linked worktree and a push into a bare repository are noticed") {
  ScratchRepository scratch;
  scratch.commit("a", "1");
  SECTION("worktree") {
    scratch.git("worktree add -q -b side " + scratch.beside("side"));
    Follower from_main(scratch.path());
    Follower from_side(scratch.beside("side"));
    ScratchRepository::shell("cd " + scratch.beside("side") + " && git commit -q --allow-empty -m x");
    CHECK(from_main.sees_tip("side", scratch.id("side")));
    CHECK(from_side.sees_tip("side", scratch.id("side")));
    ObjectId main = scratch.commit("a", "2");
    CHECK(from_side.sees_tip("main", main));
  }
  SECTION("push") {
    std::string bare = scratch.beside("bare");
    ScratchRepository::shell("git init -q --bare -b main " + bare);
    Follower follower(bare);
    scratch.git("push -q " + bare + " main");
    CHECK(follower.sees_tip("main", scratch.id("main")));
    scratch.git("push -q " + bare + " main:x/y/z");
    CHECK(follower.sees_tip("x/y/z", scratch.id("main")));
  }
}

TEST_CASE("work that moves no ref wakes nobody for long, and housekeeping hides nothing") {
  ScratchRepository scratch;
  ObjectId first = scratch.commit("a", "1");
  Follower follower(scratch.path());
  scratch.write("b", "x");
  scratch.git("add -A");
  CHECK(holds(follower.watcher().drain(), false));
  CHECK(follower.is_quiet());
  scratch.git("gc -q --prune=now");
  follower.settle();
  CHECK(holds(follower.repository().tip("main"), first));
  ObjectId second = scratch.commit("two");
  CHECK(follower.sees_tip("main", second));
}

TEST_CASE("a marker that the agent writes does not wake it") {
  ScratchRepository scratch;
  ObjectId first = scratch.commit("a", "1");
  ObjectId second = scratch.commit("a", "2");
  Follower follower(scratch.path());
  REQUIRE(follower.repository().set_marker(Marker::applied, first));
  follower.settle();
  REQUIRE(follower.repository().set_marker(Marker::applied, second));
  CHECK(follower.is_quiet());
}

TEST_CASE("a repository that is deleted, moved away or exchanged is noticed, and so is the one after it") {
  ScratchRepository scratch;
  ObjectId first = scratch.commit("a", "1");
  Follower follower(scratch.path());
  auto is_gone = [](const auto& tip) { return !tip; };

  SECTION("deleted, with its folder") {
    ScratchRepository::shell("rm -rf " + scratch.path());
    CHECK(follower.sees("main", is_gone));
    ScratchRepository::shell("git init -q -b main " + scratch.path());
    ObjectId again = scratch.commit("b", "2");
    CHECK(follower.sees_tip("main", again));
    ObjectId more = scratch.commit("b", "3");
    CHECK(follower.sees_tip("main", more));
  }
  SECTION("moved away and back") {
    ScratchRepository::shell("mv " + scratch.path() + " " + scratch.beside("away"));
    CHECK(follower.sees("main", is_gone));
    ScratchRepository::shell("git -C " + scratch.beside("away") + " commit -q --allow-empty -m x");
    ScratchRepository::shell("mv " + scratch.beside("away") + " " + scratch.path());
    CHECK(follower.sees_tip("main", scratch.id("main")));
    CHECK(scratch.id("main") != first);
  }
  SECTION("refs deleted and made again") {
    ScratchRepository::shell("mv " + scratch / ".git/refs" + " " + scratch.beside("refs"));
    follower.sees("main", [](const auto&) { return true; });
    ScratchRepository::shell("mv " + scratch.beside("refs") + " " + scratch / ".git/refs");
    CHECK(follower.sees_tip("main", first));
  }
}

TEST_CASE("where there are no watches to be had, the error says so and the caller polls") {
  ScratchRepository scratch;
  scratch.commit("a", "1");
  auto repository = Repository::open(scratch.path());
  REQUIRE(repository);
  // Limits of a user namespace bind only what is in it, so the rest of the machine keeps its own.
  int pipe_fds[2];
  REQUIRE(pipe(pipe_fds) == 0);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::string message = "SKIP";
    if (unshare(CLONE_NEWUSER) == 0 &&
        (std::ofstream("/proc/sys/user/max_inotify_watches") << "3" << std::flush)) {
      auto watcher = RefWatcher::open(repository->git_dir(), repository->common_dir());
      message = watcher ? "it opened"
                        : (watcher.error().code == ErrorCode::unavailable ? "" : "wrong code: ") +
                              watcher.error().message;
    }
    [[maybe_unused]] auto size = write(pipe_fds[1], message.data(), message.size());
    _exit(0);
  }
  close(pipe_fds[1]);
  char buffer[512];
  ssize_t size = read(pipe_fds[0], buffer, sizeof buffer);
  close(pipe_fds[0]);
  waitpid(child, nullptr, 0);
  std::string message(buffer, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  if (message == "SKIP") GITPROC_SKIP("no user namespaces");
  CHECK(message.starts_with("cannot watch '"));
  CHECK(message.ends_with("(fs.inotify.max_user_watches)"));
}

TEST_CASE("hundreds of random moves of refs: after each, the tip is what git says") {
  ScratchRepository scratch;
  std::vector<ObjectId> commits;
  for (int i = 0; i < 6; ++i)
    commits.push_back(scratch.commit("a", std::to_string(i)));
  scratch.git("checkout -q --detach");
  const std::vector<std::string> branches = {"main", "a/b", "a/b2/c", "x", "x2/y/z", "deep/er/and/deep/er"};
  Follower follower(scratch.path());
  unsigned seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  auto pick = [&](auto& from) -> auto& { return from[random() % from.size()]; };
  auto tip_by_git = [&](const std::string& branch) -> std::optional<ObjectId> {
    std::string out = scratch.git("rev-parse -q --verify refs/heads/" + branch + " || true");
    return ObjectId::parse(out);
  };
  for (int step = 0; step < 300; ++step) {
    const std::string& branch = pick(branches);
    auto before = tip_by_git(branch);
    std::string operation;
    switch (random() % 5) {
      case 0: operation = "update-ref -d refs/heads/" + branch; break;
      case 1: operation = "pack-refs --all"; break;
      default: operation = "update-ref refs/heads/" + branch + " " + pick(commits).hex();
    }
    INFO("step " << step << ": " << operation);
    scratch.git(operation);
    auto expected = tip_by_git(branch);
    if (expected != before) {
      REQUIRE(follower.sees_tip(branch, expected));
    } else {
      follower.settle();
      REQUIRE(holds(follower.repository().tip(branch), expected));
    }
  }
}
