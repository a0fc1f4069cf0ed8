#include "drivers/git/fetch_worker.h"

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <new>

#include "drivers/base/system_call.h"
#include "drivers/git/worker_process.h"

namespace gitproc {
namespace {

// Services come first.
constexpr int worker_niceness = 10;
constexpr std::chrono::milliseconds progress_interval{200};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// A sanitizer's shadow alone is terabytes of address space.
constexpr bool is_address_space_bounded = false;
#else
constexpr bool is_address_space_bounded = true;
#endif

Result<void> limit(int resource, std::uint64_t most) {
  rlimit bound{.rlim_cur = most, .rlim_max = most};
  if (::setrlimit(static_cast<__rlimit_resource>(resource), &bound) != 0)
    return fail_with_errno("cannot bound what the fetch worker uses");
  return {};
}

}  // namespace

void WorkerVoice::say(const WorkerMessage& message) {
  if (write_all(STDOUT_FILENO, encode(message)) != 0) ::_exit(1);
}

void WorkerVoice::progress(const FetchProgress& progress) {
  auto now = std::chrono::steady_clock::now();
  if (now - last_ < progress_interval) return;
  last_ = now;
  say(progress);
}

Result<void> give_up_rights(uid_t uid, gid_t gid, const WorkerLimits& limits, pid_t parent) {
  (void)::setpriority(PRIO_PROCESS, 0, worker_niceness);
  if (::geteuid() == 0 && uid != 0) {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 || ::setresuid(uid, uid, uid) != 0)
      return fail_with_errno("cannot run the fetch worker as uid " + std::to_string(uid));
  }
  // A change of user takes both of these back.
  ::prctl(PR_SET_DUMPABLE, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (::getppid() != parent) ::_exit(1);
  for (auto [resource, most] : {std::pair<int, std::uint64_t>{RLIMIT_CORE, 0},
                                {RLIMIT_AS, is_address_space_bounded ? limits.memory_bytes : RLIM_INFINITY},
                                {RLIMIT_FSIZE, limits.file_bytes},
                                {RLIMIT_CPU, limits.cpu_seconds}}) {
    if (Result<void> bounded = limit(resource, most); !bounded) return bounded;
  }
  return {};
}

int run_fetch_worker() {
  ::prctl(PR_SET_DUMPABLE, 0);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  pid_t parent = ::getppid();
  WorkerVoice voice;
  Result<std::string> bytes = read_descriptor(STDIN_FILENO, max_fetch_message_bytes, "standard input");
  Result<WorkerJob> job = bytes ? decode_job(*bytes) : std::unexpected(bytes.error());
  if (!job) {
    voice.say(WorkerFailed{Fetched::Fault::failed, job.error().message});
    return 1;
  }
  try {
    if (const auto* fetch = std::get_if<FetchJob>(&*job)) {
      receive(*fetch, voice, parent);
    } else {
      index_pack(std::get<IndexJob>(*job), voice, parent);
    }
  } catch (const std::bad_alloc&) {
    voice.say(WorkerFailed{Fetched::Fault::failed, "it needs more memory than a fetch may use"});
  }
  // Nothing of libgit2 or a library below it has to be taken down with care.
  ::_exit(0);
}

}  // namespace gitproc
