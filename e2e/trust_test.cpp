// Signatures: only what listed people have signed comes to run, and the reason is told where it does not.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "e2e/harness.h"

using namespace e2e;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

bool has_ssh_keygen() { return ::access("/usr/bin/ssh-keygen", X_OK) == 0; }
bool has_gpg() { return ::access("/usr/bin/gpg", X_OK) == 0 && ::access("/usr/bin/gpgv", X_OK) == 0; }

// A sandbox whose git signs with SSH keys that it made.
class SigningBox : public Sandbox {
 public:
  SigningBox() {
    make_key("ada");
    make_key("eve");
    list("ada");
    git({"config", "gpg.format", "ssh"});
    sign_as("ada");
  }

  void make_key(const std::string& name) {
    Outcome made = run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path(name)});
    REQUIRE(made.exit_code == 0);
  }
  void list(const std::string& name, const std::string& options = "") {
    write_text(path("signers"), name + "@example.org " + options + read_text(path(name + ".pub")));
  }
  // "": nobody signs.
  void sign_as(const std::string& name) {
    git({"config", "commit.gpgSign", name.empty() ? "false" : "true"});
    if (!name.empty()) git({"config", "user.signingKey", path(name)});
  }
  void start(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--set", "verify.allowed_signers=" + path("signers")});
    start_agent(std::move(more));
  }
  // The first commit of a repository that signs; an agent runs it.
  std::string start_with_one_service() {
    write("web.service", sleeper);
    std::string good = commit("good");
    start();
    expect_applied(good);
    return good;
  }

  std::string marker(const std::string& name) {
    std::string hash = run({"git", "-C", repo(), "rev-parse", "-q", "--verify", "refs/gitproc/" + name}).out;
    return hash.substr(0, hash.find('\n'));
  }
  // The node stays on `applied` and says why it does not go on to the tip.
  void expect_refused(const std::string& tip, const std::string& applied, const std::string& reason) {
    expect("the tip to be refused: " + reason, [&] {
      Json now = status();
      return now["branch_commit"] == tip && now["sync"] == "rejected" &&
             has(now["error"].get<std::string>(), reason);
    });
    Json now = status();
    if (applied.empty()) {
      CHECK(now["applied_commit"].is_null());
    } else {
      CHECK(now["applied_commit"] == applied);
    }
    CHECK(now["warnings"][0]["message"] == now["error"]);
  }
};

}  // namespace

TEST_CASE("what listed people have signed runs, and what nobody or somebody else has signed does not") {
  if (!has_ssh_keygen()) GITPROC_SKIP("needs ssh-keygen");
  SigningBox box;
  std::string good = box.start_with_one_service();
  pid_t web = box.pid("web");
  CHECK(box.state("web") == "running");
  CHECK(box.marker("verified") == good);

  // A file with a mistake: it would be told, had it been looked at.
  box.sign_as("");
  box.write("web.service", "[Service]\nExecStart=/bin/sleep 1\nRestart=sometimes\n");
  std::string plain = box.commit("unsigned");
  box.expect_refused(plain, good, "is not signed");
  CHECK_FALSE(has(box.cli({"status"}).out, "sometimes"));
  CHECK(box.pid("web") == web);
  CHECK(box.marker("verified") == good);
  Json history = box.cli_json({"history"})["history"];
  CHECK(history[0]["commit"] == plain);
  CHECK(history[0]["outcome"] == "rejected");
  CHECK(has(history[0]["message"].get<std::string>(), "is not signed"));
  Outcome sync = box.cli({"sync"});
  CHECK(sync.exit_code == 1);
  CHECK(has(sync.out + sync.err, "is not signed"));

  // Signing what follows does not help: the unsigned one would come along.
  box.sign_as("ada");
  box.write("web.service", sleeper);
  box.expect_refused(box.commit("on top"), good, "brings in, is not signed");

  box.git({"reset", "-q", "--hard", good});
  box.sign_as("eve");
  std::string foreign = box.commit("of somebody else");
  box.expect_refused(foreign, good, "is signed by an SSH key that is not listed");
  // The agent's keys are those of its configuration; once they list the key, asking again helps.
  write_text(box.path("signers"),
             read_text(box.path("signers")) + "eve@example.org " + read_text(box.path("eve.pub")));
  CHECK(box.cli({"sync"}).exit_code == 1);
  CHECK(box.cli({"sync", "--retry"}).exit_code == 0);
  box.expect_applied(foreign);
  CHECK(box.pid("web") == web);
}

