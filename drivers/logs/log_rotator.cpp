#include "drivers/logs/log_rotator.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "drivers/base/system_call.h"
#include "drivers/logs/disk_space.h"

namespace gitproc {

Result<LogRotator> LogRotator::open(const std::string& directory) {
  Result<LogDirectory> opened = LogDirectory::open(directory);
  if (!opened) return std::unexpected(opened.error());
  LogRotator rotator(std::move(*opened));
  rotator.gate_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!rotator.gate_) return fail_with_errno("cannot make an epoll for logs");
  epoll_event event{.events = EPOLLIN, .data = {}};
  ::epoll_ctl(rotator.gate_.get(), EPOLL_CTL_ADD, rotator.disk_->fd(), &event);
  rotator.start_watching();
  return rotator;
}

LogRotator::LogRotator(LogDirectory directory)
    : directory_(std::make_unique<LogDirectory>(std::move(directory))),
      disk_(std::make_unique<BackgroundDisk>()) {}

void LogRotator::start_watching() {
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  // By the descriptor, so that it is the directory that was opened, whatever the path leads to by now.
  std::string path = "/proc/self/fd/" + std::to_string(directory_->fd());
  if (!inotify_ || ::inotify_add_watch(inotify_.get(), path.c_str(),
                                       IN_MODIFY | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR) < 0) {
    incidents_.push_back(
        {"", system_error("cannot watch '" + directory_->path() + "', logs are polled", errno).message});
    inotify_.reset();
    listens_at_ = Instant{};
    return;
  }
  open_gate(true);
}

void LogRotator::watch(std::string_view service, const Defaulted<LogPolicy>& policy) {
  auto [found, is_new] = logs_.try_emplace(std::string(service));
  found->second.policy = policy;
  mark_due(found);
}

void LogRotator::forget(std::string_view service) {
  // A rotation under way is dropped with it: it is still at its copy, which leaves nothing but NAME.log.0. But first
  // the disk has to be done with that.
  if (active_ && active_->service == service) active_->is_dropped = true;
  auto found = logs_.find(service);
  if (found == logs_.end()) return;
  if (found->second.is_due) std::erase(due_, found);
  stop_outrunning(service);
  logs_.erase(found);
}

void LogRotator::mark_due(Logs::iterator log) {
  if (log->second.is_due) return;
  log->second.is_due = true;
  due_.push_back(log);
}

void LogRotator::mark_all_due() {
  for (auto log = logs_.begin(); log != logs_.end(); ++log)
    mark_due(log);
}

Instant LogRotator::next_deadline() const {
  // While one is rotated the others wait for their turn.
  bool has_work = active_ ? !disk_->is_waiting() : !due_.empty();
  if (has_work || !incidents_.empty()) return Instant{};
  Instant next = is_gate_open_ ? never : listens_at_;
  return outrunning_.empty() ? next : std::min(next, outrunning_.front().first);
}

std::vector<LogIncident> LogRotator::drain(Instant now) {
  if (is_gate_open_ || now >= listens_at_) read_events(now);
  look_at_outrunning(now);
  for (std::size_t i = 0; i < checks_per_drain && !due_.empty() && !active_; ++i) {
    auto& [service, log] = *due_.front();
    due_.pop_front();
    log.is_due = false;
    if (!is_outrunning(service)) check(service, log, now);
  }
  if (active_) advance(now);
  return std::exchange(incidents_, {});
}

bool LogRotator::is_outrunning(std::string_view service) const {
  return std::ranges::any_of(outrunning_, [&](const auto& look) { return look.second == service; });
}

void LogRotator::stop_outrunning(std::string_view service) {
  std::erase_if(outrunning_, [&](const auto& look) { return look.second == service; });
}

// One of them at a time. It does not wait for the rotation of another's log: nothing goes to the disk.
void LogRotator::look_at_outrunning(Instant now) {
  if (outrunning_.empty() || outrunning_.front().first > now) return;
  std::string service = std::move(outrunning_.front().second);
  outrunning_.pop_front();
  if (auto found = logs_.find(service); found != logs_.end()) check(service, found->second, now);
}

// Who has written since the last time. If anybody has, the gate closes for a while; if nobody, it opens.
void LogRotator::read_events(Instant now) {
  if (!inotify_) {
    mark_all_due();
    listens_at_ = after(now, poll_interval);
    return;
  }
  alignas(inotify_event) char buffer[16 * 1024];
  bool has_events = false;
  for (;;) {
    ssize_t size = retry_on_interrupt([&] { return ::read(inotify_.get(), buffer, sizeof buffer); });
    if (size <= 0) break;
    has_events = true;
    for (const char* at = buffer; at < buffer + size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      if ((event->mask & IN_Q_OVERFLOW) != 0) mark_all_due();
      if ((event->mask & IN_IGNORED) != 0) {
        // The directory was removed. The files that services still write to cannot be named any more.
        incidents_.push_back(
            {"", "the log directory '" + directory_->path() + "' was removed: logs are not rotated"});
        open_gate(false);
        inotify_.reset();
        listens_at_ = never;
        return;
      }
      if (event->len == 0) continue;
      std::optional<std::string_view> service = service_of_log_file(event->name);
      auto found = service ? logs_.find(*service) : logs_.end();
      if (found != logs_.end()) mark_due(found);
    }
  }
  if (has_events) look_at_disk(now);
  open_gate(!has_events);
  listens_at_ = has_events ? after(now, check_interval) : never;
}

