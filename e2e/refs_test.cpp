// Every way in which git moves refs, thousands of times while the agent watches: after each burst it knows the same
// branch and the same tip as git. A move that was missed would be found by the rescan only, long after the patience here.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <set>

#include "e2e/harness.h"

using namespace e2e;

namespace {

constexpr unsigned commit_count = 48;
constexpr int longest_burst = 10;
// Less than the agent's rescan of 60 s, which hides a miss.
constexpr std::chrono::seconds patience_for_a_burst{25};

// One long `git update-ref --stdin`: git's own code moves each ref in a transaction, without a process for each.
class RefSession {
 public:
  explicit RefSession(const std::string& repository) {
    int to[2], from[2];
    REQUIRE((::pipe2(to, O_CLOEXEC) == 0 && ::pipe2(from, O_CLOEXEC) == 0));
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(to[0], 0);
      ::dup2(from[1], 1);
      ::execlp("git", "git", "-C", repository.c_str(), "update-ref", "--stdin", nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    in_ = ::fdopen(to[1], "w");
    out_ = ::fdopen(from[0], "r");
  }
  ~RefSession() {
    std::fclose(in_);
    std::fclose(out_);
    ::waitpid(pid_, nullptr, 0);
  }
  RefSession(const RefSession&) = delete;
  RefSession& operator=(const RefSession&) = delete;

  void update(const std::string& ref, const std::string& id) { transact("update " + ref + " " + id); }
  void remove(const std::string& ref) { transact("delete " + ref); }

 private:
  void transact(const std::string& what) {
    std::fprintf(in_, "start\n%s\ncommit\n", what.c_str());
    std::fflush(in_);
    for (const char* wanted : {"start: ok\n", "commit: ok\n"}) {
      char line[256] = "";
      INFO(what);
      REQUIRE(std::fgets(line, sizeof line, out_) != nullptr);
      REQUIRE(std::string(line) == wanted);
    }
  }

  pid_t pid_ = -1;
  std::FILE* in_ = nullptr;
  std::FILE* out_ = nullptr;
};

class RefStorm {
 public:
  RefStorm(Sandbox& box, unsigned seed) : box_(box), random_(seed), session_(box.repo()) {
    for (unsigned i = 0; i < commit_count; ++i) {
      box_.write("data", std::to_string(i));
      commits_.push_back(box_.commit(std::to_string(i)));
      // gc is to keep all of them, whatever the branches do.
      session_.update("refs/keep/" + std::to_string(i), commits_.back());
    }
    branches_ = {"main"};
    run({"git", "clone", "-q", "--bare", box_.repo(), box_.path("other.git")});
    box_.git({"config", "receive.denyCurrentBranch", "ignore"});
    box_.git({"config", "gc.auto", "0"});
    box_.git({"config", "advice.detachedHead", "false"});
  }

  // One operation, of plumbing mostly: an ordinary command is a process or many.
  void step() {
    unsigned choice = below(1000);
    if (choice < 500) return move(followed_);
    if (choice < 650) return add_nested();
    if (choice < 780) return remove_nested();
    if (choice < 840) return delete_and_recreate();
    if (choice < 880) return session_.update("refs/tags/t" + std::to_string(below(20)), any_commit());
    if (choice < 915) return move_head();
    if (choice < 930) return replace_by_folder();
    if (choice < 950) return command({"pack-refs", "--all"});
    if (choice < 970) return force_push();
    if (choice < 985) return command({"branch", "-q", "-f", free_branch(), any_commit()});
    if (choice < 993) return in_worktree();
    if (choice < 997) return rename();
    return command({"gc", "-q"});
  }

  // The branch that HEAD names and its tip, "" where it has none, as git says now.
  std::pair<std::string, std::string> as_git_says() {
    auto line = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.begin(), {"git", "-C", box_.repo()});
      std::string out = run(arguments).out;
      return out.substr(0, out.find('\n'));
    };
    std::string branch = line({"symbolic-ref", "--short", "HEAD"});
    return {branch, line({"rev-parse", "-q", "--verify", "refs/heads/" + branch})};
  }

 private:
  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  const std::string& any_commit() { return commits_[below(commit_count)]; }
  void command(std::vector<std::string> arguments) { box_.git(std::move(arguments)); }

  void move(const std::string& branch) {
    session_.update("refs/heads/" + branch, any_commit());
    branches_.insert(branch);
  }
  void drop(const std::string& branch) {
    session_.remove("refs/heads/" + branch);
    branches_.erase(branch);
  }

  // New folders appear, and go with their last ref.
  std::string nested() {
    std::string name = "topic";
    for (unsigned depth = below(4) + 1; depth > 0; --depth)
      name += "/" + std::to_string(below(4)) + "d";
    return name + "/leaf";
  }
  void add_nested() { move(nested()); }
  void remove_nested() {
    std::string name = nested();
    if (branches_.contains(name) && name != followed_) return drop(name);
    add_nested();
  }