TEST_CASE("a signed merge does not hide what is unsigned") {
  if (!has_ssh_keygen()) GITPROC_SKIP("needs ssh-keygen");
  SigningBox box;
  std::string good = box.start_with_one_service();
  box.git({"checkout", "-q", "-b", "side"});
  box.sign_as("");
  box.write("side.service", sleeper);
  std::string hidden = box.commit("hidden");
  box.sign_as("ada");
  box.git({"checkout", "-q", "main"});
  box.git({"merge", "-q", "--no-ff", "-m", "merge", "side"});
  box.expect_refused(box.head(), good, "commit " + hidden.substr(0, 12) + ", which");
  CHECK(box.state("side") == "(none)");
}

TEST_CASE("a key that has expired signs nothing new, however it is dated, what it signed before stays") {
  if (!has_ssh_keygen()) GITPROC_SKIP("needs ssh-keygen");
  SigningBox box;
  std::string first = box.start_with_one_service();
  std::string second = box.commit("good, too");
  box.expect_applied(second);
  box.list("ada", "valid-before=\"20200101\" ");
  ::setenv("GIT_COMMITTER_DATE", "2019-06-01T00:00:00Z", 1);
  std::string dated_back = box.commit("dated back");
  ::unsetenv("GIT_COMMITTER_DATE");
  box.expect_refused(dated_back, second, "an SSH key that has expired");

  box.git({"reset", "-q", "--hard", second});
  box.expect_sync("synced");
  CHECK(box.cli({"rollback", first}).exit_code == 0);
  CHECK(box.status()["applied_commit"] == first);
  // A restart asks no questions again about what was verified.
  box.stop_agent();
  box.start();
  box.expect_applied(first);
  CHECK(box.cli({"sync"}).exit_code == 0);
  CHECK(box.status()["applied_commit"] == second);
}

TEST_CASE("an older tip is no news, not even after a restart or without its ref") {
  if (!has_ssh_keygen()) GITPROC_SKIP("needs ssh-keygen");
  SigningBox box;
  std::string first = box.start_with_one_service();
  std::string second = box.commit("second");
  box.expect_applied(second);
  box.git({"reset", "-q", "--hard", first});
  box.expect_refused(first, second, "is older than " + second.substr(0, 12));
  CHECK(box.status()["services"]["running"] == 1);
  // An operator may go back to it; that is not the branch's doing.
  CHECK(box.cli({"rollback", first}).exit_code == 0);
  CHECK(box.status()["pinned"]["commit"] == first);
  CHECK(box.cli({"sync"}).exit_code == 1);

  box.stop_agent();
  // Whoever can push can move or remove a ref; what was verified is remembered elsewhere.
  box.git({"update-ref", "refs/gitproc/verified", first});
  box.start();
  box.expect_refused(first, first, "is older than " + second.substr(0, 12));
  box.git({"reset", "-q", "--hard", second});
  box.expect_applied(second);
}

TEST_CASE("a rollback or a switch to what is not signed is refused, and what runs goes on") {
  if (!has_ssh_keygen()) GITPROC_SKIP("needs ssh-keygen");
  SigningBox box;
  box.sign_as("");
  box.write("web.service", sleeper);
  std::string before_all = box.commit("before there were signatures");
  box.sign_as("ada");
  std::string good = box.commit("good");
  box.git({"branch", "testing"});
  box.start();
  box.expect_applied(good);
  pid_t web = box.pid("web");

  Outcome rollback = box.cli({"rollback", before_all});
  CHECK(rollback.exit_code == 1);
  CHECK(has(rollback.out + rollback.err, "is not signed"));
  CHECK(box.status()["pinned"].is_null());
  box.expect_sync("synced");

  box.git({"checkout", "-q", "testing"});
  box.sign_as("");
  box.write("other.service", sleeper);
  std::string plain = box.commit("unsigned");
  box.git({"checkout", "-q", "main"});
  CHECK(box.cli({"rollback", plain}).exit_code == 1);
  box.expect_sync("synced");
  box.cli({"switch", "testing"});
  box.expect_refused(plain, good, "is not signed");
  CHECK(box.pid("web") == web);
  CHECK(box.state("other") == "(none)");
  CHECK(box.cli({"switch"}).exit_code == 0);
  box.expect_sync("synced");
  CHECK(box.pid("web") == web);

  Outcome plan = box.cli({"plan", plain});
  CHECK(plan.exit_code == 1);
  CHECK(has(plan.out + plan.err, "is not signed"));
}

