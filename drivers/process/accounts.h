// Users and groups, looked up by the agent before a spawn: NSS may read files, talk to daemons and take locks, none
// of which the child may do. Answers are kept for a short while, so that 10,000 starts do not read /etc/passwd
// 10,000 times, and an account made meanwhile is seen soon.
#pragma once

#include <expected>
#include <map>
#include <string>

#include "drivers/process/exec_spec.h"
#include "drivers/process/spawner.h"
#include "reconcile/base/time.h"

namespace gitproc {

class Accounts {
 public:
  static constexpr Duration validity = std::chrono::seconds(5);
  static constexpr std::size_t max_kept = 256;

  // User=, Group= and SupplementaryGroups= of a unit, by name or number. Faults: 217 for the user, 216 for a group.
  // Needs one of them to be set; without User= it is the agent's own user.
  std::expected<Account, SpawnFault> resolve(const ExecContext& exec, Instant now);

  static bool is_needed(const ExecContext& exec) {
    return !exec.user.empty() || !exec.group.empty() || !exec.supplementary_groups.empty();
  }

 private:
  struct Kept {
    Account account;
    Instant until;
  };
  std::map<std::string, Kept> kept_;
};

// The agent's own user; the name is its number where it has none.
Account own_account();

}  // namespace gitproc
