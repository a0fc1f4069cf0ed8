// The run journal: which processes were started for which service in this boot. It is how an agent that was
// killed at any instruction finds its services again, and it costs no start an fsync: what it tells outlives
// the agent but not the kernel.
//
// It is a text file, <run-dir>/runs.journal, that only grows. The first line names its format and the boot; every
// other line is one fact about one service and ends in " .":
//
//   gitproc-runs 1 BOOT-ID
//   spawn NAME FINGERPRINT INVOCATION PHASE INDEX RESTARTS PID BOOTTIME_USEC [INIT_PID] .
//   started NAME MAIN_PID BOOTTIME_USEC .        main NAME MAIN_PID BOOTTIME_USEC .
//   stopping NAME .                              stamped NAME FINGERPRINT .
//   ended NAME [LATCH RESULT EXIT-KIND VALUE] .  forgotten NAME .
//
// A spawn line is written by the spawned process itself, between clone and execve, through a descriptor that is
// kept for it: so there is no moment in which a service runs and is not in the journal. Every line begins with
// the newline that a torn line before it may lack; a line without its " ." never counts. A service with a PID namespace
// has two: the namespace's init writes one with PID 0, then the main process its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "reconcile/actual/service.h"
#include "reconcile/base/error.h"
#include "reconcile/base/time.h"
#include "reconcile/command.h"

namespace gitproc {

// Asks whether the process `pid`, started no later than `latest_start`, still lives; a seam for tests.
using IsAlive = bool (*)(Pid pid, Instant latest_start);
bool is_alive_in_proc(Pid pid, Instant latest_start);  // by /proc/PID/stat

// What the text of a journal tells, ordered by name. Pure but for `is_alive`. A journal of another boot, of
// another format, or without a header tells nothing.
std::vector<AdoptedService> replay_run_journal(std::string_view text, std::string_view boot_id,
                                               IsAlive is_alive);

class RunJournal {
 public:
  // A journal is rewritten with what still counts when it is larger than this and than 4 times what still
  // counted the last time.
  static constexpr std::uint64_t compaction_bytes = 1u << 20;
  // A larger journal than this is not read: it is not one that the compaction leaves behind.
  static constexpr std::uint64_t max_bytes = 256u << 20;

  // Opens or makes the journal and replays it. One of another boot begins anew.
  static Result<RunJournal> open(std::string path, std::string boot_id);

  // What was found when it was opened, taken out.
  std::vector<AdoptedService> take_adopted() { return std::move(adopted_); }

  // The descriptor (O_APPEND, close-on-exec, as low as can be had) that a spawned process writes its line to.
  int fd() const { return fd_.get(); }

  // The line of a spawn up to its pid; the child appends "PID BOOTTIME_USEC .\n", and may write it twice.
  std::string spawn_line(const Spawn& spawn);

  // Error: the line could not be written whole (a full disk).
  Result<void> append(const RunRecord& record, Instant now);

  // Counted by the lines that were given out to be written: to ask for the size would cost each of them a system call.
  bool is_large() const { return bytes_ >= next_compaction_bytes_; }
  // Called while no child is between clone and execve, so that no line is lost to the file that is replaced. Where
  // compacting fails, the journal goes on growing and is large again when it has doubled.
  Result<void> compact();

 private:
  RunJournal(std::string path, std::string boot_id) : path_(std::move(path)), boot_id_(std::move(boot_id)) {}
  Result<void> replace(const std::string& contents);

  std::string path_;
  std::string boot_id_;
  UniqueFd fd_;
  std::vector<AdoptedService> adopted_;
  std::uint64_t bytes_ = 0;  // that the file has at most
  std::uint64_t next_compaction_bytes_ = compaction_bytes;
};

}  // namespace gitproc