TEST_CASE("a remote's tip that is refused leaves the local branch where it was") {
  if (!has_ssh_keygen()) GITPROC_SKIP("needs ssh-keygen");
  SigningBox box;
  std::string served = box.path("served.git"), clone = box.path("clone");
  run({"git", "init", "-q", "--bare", "-b", "main", served});
  box.git({"remote", "add", "origin", served});
  auto push = [&](const std::string& message) {
    std::string id = box.commit(message);
    box.git({"push", "-q", "--force", "origin", "main"});
    return id;
  };
  auto in_clone = [&](const std::string& ref) {
    std::string hash = run({"git", "-C", clone, "rev-parse", "-q", "--verify", ref}).out;
    return hash.substr(0, hash.find('\n'));
  };
  std::vector<std::string> remote = {"--set", "repo=" + clone,          "--set", "remote.url=" + served,
                                     "--set", "remote.poll_interval=1s"};
  box.write("web.service", sleeper);
  std::string good = push("good");
  box.start(remote);
  box.expect_applied(good);
  box.expect("the local branch", [&] { return in_clone("refs/heads/main") == good; });

  box.sign_as("");
  std::string plain = push("unsigned");
  box.expect_refused(plain, good, "is not signed");
  CHECK(in_clone("refs/remotes/origin/main") == plain);
  CHECK(in_clone("refs/heads/main") == good);
  box.kill_agent();
  box.start(remote);
  box.expect_refused(plain, good, "is not signed");
  CHECK(in_clone("refs/heads/main") == good);

  // Its author takes it back.
  box.git({"reset", "-q", "--hard", good});
  box.sign_as("ada");
  std::string mended = push("signed");
  box.expect_applied(mended);
  box.expect("the local branch to come along", [&] { return in_clone("refs/heads/main") == mended; });
  CHECK(box.status()["sync"] == "synced");
}

TEST_CASE("mode tip judges the tip alone") {
  if (!has_ssh_keygen()) GITPROC_SKIP("needs ssh-keygen");
  SigningBox box;
  box.write("web.service", sleeper);
  std::string first = box.commit("good");
  box.start({"--set", "verify.mode=tip"});
  box.expect_applied(first);
  box.sign_as("");
  std::string plain = box.commit("unsigned");
  box.expect_refused(plain, first, "is not signed");
  box.sign_as("ada");
  std::string good = box.commit("signed on top");
  box.expect_applied(good);
  CHECK(box.cli({"rollback", plain}).exit_code == 1);
}

TEST_CASE("verify.since is where the first range begins") {
  if (!has_ssh_keygen()) GITPROC_SKIP("needs ssh-keygen");
  SigningBox box;
  box.sign_as("");
  box.write("web.service", sleeper);
  std::string base = box.commit("before there were signatures");
  std::string plain = box.commit("unsigned");
  box.sign_as("ada");
  std::string tip = box.commit("good");
  box.start({"--set", "verify.since=" + base});
  box.expect_refused(tip, "", "brings in, is not signed");
  CHECK(box.status()["services"]["total"] == 0);
  box.stop_agent();
  box.start({"--set", "verify.since=" + plain});
  box.expect_applied(tip);
  CHECK(box.state("web") == "running");
}

TEST_CASE("a node that begins to verify judges what it runs, too, and goes on running it") {
  if (!has_ssh_keygen()) GITPROC_SKIP("needs ssh-keygen");
  SigningBox box;
  box.sign_as("");
  box.write("web.service", counting_unit(box.path("starts")));
  std::string plain = box.commit("unsigned");
  box.start_agent({"--set", "on_exit=leave"});
  box.expect_applied(plain);
  pid_t web = box.pid("web");
  box.stop_agent();
  box.start();
  box.expect_refused(plain, plain, "is not signed");
  CHECK(box.pid("web") == web);
  box.sign_as("ada");
  std::string good = box.commit("good");
  box.expect_applied(good);
  CHECK(box.pid("web") == web);
}

TEST_CASE("OpenPGP signatures are judged by the keyring, armoured or not") {
  if (!has_gpg()) GITPROC_SKIP("needs gpg and gpgv (package gnupg)");
  Sandbox box;
  // The agent of GnuPG wants a short path for its socket.
  std::string home = box.path("g");
  ::mkdir(home.c_str(), 0700);
  auto gpg = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""});
    return run(arguments);
  };
  for (const char* name : {"ada", "eve"}) {
    REQUIRE(gpg({"--quick-gen-key", std::string(name) + " <" + name + "@example.org>", "ed25519", "sign",
                 "never"})
                .exit_code == 0);
  }
  REQUIRE(gpg({"--armor", "--output", box.path("keyring"), "--export", "ada"}).exit_code == 0);
  write_text(box.path("sign"), "#!/bin/sh\nexec gpg --homedir " + home + " --batch \"$@\"\n");
  ::chmod(box.path("sign").c_str(), 0755);
  box.git({"config", "gpg.program", box.path("sign")});
  box.git({"config", "commit.gpgSign", "true"});
  box.git({"config", "user.signingKey", "ada@example.org"});
  box.write("web.service", sleeper);
  std::string good = box.commit("good");
  box.start_agent({"--set", "verify.keyring=" + box.path("keyring")});
  box.expect_applied(good);
  box.git({"config", "user.signingKey", "eve@example.org"});
  box.commit("of somebody else");
  box.expect_sync("rejected");
  CHECK(has(box.status()["error"].get<std::string>(), "which is not listed"));
  CHECK(box.status()["applied_commit"] == good);
  run({"gpgconf", "--homedir", home, "--kill", "all"});
}

