#include "drivers/store/state_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "drivers/base/system_call.h"
#include "reconcile/base/ids.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

// The PID that another agent has written; 0 where it has not come to that, or the text is no PID.
Pid read_owner(int fd) {
  if (::lseek(fd, 0, SEEK_SET) != 0) return 0;
  Result<std::string> text = read_descriptor(fd, 32, "lock");
  if (!text) return 0;
  return std::max(parse_number<Pid>(trim(*text)).value_or(0), 0);
}

// A process that the agent was just starting when it was killed shares the lock until its execve: a moment, but
// for at most this many pauses of a millisecond.
constexpr int handover_pauses = 2000;

bool is_gone(Pid pid) { return pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH; }

bool lock_now(int fd) {
  return retry_on_interrupt([fd] { return ::flock(fd, LOCK_EX | LOCK_NB); }) == 0;
}

bool lock_after_handover(int fd) {
  constexpr timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
  for (int i = 0; i < handover_pauses && is_gone(read_owner(fd)); ++i) {
    ::nanosleep(&pause, nullptr);
    if (lock_now(fd)) return true;
  }
  return false;
}

}  // namespace

Result<StateLock> StateLock::acquire(const std::string& directory, std::string_view what) {
  const std::string path = directory + "/lock";
  Result<UniqueFd> file = open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
  if (!file) return std::unexpected(file.error());
  bool is_locked = lock_now(file->get());
  if (!is_locked && errno != EWOULDBLOCK) return fail_with_errno("cannot lock '" + path + "'");
  if (!is_locked && !lock_after_handover(file->get())) {
    Pid owner = read_owner(file->get());
    std::string by = owner != 0 ? "the agent with PID " + std::to_string(owner) : "another agent";
    return fail(std::string(what) + " '" + directory + "' is in use by " + by, ErrorCode::busy);
  }
  // The lock holds whether or not the PID can be written: it is only for the other agent's message.
  // Whoever waited has read there, and would write behind a hole.
  bool is_empty = ::ftruncate(file->get(), 0) == 0 && ::lseek(file->get(), 0, SEEK_SET) == 0;
  if (is_empty) write_all(file->get(), std::to_string(::getpid()) + "\n");
  return StateLock(std::move(*file));
}

}  // namespace gitproc
