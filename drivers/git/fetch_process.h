// Starting a fetch worker: this same program again, with nothing in its arguments or environment that is secret, and
// with no descriptor but its job, its messages and the pack.
#pragma once

#include <sys/types.h>

#include <string>

#include "drivers/base/unique_fd.h"
#include "drivers/git/fetch_message.h"

namespace gitproc {

// Whom workers of an agent of root run as: the system user `gitproc-fetch` where there is one, else an id that
// belongs to nobody.
struct WorkerAccount {
  uid_t uid = 0;
  gid_t gid = 0;
};
inline constexpr const char* worker_user_name = "gitproc-fetch";
inline constexpr uid_t fallback_worker_id = 65533;
WorkerAccount worker_account();

class WorkerProcess {
 public:
  // `program` is started as "gitproc fetch-worker"; `pack_fd` becomes its descriptor 3.
  static Result<WorkerProcess> start(const std::string& program, const WorkerJob& job, int pack_fd);

  // Non-blocking; at its end the process has ended or closed it.
  int messages_fd() const { return messages_.get(); }
  void kill() const;

 private:
  WorkerProcess(UniqueFd pidfd, UniqueFd messages)
      : pidfd_(std::move(pidfd)), messages_(std::move(messages)) {}

  UniqueFd pidfd_;
  UniqueFd messages_;
};

}  // namespace gitproc