TEST_CASE("the policy is read again while the agent runs, and nothing restarts for it") {
  if (!has_ssh_keygen()) GITPROC_SKIP("needs ssh-keygen");
  SigningBox box;
  auto configure = [&](const std::string& more) { write_text(box.path("config.json"), "{" + more + "}"); };
  auto reload = [&](const std::string& key) {
    Json answer = box.cli_json({"agent-reload"});
    INFO(answer.dump());
    CHECK(answer["changed"].dump().find('"' + key + '"') != std::string::npos);
    CHECK(answer["needs_restart"].empty());
  };
  configure("");
  box.sign_as("");
  box.write("web.service", counting_unit(box.path("starts")));
  std::string plain = box.commit("unsigned");
  box.start_agent({"--config", box.path("config.json")});
  box.expect_applied(plain);
  pid_t web = box.pid("web");

  configure(R"("verify": {"allowed_signers": ")" + box.path("signers") + "\"}");
  reload("verify.allowed_signers");
  box.expect_refused(plain, plain, "is not signed");
  box.sign_as("ada");
  std::string good = box.commit("signed");
  box.expect_applied(good);
  box.sign_as("");
  std::string again = box.commit("unsigned again");
  box.expect_refused(again, good, "is not signed");
  configure(R"("prune_guard": false)");
  reload("prune_guard");
  box.expect_applied(again);
  CHECK(box.pid("web") == web);
  // By the signal, too; and a mistake leaves all as it was.
  configure(R"("verify": {"keyring": ")" + box.path("nothing") + "\"}");
  CHECK(box.cli({"agent-reload"}).exit_code == 1);
  CHECK(box.status()["sync"] == "synced");
  configure(R"("verify": {"allowed_signers": ")" + box.path("signers") + "\"}");
  ::kill(box.agent_pid(), SIGHUP);
  box.expect_refused(again, again, "is not signed");
  CHECK(box.pid("web") == web);
}

TEST_CASE("a policy that cannot be carried out is a mistake of the configuration") {
  Sandbox box;
  box.write("web.service", sleeper);
  box.commit();
  Outcome missing = box.run_agent_to_its_end({"--set", "verify.keyring=" + box.path("nothing")});
  CHECK(missing.exit_code == 2);
  CHECK(has(missing.err, "'verify.keyring': cannot open"));
  Outcome no_keys = box.run_agent_to_its_end({"--set", "verify.mode=tip"});
  CHECK(no_keys.exit_code == 2);
  CHECK(has(no_keys.err, "verify.allowed_signers"));
}

TEST_CASE("a cloned disk does not take over what was decided for the other machine") {
  Sandbox box;
  box.write("web.service", sleeper);
  std::string first = box.commit("first");
  box.start_agent();
  box.expect_applied(first);
  if (!has(read_text(box.path("state/state.json")), "\"machine\": \"") ||
      has(read_text(box.path("state/state.json")), "\"machine\": \"\"")) {
    GITPROC_SKIP("this machine has no machine-id");
  }
  std::string second = box.commit("second");
  box.expect_applied(second);
  CHECK(box.cli({"rollback", first}).exit_code == 0);
  CHECK(box.cli({"stop", "web"}).exit_code == 0);
  box.stop_agent();
  std::string state = read_text(box.path("state/state.json"));
  std::size_t id = state.find("\"machine\": \"") + 12;
  std::string other(32, 'e');
  write_text(box.path("state/state.json"), state.replace(id, 32, other));

  box.start_agent();
  box.expect_applied(second);
  CHECK(box.status()["pinned"].is_null());
  CHECK(box.state("web") == "running");
  CHECK(has(box.status()["unavailable"].dump(), "cloned from machine " + other));
  CHECK(has(read_text(box.path("state/state.json.other-machine-1")), other));
  box.stop_agent();
  box.start_agent();
  CHECK_FALSE(has(box.status()["unavailable"].dump(), "cloned"));
}
