#include "drivers/git/signatures.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <utility>

#include "drivers/base/system_call.h"
#include "drivers/git/tool.h"
#include "reconcile/base/strings.h"
#include "reconcile/trust/armor.h"
#include "reconcile/trust/signed_commit.h"

namespace gitproc {
namespace {

// The content of a file of keys; an OpenPGP keyring without its armour.
Result<std::string> read_keys(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return fail_with_errno("cannot open '" + path + "'");
  if (!S_ISREG(status.st_mode)) return fail("'" + path + "' is not a file", ErrorCode::invalid);
  if ((status.st_mode & S_IWOTH) != 0)
    return fail("refused '" + path + "': everybody can write it", ErrorCode::denied);
  Result<std::string> text = read_file(path, max_key_file_bytes);
  if (!text || !is_armored_keyring(*text)) return text;
  Result<std::string> keys = without_armor(*text);
  if (!keys) return fail("cannot use '" + path + "': " + keys.error().message, keys.error().code);
  return keys;
}

// The program, or what to do where it is missing.
Result<std::string> openpgp_tool() {
  Result<std::string> found = find_tool("gpgv");
  if (found) return found;
  return fail("cannot verify OpenPGP signatures: gpgv is not installed", ErrorCode::unavailable);
}
Result<std::string> ssh_tool() {
  Result<std::string> found = find_tool("ssh-keygen");
  if (found) return found;
  return fail("cannot verify SSH signatures: ssh-keygen is not installed", ErrorCode::unavailable);
}

class CommitsOf : public CommitGraph {
 public:
  explicit CommitsOf(ObjectReader& objects) : objects_(objects) {}

  Result<CommitNode> node(const ObjectId& commit) override {
    auto read = signed_commit(commit);
    if (!read) return std::unexpected(read.error());
    return CommitNode{.parents = std::move(read->parents), .at = read->at};
  }

  Result<SignedCommit> signed_commit(const ObjectId& commit) {
    auto object = objects_.read(commit, ObjectKind::commit, max_signed_commit_bytes);
    if (!object) return std::unexpected(object.error());
    auto parsed = parse_signed_commit(object->bytes());
    if (!parsed) return fail("cannot read commit " + commit.abbreviated() + ": " + parsed.error().message);
    return parsed;
  }

 private:
  ObjectReader& objects_;
};

class ToolCheck : public SignatureCheck {
 public:
  ToolCheck(CommitsOf& commits, const SignaturePolicy& policy) : commits_(commits), policy_(policy) {}

  Result<std::vector<Refusal>> check(std::span<const ObjectId> commits) override {
    std::vector<Refusal> refusals;
    while (!commits.empty()) {
      std::size_t count = std::min(commits.size(), commits_per_portion);
      auto found = check_portion(commits.first(count));
      if (!found) return found;
      refusals.insert(refusals.end(), found->begin(), found->end());
      commits = commits.subspan(count);
    }
    return refusals;
  }

 private:
  struct Candidate {
    std::size_t index = 0;  // in the portion
    SignedCommit commit;
  };

  Result<std::vector<Refusal>> check_portion(std::span<const ObjectId> ids) {
    std::vector<Refusal> refusals(ids.size());
    std::vector<Candidate> openpgp, ssh;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      auto commit = commits_.signed_commit(ids[i]);
      if (!commit) return std::unexpected(commit.error());
      switch (kind_of(commit->signature)) {
        case SignatureKind::none: refusals[i] = "is not signed"; break;
        case SignatureKind::x509: refusals[i] = "carries an X.509 signature, which is not supported"; break;
        case SignatureKind::unknown: refusals[i] = "carries a signature of no known kind"; break;
        case SignatureKind::openpgp:
          refusals[i] = policy_.keyring.empty() ? "is signed with OpenPGP, but no verify.keyring is set" : "";
          if (refusals[i].empty()) openpgp.push_back({i, *std::move(commit)});
          break;
        case SignatureKind::ssh:
          refusals[i] = policy_.allowed_signers.empty()
                            ? "is signed with SSH, but no verify.allowed_signers is set"
                            : "";
          if (refusals[i].empty()) ssh.push_back({i, *std::move(commit)});
          break;
      }
    }
    if (auto checked = check_openpgp(std::move(openpgp), refusals); !checked)
      return std::unexpected(checked.error());
    if (auto checked = check_ssh(std::move(ssh), refusals); !checked) return std::unexpected(checked.error());
    return refusals;
  }

  Result<void> check_openpgp(std::vector<Candidate> candidates, std::vector<Refusal>& refusals) {
    if (candidates.empty()) return {};
    if (keyring_.empty()) {
      Result<std::string> keyring = read_keys(policy_.keyring);
      if (!keyring) return std::unexpected(keyring.error());
      keyring_ = *std::move(keyring);
    }
    Result<std::string> program = openpgp_tool();
    if (!program) return std::unexpected(program.error());
    std::vector<ToolRun> runs;
    runs.reserve(candidates.size());
    for (Candidate& candidate : candidates) {
      runs.push_back({.arguments = {"--status-fd", "1", "--homedir", "/nonexistent", "--weak-digest", "SHA1",
                                    "--keyring", "/dev/fd/3", "/dev/fd/4", "-"},
                      .input = std::move(candidate.commit.payload),
                      .files = {keyring_, std::move(candidate.commit.signature)}});
    }
    auto words = run_tool(*program, runs);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (auto heard = heed(*program, words[i]); !heard) return heard;
      refusals[candidates[i].index] = judge_openpgp(words[i]->out);
    }
    return {};
  }