  void delete_and_recreate() {
    if (branches_.contains(followed_)) drop(followed_);
    if (below(4) != 0) move(followed_);
  }

  // HEAD names another branch, born or not.
  void move_head() {
    const std::string names[] = {"main", "side", "deep/er/branch", nested()};
    followed_ = names[below(4)];
    command({"symbolic-ref", "HEAD", "refs/heads/" + followed_});
  }

  // Where a branch was a file there is a folder, and then a file again.
  void replace_by_folder() {
    if (followed_ != "main" && followed_ != "side") return move(followed_);
    if (branches_.contains(followed_)) drop(followed_);
    move(followed_ + "/below");
    drop(followed_ + "/below");
    move(followed_);
  }

  void force_push() {
    std::string target = "refs/heads/" + followed_;
    Outcome pushed = run({"git", "-C", box_.path("other.git"), "push", "-q", "--force", box_.repo(),
                          any_commit() + ":" + target});
    INFO(pushed.err);
    REQUIRE(pushed.exit_code == 0);
    branches_.insert(followed_);
  }

  // `git branch` moves none that is checked out.
  std::string free_branch() {
    std::string name = followed_ == "side" ? "main" : "side";
    branches_.insert(name);
    return name;
  }

  // A commit in a linked working tree that shows the branch, too.
  void in_worktree() {
    move(followed_);
    std::string tree = box_.path("worktree");
    command({"worktree", "add", "-q", "--force", tree, followed_});
    Outcome committed = run({"git", "-C", tree, "commit", "-q", "--allow-empty", "-m", "elsewhere"});
    INFO(committed.err);
    REQUIRE(committed.exit_code == 0);
    command({"worktree", "remove", "--force", tree});
  }

  // HEAD goes along, and back.
  void rename() {
    move(followed_);
    if (branches_.contains("moved")) drop("moved");
    command({"branch", "-m", followed_, "moved"});
    command({"branch", "-m", "moved", followed_});
  }

  Sandbox& box_;
  std::mt19937 random_;
  RefSession session_;
  std::vector<std::string> commits_;
  std::set<std::string> branches_;
  std::string followed_ = "main";
};

// A branch that is not there is an error, and what was its tip stays in force.
bool agrees(const Json& status, const std::string& tip) {
  bool is_missing = status["error"].get<std::string>().find("does not exist") != std::string::npos;
  return tip.empty() ? is_missing : !is_missing && status["branch_commit"] == tip;
}

}  // namespace

// GITPROC_REF_OPERATIONS sets another number, GITPROC_SEED repeats a run.
TEST_CASE("thousands of moves of refs by every means, and none is missed") {
  const char* wanted = std::getenv("GITPROC_REF_OPERATIONS");
  const char* given_seed = std::getenv("GITPROC_SEED");
  int operations = wanted != nullptr ? std::atoi(wanted) : 3'000;
  unsigned seed =
      static_cast<unsigned>(given_seed != nullptr ? std::atol(given_seed) : static_cast<long>(::getpid()));
  std::cout << "seed " << seed << ", " << operations << " operations\n";
  Sandbox box;
  box.write("web.service", "[Service]\nExecStart=/bin/sleep 1000\n");
  RefStorm storm(box, seed);
  box.start_agent();
  box.expect_state("web", "running");
  pid_t web = box.pid("web");

  std::mt19937 random(seed + 1);
  int done = 0, bursts = 0, missed = 0;
  std::chrono::steady_clock::duration longest{};
  while (done < operations && missed == 0) {
    for (int left = 1 + static_cast<int>(random() % longest_burst); left > 0 && done < operations; --left) {
      storm.step();
      ++done;
    }
    ++bursts;
    auto [branch, tip] = storm.as_git_says();
    auto began = std::chrono::steady_clock::now();
    Json status;
    bool is_seen = wait_until(
        [&] {
          status = Json::parse(box.ask(R"({"command":"status"})"))["data"];
          return status["branch"] == branch && agrees(status, tip);
        },
        patience_for_a_burst);
    longest = std::max(longest, std::chrono::steady_clock::now() - began);
    INFO("after " << done << " operations git says " << branch << " at '" << tip << "'; the agent "
                  << status.dump());
    CHECK(is_seen);
    missed += is_seen ? 0 : 1;
  }
  std::cout << done << " operations in " << bursts << " bursts, " << missed << " missed; seen after "
            << std::chrono::duration_cast<std::chrono::milliseconds>(longest).count() << " ms at most\n";
  // All that was data: nothing of it concerned the service.
  CHECK(box.pid("web") == web);
  auto [branch, tip] = storm.as_git_says();
  if (!tip.empty()) box.expect_applied(tip);
}
