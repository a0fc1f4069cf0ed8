// Real signatures by real programs, with keys made for the test.
#include "drivers/git/signatures.h"

#include <sys/stat.h>

#include "drivers/git/scratch_repository.h"
#include "drivers/git/tool.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class Signers : public ScratchRepository {
 public:
  void make_ssh_key(const std::string& name) const {
    shell("ssh-keygen -q -t ed25519 -N '' -C " + name + " -f " + beside(name));
  }
  std::string public_key(const std::string& name) const { return shell("cat " + beside(name + ".pub")); }
  void list(const std::string& lines) const { write("../signers", lines + "\n"); }
  ObjectId ssh_commit(const std::string& key, const std::string& message = "signed") const {
    git("config gpg.format ssh && git -C " + path() + " config user.signingKey " + beside(key));
    git("commit -q --allow-empty -S -m '" + message + "'");
    return id("HEAD");
  }

  // `time`: when the key is made.
  void make_openpgp_key(const std::string& name, const std::string& expiry = "never",
                        const std::string& time = "") const {
    std::string home = beside("gnupg");
    shell("mkdir -p -m 700 " + home + " && gpg --homedir " + home + " --batch --quiet --passphrase '' " +
          (time.empty() ? "" : "--faked-system-time " + time + " ") + "--quick-gen-key '" + name + " <" +
          name + "@example.org>' ed25519 sign " + expiry);
  }
  void export_keys(const std::string& names, const std::string& options = "") const {
    shell("gpg --homedir " + beside("gnupg") + " --batch --export " + options + " " + names + " > " +
          beside("keyring"));
  }
  ObjectId openpgp_commit(const std::string& key, const std::string& time = "") const {
    std::string program = beside("gpg-of-test");
    shell("printf '#!/bin/sh\\nexec gpg --homedir " + beside("gnupg") + " --batch " +
          (time.empty() ? "" : "--faked-system-time " + time + " ") + "\"$@\"\\n' > " + program +
          " && chmod 755 " + program);
    git("config gpg.format openpgp && git -C " + path() + " config gpg.program " + program + " && git -C " +
        path() + " config user.signingKey " + key + "@example.org");
    git("commit -q --allow-empty -S -m 'signed by " + key + "'");
    return id("HEAD");
  }
  ~Signers() { (void)::system(("gpgconf --homedir " + beside("gnupg") + " --kill all 2>/dev/null").c_str()); }

  // "" when it is good.
  std::string judge(const ObjectId& commit) {
    Result<Repository> repository = Repository::open(path());
    if (!repository) return repository.error().message;
    auto judgement = judge_commit(*repository, policy, {commit, "main", verified});
    if (!judgement) return "fault: " + judgement.error().message;
    if (!judgement->reasons.empty()) return judgement->reasons.front();
    remember(verified, judgement->verified);
    return "";
  }

  SignaturePolicy policy;
  VerifiedCommits verified;
};

}  // namespace

TEST_CASE("a commit signed with a listed SSH key is good, and no other is") {
  if (!find_tool("ssh-keygen")) GITPROC_SKIP("needs ssh-keygen");
  Signers box;
  box.make_ssh_key("ada");
  box.make_ssh_key("eve");
  box.policy.allowed_signers = box.beside("signers");
  box.list("bob@example.org,ada@example.org namespaces=\"git\" " + box.public_key("ada"));
  ObjectId good = box.ssh_commit("ada");
  CHECK(box.judge(good) == "");

  ObjectId foreign = box.ssh_commit("eve");
  CHECK(box.judge(foreign) ==
        "commit " + foreign.abbreviated() + " is signed by an SSH key that is not listed");
  box.git("reset -q --hard " + good.hex());
  CHECK(has(box.judge(box.commit("plain")), "is not signed"));

  SECTION("nor one whose content was changed afterwards") {
    box.git("reset -q --hard " + good.hex());
    std::string forged = box.git("cat-file commit HEAD | sed s/signed/forged/ | git -C " + box.path() +
                                 " hash-object -t commit -w --stdin");
    CHECK(has(box.judge(*ObjectId::parse(forged)), "carries a bad SSH signature"));
  }
  SECTION("nor one of a key that has expired, whatever its date says") {
    box.git("reset -q --hard " + good.hex());
    box.list("ada@example.org valid-before=\"20200101\" " + box.public_key("ada"));
    ScratchRepository::shell(
        "cd " + box.path() + " && git config user.signingKey " + box.beside("ada") +
        " && GIT_COMMITTER_DATE=2019-06-01T00:00:00Z git commit -q --allow-empty -S -m old");
    CHECK(has(box.judge(box.id("HEAD")), "an SSH key that has expired"));
    CHECK(box.judge(good) == "");  // verified before
  }
  SECTION("nor one of a key that is listed for something else") {
    box.git("reset -q --hard " + good.hex());
    box.list("ada@example.org namespaces=\"file\" " + box.public_key("ada"));
    CHECK_FALSE(box.judge(box.ssh_commit("ada")) == "");
  }
  SECTION("a key that is listed later counts from then on") {
    box.list("ada@example.org " + box.public_key("ada") + "\neve@example.org " + box.public_key("eve"));
    box.git("reset -q --hard " + good.hex());
    CHECK(box.judge(box.ssh_commit("eve")) == "");
  }
  SECTION("a certificate of a listed authority is good") {
    ScratchRepository::shell("ssh-keygen -q -s " + box.beside("ada") + " -I eve -n eve@example.org " +
                             box.beside("eve.pub"));
    box.list("*@example.org cert-authority " + box.public_key("ada"));
    box.git("reset -q --hard " + good.hex());
    CHECK(box.judge(box.ssh_commit("eve-cert.pub")) == "");
  }
}

