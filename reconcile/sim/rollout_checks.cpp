// Which commits may be applied: what was denied is not tried again, and never rolled back twice; what removes too
// much waits for its approval.
#include <algorithm>
#include <utility>

#include "reconcile/plan/guard.h"
#include "reconcile/sim/checks.h"

namespace gitproc::sim {

void Checks::configured(bool rolls_back, bool has_guard) {
  rolls_back_ = rolls_back;
  ever_rolled_back_ = ever_rolled_back_ || rolls_back;
  has_guard_ = has_guard;
}

// What failed once and is on disk, and is in that commit.
const Denial* Checks::find_denied(const ObjectId& commit) const {
  const UnitMap& units = repository_.at(commit).units;
  auto found = std::ranges::find_if(denials_, [&](const Denial& denial) {
    auto unit = units.find(denial.service);
    return unit != units.end() && unit->second->fingerprint == denial.fingerprint;
  });
  return found == denials_.end() ? nullptr : &*found;
}

void Checks::written(const DurableState& disk) {
  if (!ever_rolled_back_ && (!disk.denials.empty() || disk.trial || disk.retreat))
    fail("something is on trial, although auto_rollback is off");
  for (std::size_t i = 0; i < disk.denials.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      bool is_same = disk.denials[i].service == disk.denials[j].service &&
                     disk.denials[i].fingerprint == disk.denials[j].fingerprint;
      if (is_same) fail(disk.denials[i].service + " was rolled back twice with one content");
    }
  }
  for (const Denial& denial : denials_) {
    if (is_retried() || std::ranges::find(disk.denials, denial) != disk.denials.end()) continue;
    const UnitMap* healthy = disk.healthy ? &repository_.at(*disk.healthy).units : nullptr;
    bool is_proved = healthy && healthy->contains(denial.service) &&
                     healthy->at(denial.service)->fingerprint == denial.fingerprint;
    if (!is_proved) fail("it is forgotten that " + denial.service + " failed");
  }
  denials_ = disk.denials;
  if (retried_writes_ > 0) --retried_writes_;
}

void Checks::note(const Announce& news) {
  if (!news.service.empty()) return;
  if (news.kind == "held" && news.from == prune_guard_kind) {
    if (!has_guard_) fail("a commit is held, although prune_guard is off");
    held_ = news.commit;
    if (approved_ == news.commit && applying_) fail("what was approved is held again");
  }
  if (news.kind == "approved") {
    if (!std::exchange(is_approval_asked_, false)) fail("a commit is approved by nobody");
    approved_ = news.commit;
    held_.reset();
  }
  if (news.kind == "rolled-back" && !rolls_back_) fail("rolled back, although auto_rollback is off");
  if (news.kind == "applying") check_applying(*news.commit, news.reason);
}

void Checks::check_applying(const ObjectId& commit, const std::string& cause) {
  bool is_tip = cause == "commit" || cause == "sync";
  if (is_tip && !is_retried()) {
    const Denial* denial = find_denied(commit);
    // What has got healthy since is not denied any more, though that may not be on disk yet.
    const UnitMap* proved = healthy_ ? &repository_.at(*healthy_).units : nullptr;
    bool is_proved = denial && proved && proved->contains(denial->service) &&
                     proved->at(denial->service)->fingerprint == denial->fingerprint;
    if (denial && !is_proved)
      fail("applied, although it holds " + denial->service + ", which failed: " + commit.hex().substr(32));
  }
  bool is_let_go = followed_ && followed_->commit == commit;
  if (is_tip && !is_let_go) fail("applied, although it is not followed: " + commit.hex().substr(32));
  if (is_tip && has_guard_ && held_ == commit && approved_ != commit)
    fail("a commit that is held is applied");
  previous_ = std::exchange(applying_, commit);
  knows_relations_ = true;
  held_.reset();
  // Come to know what runs: that is no move of the branch, and an approval of its tip is still good.
  if (cause == "start") return;
  // After a rollback it is still good, though what was approved could not be exported before.
  bool is_of_branch = is_tip || cause.starts_with("switch");
  if (is_of_branch && approved_ != commit) approved_.reset();  // it would be another move
}

// A tip is let go once, when it is compared with what the node wants then; to come back to it later is no new move.
void Checks::check_followed(const std::optional<Followed>& before) {
  bool is_move = followed_ && before && before->branch == followed_->branch && before != followed_;
  if (!is_move || !has_guard_ || !applying_ || approved_ == followed_->commit) return;
  auto why = prune_guard(repository_.at(*applying_).units, repository_.at(followed_->commit).units);
  if (why) fail("followed without approval: " + *why);
}

}  // namespace gitproc::sim