  Result<void> check_ssh(std::vector<Candidate> candidates, std::vector<Refusal>& refusals) {
    if (candidates.empty()) return {};
    if (allowed_signers_.empty()) {
      Result<std::string> signers = read_keys(policy_.allowed_signers);
      if (!signers) return std::unexpected(signers.error());
      allowed_signers_ = *std::move(signers);
    }
    Result<std::string> program = ssh_tool();
    if (!program) return std::unexpected(program.error());
    if (auto found = find_principals(*program, candidates); !found) return found;

    // A key may be listed for several principals, with other conditions each: one that fits is enough.
    std::vector<ToolRun> runs;
    std::vector<std::size_t> run_of;  // the candidate of each run
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const Listed& listed = listed_.at(key_of(candidates[i].commit));
      refusals[candidates[i].index] = listed.refusal;
      for (const std::string& principal : listed.principals) {
        runs.push_back({.arguments = {"-Y", "verify", "-n", "git", "-f", "/dev/fd/3", "-I", principal, "-s",
                                      "/dev/fd/4"},
                        .input = candidates[i].commit.payload,
                        .files = {allowed_signers_, candidates[i].commit.signature}});
        run_of.push_back(i);
      }
    }
    auto words = run_tool(*program, runs);
    std::vector<bool> is_good(candidates.size(), false);
    for (std::size_t run = 0; run < runs.size(); ++run) {
      if (auto heard = heed(*program, words[run]); !heard) return heard;
      Refusal refusal = judge_ssh(words[run]->out, words[run]->err);
      if (refusal.empty()) is_good[run_of[run]] = true;
      refusals[candidates[run_of[run]].index] = refusal;
    }
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (is_good[i]) refusals[candidates[i].index].clear();
    }
    return {};
  }

  // Whom a key is listed for, asked once for each key that signed something.
  struct Listed {
    std::vector<std::string> principals;
    Refusal refusal;  // where there are none
  };

  static std::string key_of(const SignedCommit& commit) {
    // What claims no key is told apart by itself: the program will say what is wrong with it.
    return claimed_ssh_key(commit.signature).value_or(commit.signature);
  }

  Result<void> find_principals(const std::string& program, const std::vector<Candidate>& candidates) {
    std::vector<ToolRun> runs;
    std::vector<std::string> keys;
    for (const Candidate& candidate : candidates) {
      std::string key = key_of(candidate.commit);
      if (listed_.contains(key) || std::ranges::find(keys, key) != keys.end()) continue;
      keys.push_back(std::move(key));
      runs.push_back({.arguments = {"-Y", "find-principals", "-f", "/dev/fd/3", "-s", "/dev/fd/4"},
                      .input = "",
                      .files = {allowed_signers_, candidate.commit.signature}});
    }
    auto words = run_tool(program, runs);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!words[i]) return std::unexpected(words[i].error());
      Listed listed{.principals = principals_of(words[i]->out), .refusal = ""};
      if (listed.principals.empty()) {
        if (auto heard = heed(program, words[i]); !heard) return heard;
        listed.refusal = explain_no_principals(words[i]->err);
      }
      listed_.emplace(keys[i], std::move(listed));
    }
    return {};
  }

  // A program that says nothing at all was hindered, and has judged nothing.
  static Result<void> heed(const std::string& program, const Result<ToolWords>& words) {
    if (!words) return std::unexpected(words.error());
    if (!words->out.empty() || !words->err.empty()) return {};
    return fail("cannot ask '" + program + "': it ended without a word");
  }

  CommitsOf& commits_;
  const SignaturePolicy& policy_;
  std::string keyring_, allowed_signers_;  // their content, read when it is needed first
  std::map<std::string, Listed> listed_;
};

}  // namespace

Result<void> check_key_file(const std::string& path) {
  Result<std::string> keys = read_keys(path);
  return keys ? Result<void>{} : std::unexpected(keys.error());
}

std::vector<std::string> missing_tools(const SignaturePolicy& policy) {
  std::vector<std::string> missing;
  if (Result<std::string> program = ssh_tool(); !program && !policy.allowed_signers.empty())
    missing.push_back(program.error().message);
  if (Result<std::string> program = openpgp_tool(); !program && !policy.keyring.empty())
    missing.push_back(program.error().message);
  return missing;
}

Result<Judgement> judge_commit(Repository& repository, const SignaturePolicy& policy,
                               const Question& question) {
  CommitsOf commits(repository.objects());
  ToolCheck signatures(commits, policy);
  return judge(policy, question, commits, signatures);
}

}  // namespace gitproc
