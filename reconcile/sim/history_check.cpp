#include "reconcile/sim/history_check.h"

#include <span>
#include <utility>

namespace gitproc::sim {

void HistoryCheck::agent_started(const DurableState& disk) {
  entries_ = disk.history.size();
  tip_.reset();
  pin_ = disk.pin;
  retreat_ = disk.retreat;
  followed_ = disk.followed;
  in_step_.clear();
  before_ = {"commit"};
}

void HistoryCheck::told(const Event& event) {
  // What runs may have been applied again, which the history does not tell.
  if (std::holds_alternative<TreeExported>(event)) before_.insert("commit");
  if (std::holds_alternative<BranchSwitched>(event)) in_step_.insert("switch");
}

std::string HistoryCheck::decided(const Reconciler& reconciler) {
  const DurableState& durable = reconciler.durable();
  if (std::optional<ObjectId> tip = reconciler.tip(); tip != std::exchange(tip_, tip))
    in_step_.insert("commit");
  bool is_other_branch = durable.followed && followed_ && durable.followed->branch != followed_->branch;
  if (is_other_branch) in_step_.insert("switch");

  std::string fault;
  for (const HistoryEntry& entry : std::span(durable.history).subspan(entries_)) {
    if (fault.empty()) fault = fault_of(entry, durable);
    // A tip that is come back to later is applied as one that was found.
    if (entry.cause == "auto-rollback") {
      before_.insert("commit");  // it is only decided yet
    } else if (entry.outcome != Outcome::rejected) {
      bool is_kept = entry.cause == "sync" || entry.cause == "switch";
      before_ = {is_kept ? entry.cause : "commit"};
    }
  }
  entries_ = durable.history.size();
  pin_ = durable.pin;
  retreat_ = durable.retreat;
  followed_ = durable.followed;
  if (!in_step_.empty()) before_ = std::exchange(in_step_, {});
  return fault;
}

// What a step ends or begins may count or not, for what is decided in it.
std::string HistoryCheck::fault_of(const HistoryEntry& entry, const DurableState& durable) const {
  auto is_of = [&entry](const std::optional<Pin>& pin) { return pin && pin->commit == entry.commit; };
  auto goes_to = [&entry](const std::optional<Retreat>& retreat) {
    return retreat && retreat->to == entry.commit;
  };
  std::set<std::string> right;
  if (is_of(pin_) || is_of(durable.pin)) right.insert("rollback");
  if (goes_to(retreat_) || goes_to(durable.retreat)) right.insert("auto-rollback");
  bool is_by_name = is_of(pin_) && is_of(durable.pin);
  if (!is_by_name) {
    right.insert(before_.begin(), before_.end());
    right.insert(in_step_.begin(), in_step_.end());
  }
  if (right.contains(entry.cause)) return "";
  std::string words;
  for (const std::string& cause : right)
    words += (words.empty() ? "" : " or ") + cause;
  return "the history says that " + entry.subject + " came by " + entry.cause + ", not by " + words;
}

}  // namespace gitproc::sim
