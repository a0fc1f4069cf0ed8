#include "drivers/process/pidfd.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>

#include "drivers/process/proc_files.h"

namespace gitproc {
namespace {

// struct pidfd_info of <linux/pidfd.h>, which is younger than the distributions' headers.
struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroup_id;
  std::uint32_t pid, tgid, ppid;
  std::uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  std::int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr std::uint64_t info_exit = 1u << 3;
constexpr unsigned long get_info = _IOWR(0xFF, 11, PidfdInfo);

}  // namespace

UniqueFd open_pidfd(Pid pid) { return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

bool send_signal(const UniqueFd& pidfd, int signal) {
  return pidfd && ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

ExitStatus exit_status_of(const UniqueFd& pidfd, Pid pid) {
  std::optional<ProcStat> stat = read_proc_stat(pid);
  // While its zombie is there the number is still its own: asked after reading. Only root surely sees a 0 as it is.
  if (stat && stat->wait_status && (*stat->wait_status != 0 || ::geteuid() == 0) && send_signal(pidfd, 0)) {
    return exit_status_from(*stat->wait_status);
  }
  PidfdInfo info{};
  info.mask = info_exit;
  if (::ioctl(pidfd.get(), get_info, &info) == 0 && (info.mask & info_exit) != 0)
    return exit_status_from(info.exit_code);
  return {.kind = ExitStatus::Kind::unknown, .value = 0};
}

ExitStatus exit_status_from(int wait_status) {
  if (WIFEXITED(wait_status)) return {.kind = ExitStatus::Kind::exited, .value = WEXITSTATUS(wait_status)};
  return {.kind = WCOREDUMP(wait_status) ? ExitStatus::Kind::dumped : ExitStatus::Kind::killed,
          .value = WTERMSIG(wait_status)};
}

}  // namespace gitproc