TEST_CASE("a signed merge does not hide an unsigned commit") {
  if (!find_tool("ssh-keygen")) GITPROC_SKIP("needs ssh-keygen");
  Signers box;
  box.make_ssh_key("ada");
  box.policy.allowed_signers = box.beside("signers");
  box.list("ada@example.org " + box.public_key("ada"));
  CHECK(box.judge(box.ssh_commit("ada", "first")) == "");
  box.git("checkout -q -b side");
  ObjectId plain = box.commit("plain");
  box.git("checkout -q main");
  box.git("merge -q --no-ff -S -m merge side");
  CHECK(box.judge(box.id("HEAD")) == "commit " + plain.abbreviated() + ", which " +
                                         box.id("HEAD").abbreviated() + " brings in, is not signed");
  // Not even where the repository says that the merge has no such parent.
  box.git("rev-parse HEAD > " + box.path() + "/.git/shallow");
  CHECK(has(box.judge(box.id("HEAD")), "is not signed"));
}

TEST_CASE("a commit signed with a key of the OpenPGP keyring is good, and no other is") {
  if (!find_tool("gpgv") || !find_tool("gpg")) GITPROC_SKIP("needs gpg and gpgv (package gnupg)");
  Signers box;
  box.make_openpgp_key("ada");
  box.make_openpgp_key("eve");
  box.make_openpgp_key("old", "30d", "20200101T000000");
  box.policy.keyring = box.beside("keyring");
  SECTION("binary") { box.export_keys("ada old"); }
  SECTION("armoured") { box.export_keys("ada old", "--armor"); }
  ObjectId good = box.openpgp_commit("ada");
  CHECK(box.judge(good) == "");
  CHECK(has(box.judge(box.openpgp_commit("eve")), "which is not listed"));
  box.git("reset -q --hard " + good.hex());
  CHECK(has(box.judge(box.openpgp_commit("old", "20200110T000000")), "which has expired"));
  box.git("reset -q --hard " + good.hex());
  std::string forged = box.git("cat-file commit HEAD | sed s/signed/forged/ | git -C " + box.path() +
                               " hash-object -t commit -w --stdin");
  CHECK(has(box.judge(*ObjectId::parse(forged)), "carries a bad signature"));
}

TEST_CASE("a signature of a kind for which no keys are set is refused") {
  if (!find_tool("ssh-keygen")) GITPROC_SKIP("needs ssh-keygen");
  Signers box;
  box.make_ssh_key("ada");
  box.policy.keyring = box.beside("keyring");
  box.write("../keyring", "x");
  CHECK(has(box.judge(box.ssh_commit("ada")), "is signed with SSH, but no verify.allowed_signers is set"));
}

TEST_CASE("key files that cannot be trusted or read are refused") {
  ScratchRepository box;
  std::string path = box.beside("keys");
  auto problem = [](const std::string& file) {
    auto checked = check_key_file(file);
    return checked ? "" : checked.error().message;
  };
  CHECK(has(problem(path), "no such file"));
  ScratchRepository::shell("echo x > " + path);
  CHECK(problem(path) == "");
  ::chmod(path.c_str(), 0666);
  CHECK(has(problem(path), "everybody can write it"));
  CHECK(has(problem(box.path()), "is not a file"));
  ::chmod(path.c_str(), 0644);
  ScratchRepository::shell("echo '-----BEGIN PGP PUBLIC KEY BLOCK-----' > " + path);
  CHECK(has(problem(path), "has no end"));
}

TEST_CASE("how long it takes to verify a range", "[.bench]") {
  Signers box;
  box.make_ssh_key("ada");
  box.policy.allowed_signers = box.beside("signers");
  box.list("ada@example.org " + box.public_key("ada"));
  REQUIRE(box.judge(box.ssh_commit("ada")) == "");
  for (int i = 0; i < 200; ++i)
    (void)box.ssh_commit("ada");
  auto begin = std::chrono::steady_clock::now();
  CHECK(box.judge(box.id("HEAD")) == "");
  std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  WARN("200 commits: " << took.count() << " ms");
}