void LogRotator::open_gate(bool is_open) {
  if (is_open == is_gate_open_) return;
  is_gate_open_ = is_open;
  epoll_event event{.events = EPOLLIN, .data = {}};
  ::epoll_ctl(gate_.get(), is_open ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, inotify_.get(), &event);
}

void LogRotator::check(const std::string& service, Log& log, Instant now) {
  if (now < log.not_before) return;
  if (!log.is_recovered) {
    if (Result<void> recovered = recover_rotation(*directory_, service, *log.policy); !recovered) {
      return report_failure(service, log, recovered.error(), now);
    }
    log.is_recovered = true;
  }
  struct stat status;
  if (::fstatat(directory_->fd(), log_file_name(service).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (log.has_file)
      incidents_.push_back({service, "its log was deleted: what it prints until it is restarted is lost"});
    log.has_file = false;
    log.size_bytes = 0;
    return;
  }
  log.has_file = true;
  std::uint64_t size = static_cast<std::uint64_t>(status.st_size);
  if (size < log.size_bytes) incidents_.push_back({service, "its log was truncated by somebody else"});
  std::uint64_t grown = size - std::min<std::uint64_t>(size, log.size_bytes);
  log.size_bytes = size;
  if (size <= log.policy->max_size_bytes) return;
  bool is_rotated = active_ && active_->service == service;
  if (!is_rotated) {
    Result<bool> skipped = skip(service, log, grown, now);
    if (!skipped) return report_failure(service, log, skipped.error(), now);
    if (*skipped) return;
  }
  if (active_) return mark_due(logs_.find(service));
  Result<std::optional<Rotation>> rotation = Rotation::begin(*directory_, service, *log.policy, *disk_);
  if (!rotation) return report_failure(service, log, rotation.error(), now);
  if (*rotation) active_.emplace(Active{service, std::move(**rotation)});
}

// A log that has grown by an archive or more since the last look, and is larger than all that is kept of it, is not
// archived as long as that goes on: each archive would be pushed out by the next. True: it is to be looked at again soon.
Result<bool> LogRotator::skip(const std::string& service, Log& log, std::uint64_t grown_bytes, Instant now) {
  if (!log.is_skipping && grown_bytes < log.policy->max_size_bytes) return false;
  Result<Skipped> skipped = skip_oldest_output(*directory_, service, *log.policy);
  if (!skipped) return std::unexpected(skipped.error());
  log.is_skipping = !skipped->is_all;
  if (skipped->bytes == 0) return false;
  stop_outrunning(service);
  if (log.is_skipping)
    outrunning_.emplace_front(now, service);
  else
    outrunning_.emplace_back(after(now, outrunning_interval), service);
  return true;
}

// One piece of the copy, or the rest of the rotation.
void LogRotator::advance(Instant now) {
  if (active_->is_dropped) {
    if (!disk_->is_busy() || disk_->take()) active_.reset();
    return;
  }
  Result<bool> copied = active_->rotation.copy_some(*disk_);
  if (copied && !*copied) return;
  Result<void> rotated = copied ? active_->rotation.commit() : std::unexpected(copied.error());
  end_rotation(std::exchange(active_, std::nullopt)->service, rotated, now);
}

void LogRotator::end_rotation(const std::string& service, const Result<void>& rotated, Instant now) {
  auto found = logs_.find(service);
  Log& log = found->second;
  log.size_bytes = 0;
  if (!rotated && make_room(service, log, now)) return mark_due(found);
  if (!rotated) return report_failure(service, log, rotated.error(), now);
  log.has_failed = false;
  // The service may have written another archive's worth meanwhile.
  mark_due(found);
}

// Services that cannot write make no events, but each that finds the disk full has written a part before. So a disk
// that fills up is noticed here, and what is removed makes room for writes that are noticed in turn.
void LogRotator::look_at_disk(Instant now) {
  if (now < disk_not_before_) return;
  disk_not_before_ = after(now, check_interval);
  if (!is_disk_full(*directory_)) return;
  report_full_disk(now);
  if (remove_oldest_archives(*directory_) == 0) disk_not_before_ = after(now, full_disk_interval);
}

// After a rotation failed: true when there is more room now, and it is to be tried again. What is removed is first
// of the service itself, then of all, and at last the head of its log, which nothing can be archived of.
bool LogRotator::make_room(const std::string& service, Log& log, Instant now) {
  if (!is_disk_full(*directory_)) return false;
  report_full_disk(now);
  remove_unfinished_archive(*directory_, service);
  if (remove_oldest_archive(*directory_, service) || remove_oldest_archives(*directory_) > 0) return true;
  Result<std::uint64_t> dropped = drop_oldest_output(*directory_, service, *log.policy);
  if (!dropped || *dropped == 0) return false;
  incidents_.push_back({service, "the disk has no room for an archive: " + std::to_string(*dropped) +
                                     " bytes of its oldest output were dropped"});
  return true;
}

void LogRotator::report_full_disk(Instant now) {
  if (now < full_not_before_) return;
  full_not_before_ = after(now, full_disk_report_interval);
  incidents_.push_back(
      {"", "the disk of '" + directory_->path() + "' is full: the oldest archives are removed"});
}

void LogRotator::report_failure(const std::string& service, Log& log, const Error& error, Instant now) {
  if (!log.has_failed) incidents_.push_back({service, error.message});
  log.has_failed = true;
  log.is_recovered = false;
  log.not_before = after(now, retry_interval);
}

}  // namespace gitproc
