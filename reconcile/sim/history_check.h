// Whether the history tells why a commit was applied: by name, or as the tip of the branch, and then because of what
// happened to it last. Judged step by step: the order of what happened within one is not looked into.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "reconcile/reconciler.h"

namespace gitproc::sim {

class HistoryCheck {
 public:
  void agent_started(const DurableState& disk);
  void told(const Event& event);
  void sync_began() { in_step_.insert("sync"); }

  // After each step: "" or what is wrong with what it added.
  std::string decided(const Reconciler& reconciler);

 private:
  std::string fault_of(const HistoryEntry& entry, const DurableState& durable) const;

  // Before the step.
  std::size_t entries_ = 0;
  std::optional<ObjectId> tip_;
  std::optional<Pin> pin_;
  std::optional<Retreat> retreat_;
  std::optional<Followed> followed_;

  // What a tip may be said to be applied for: by what happened in this step, and by what counted before it.
  std::set<std::string> in_step_, before_;
};

}  // namespace gitproc::sim
