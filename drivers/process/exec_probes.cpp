#include "drivers/process/exec_probes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "drivers/base/system_call.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr int events_at_once = 64;
// Read of one command by one call of drain(): the loop has others to serve.
constexpr int pieces_at_once = 4;

std::string seconds_text(Duration span) {
  auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(span).count();
  if (milliseconds % 1000 == 0) return std::to_string(milliseconds / 1000) + " s";
  return std::to_string(milliseconds) + " ms";
}

// The last line that is not blank.
std::string last_line(std::string_view text) {
  text = trim(text);
  return printable(trim(text.substr(text.rfind('\n') + 1)));
}

}  // namespace

ExecProbes::ExecProbes() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = 0}};  // no process is number 0
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timer_.fd(), &event) != 0) std::abort();
}

Result<ExecProbes::Pipe> ExecProbes::make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_with_errno("cannot make a pipe");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  if (::fcntl(pipe.reader.get(), F_SETFL, O_NONBLOCK) != 0) return fail_with_errno("cannot make a pipe");
  return pipe;
}

bool ExecProbes::is_busy(ServiceId service) const {
  auto is_its = [&](const auto& entry) { return entry.second.service == service; };
  return std::ranges::count_if(probes_, is_its) >= unended_limit;
}

void ExecProbes::begin(ServiceId service, Pid pid, Duration timeout, UniqueFd reader, Instant now) {
  Probe probe{
      .service = service, .due = after(now, timeout), .timeout = timeout, .output = std::move(reader)};
  epoll_event event{.events = EPOLLIN, .data = {.fd = pid}};
  // Without it the command is read from when it has ended.
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, probe.output.get(), &event);
  due_.emplace(probe.due, pid);
  probes_.emplace(pid, std::move(probe));
  arm();
}

// The pid is its own until it is reaped, which the driver tells by ended().
void ExecProbes::end(Pid pid, Probe& probe) {
  ::kill(-pid, SIGKILL);
  due_.erase({probe.due, pid});
  probe.is_over = true;
  probe.output.reset();
}

void ExecProbes::cancel(ServiceId service) {
  for (auto& [pid, probe] : probes_) {
    if (probe.service == service && !probe.is_over) end(pid, probe);
  }
  arm();
}

void ExecProbes::read_output(Probe& probe) {
  std::array<char, 16 * 1024> piece;
  for (int i = 0; i < pieces_at_once && probe.output; ++i) {
    ssize_t size = retry_on_interrupt([&] { return ::read(probe.output.get(), piece.data(), piece.size()); });
    if (size < 0 && errno == EAGAIN) return;
    probe.printed_bytes += static_cast<std::size_t>(std::max<ssize_t>(size, 0));
    if (size <= 0 || probe.printed_bytes > output_limit_bytes) return probe.output.reset();
    probe.tail.append(piece.data(), static_cast<std::size_t>(size));
    if (probe.tail.size() > output_kept_bytes) probe.tail.erase(0, probe.tail.size() - output_kept_bytes);
  }
}

std::optional<ProbeFinished> ExecProbes::ended(Pid pid, const ExitStatus& status) {
  auto found = probes_.find(pid);
  if (found == probes_.end()) return std::nullopt;
  Probe& probe = found->second;
  std::optional<ProbeFinished> finished;
  if (!probe.is_over) {
    read_output(probe);
    bool is_healthy = status == ExitStatus{.kind = ExitStatus::Kind::exited, .value = 0};
    std::string line = last_line(probe.tail);
    finished =
        ProbeFinished{probe.service, is_healthy, to_string(status) + (line.empty() ? "" : ": " + line)};
    due_.erase({probe.due, pid});
  }
  probes_.erase(found);
  arm();
  return finished;
}

std::vector<ProbeFinished> ExecProbes::drain(Instant now) {
  if (probes_.empty()) return {};
  std::array<epoll_event, events_at_once> events;
  int count =
      retry_on_interrupt([&] { return ::epoll_wait(epoll_.get(), events.data(), events_at_once, 0); });
  for (int i = 0; i < count; ++i) {
    auto found = probes_.find(events[static_cast<std::size_t>(i)].data.fd);
    if (found != probes_.end()) read_output(found->second);
  }
  std::vector<ProbeFinished> finished;
  while (!due_.empty() && due_.begin()->first <= now) {
    Pid pid = due_.begin()->second;
    Probe& probe = probes_.at(pid);
    finished.push_back({probe.service, false, "no end within " + seconds_text(probe.timeout) + ", killed"});
    end(pid, probe);
  }
  arm();
  return finished;
}

void ExecProbes::arm() {
  Instant next = due_.empty() ? never : due_.begin()->first;
  if (next == armed_) return;
  armed_ = next;
  timer_.set(next);
}

}  // namespace gitproc
