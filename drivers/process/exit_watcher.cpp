#include "drivers/process/exit_watcher.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <cstdlib>

#include "drivers/base/system_call.h"
#include "drivers/process/pidfd.h"

namespace gitproc {
namespace {

constexpr std::uint32_t signal_tag = 0;  // no process has the number 0

ExitStatus exit_status_from(const siginfo_t& info) {
  switch (info.si_code) {
    case CLD_EXITED: return {.kind = ExitStatus::Kind::exited, .value = info.si_status};
    case CLD_DUMPED: return {.kind = ExitStatus::Kind::dumped, .value = info.si_status};
    default: return {.kind = ExitStatus::Kind::killed, .value = info.si_status};
  }
}

bool add_to_epoll(int epoll_fd, int fd, std::uint32_t tag) {
  epoll_event event{.events = EPOLLIN, .data = {.u32 = tag}};
  return ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

ExitWatcher::ExitWatcher() {
  sigset_t child_signal;
  ::sigemptyset(&child_signal);
  ::sigaddset(&child_signal, SIGCHLD);
  ::pthread_sigmask(SIG_BLOCK, &child_signal, nullptr);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  signal_.reset(::signalfd(-1, &child_signal, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!epoll_ || !signal_ || !add_to_epoll(epoll_.get(), signal_.get(), signal_tag)) std::abort();
}

ExitWatcher::~ExitWatcher() = default;

bool ExitWatcher::is_child(Pid pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

bool ExitWatcher::watch(Pid pid) {
  UniqueFd pidfd = open_pidfd(pid);
  if (!pidfd || !add_to_epoll(epoll_.get(), pidfd.get(), static_cast<std::uint32_t>(pid))) return false;
  forget(pid);
  watched_.emplace(pid, std::move(pidfd));
  return true;
}

void ExitWatcher::forget(Pid pid) {
  auto watched = watched_.find(pid);
  if (watched == watched_.end()) return;
  // Closing alone would leave it in the epoll set while a child still holds a copy.
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched->second.get(), nullptr);
  watched_.erase(watched);
}

bool ExitWatcher::signal_watched(Pid pid, int signal) const {
  auto watched = watched_.find(pid);
  return watched != watched_.end() && send_signal(watched->second, signal);
}

ExitWatcher::Collected ExitWatcher::collect(std::size_t max) {
  Collected collected;
  signalfd_siginfo signal;
  while (::read(signal_.get(), &signal, sizeof signal) > 0) {
  }
  // One SIGCHLD may stand for many children, and those of a failed spawn were reaped already.
  for (;;) {
    if (collected.exits.size() >= max) {
      collected.is_complete = false;
      return collected;
    }
    siginfo_t info{};
    int result = retry_on_interrupt([&] { return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG); });
    if (result != 0 || info.si_pid == 0) break;
    forget(info.si_pid);  // watched as somebody else's child before its parent ended
    collected.exits.push_back({.pid = info.si_pid, .status = exit_status_from(info)});
  }
  static constexpr int events_at_once = 64;
  epoll_event events[events_at_once];
  int count = retry_on_interrupt([&] { return ::epoll_wait(epoll_.get(), events, events_at_once, 0); });
  for (int i = 0; i < count; ++i) {
    Pid pid = static_cast<Pid>(events[i].data.u32);
    auto watched = watched_.find(pid);
    if (watched == watched_.end()) continue;  // the signal descriptor
    collected.exits.push_back(
        {.pid = pid, .status = exit_status_of(watched->second, pid), .was_child = false});
    forget(pid);
  }
  if (count == events_at_once) collected.is_complete = false;
  return collected;
}

}  // namespace gitproc
