// Rotates the logs of running services, on the agent's loop, without a thread and without waiting for the disk. It costs nothing while nobody
// writes: one inotify(7) watch on the log directory tells who does, each log is looked at once a second at most,
// and between two looks even the events do not wake the loop.
//
// The loop waits for fd() to become readable and for next_deadline(), and calls drain() on either.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "drivers/logs/log_files.h"
#include "drivers/logs/rotation.h"
#include "reconcile/base/defaulted.h"
#include "reconcile/base/time.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// Something about a service's log that people should know; each is reported when it begins, not at each look.
struct LogIncident {
  std::string service;
  std::string message;

  bool operator==(const LogIncident&) const = default;
};

class LogRotator {
 public:
  // Between two looks at the same log.
  static constexpr Duration check_interval = std::chrono::seconds(1);
  // The same, of one that outruns its rotation.
  static constexpr Duration outrunning_interval = std::chrono::milliseconds(100);
  // The same, where inotify cannot be had.
  static constexpr Duration poll_interval = std::chrono::seconds(10);
  // After a rotation failed.
  static constexpr Duration retry_interval = std::chrono::seconds(60);
  // A disk that is full again and again is told of once in this time.
  static constexpr Duration full_disk_report_interval = std::chrono::hours(1);
  // A full disk without archives to remove is looked at again after this.
  static constexpr Duration full_disk_interval = std::chrono::seconds(10);
  // Logs looked at by one drain(): about 1 ms.
  static constexpr std::size_t checks_per_drain = 256;

  // Where inotify cannot be had, the first drain() says so and logs are polled.
  static Result<LogRotator> open(const std::string& directory);

  // From now on the log of `service` is kept to `policy`; again with another policy to change it. Cheap: the work
  // (an interrupted rotation, too) is left to the next drain().
  void watch(std::string_view service, const Defaulted<LogPolicy>& policy);
  void forget(std::string_view service);

  int fd() const { return gate_.get(); }
  std::vector<LogIncident> drain(Instant now);
  // At once (a time in the past) while there is work left that does not wait for the disk; never while all is quiet.
  Instant next_deadline() const;
  // Whether the disk is at work for a rotation; fd() tells when it has done a piece.
  bool is_waiting_for_disk() const { return active_ && disk_->is_waiting(); }

 private:
  struct Log {
    Defaulted<LogPolicy> policy;
    // When last looked at, to notice a truncation, and whether it outruns its rotation.
    std::uint64_t size_bytes : 59 = 0;
    bool is_recovered : 1 = false;
    bool is_due : 1 = false;       // in due_
    bool has_failed : 1 = false;   // reported
    bool has_file : 1 = false;     // when last looked at, to notice a deletion
    bool is_skipping : 1 = false;  // a part of its oldest output is still to be taken away
    Instant not_before{};          // of the next rotation
  };
  using Logs = std::map<std::string, Log, std::less<>>;
  struct Active {
    std::string service;
    Rotation rotation;
    bool is_dropped = false;  // its log is no longer watched
  };

  explicit LogRotator(LogDirectory directory);
  void start_watching();
  void read_events(Instant now);
  void open_gate(bool is_open);
  void mark_due(Logs::iterator log);
  void mark_all_due();
  void check(const std::string& service, Log& log, Instant now);
  Result<bool> skip(const std::string& service, Log& log, std::uint64_t grown_bytes, Instant now);
  bool is_outrunning(std::string_view service) const;
  void stop_outrunning(std::string_view service);
  void look_at_outrunning(Instant now);
  void advance(Instant now);
  void end_rotation(const std::string& service, const Result<void>& rotated, Instant now);
  void report_failure(const std::string& service, Log& log, const Error& error, Instant now);
  void look_at_disk(Instant now);
  bool make_room(const std::string& service, Log& log, Instant now);
  void report_full_disk(Instant now);

  // On the heap, for Rotation points to it.
  std::unique_ptr<LogDirectory> directory_;
  std::unique_ptr<BackgroundDisk> disk_;  // on the heap, for it does not move
  UniqueFd inotify_;
  UniqueFd gate_;  // an epoll(7) that holds disk_'s descriptor, and inotify_ only while its events are wanted
  bool is_gate_open_ = false;
  Instant listens_at_ = never;  // when the closed gate is looked behind; poll time without inotify
  Logs logs_;
  std::deque<Logs::iterator> due_;
  std::deque<std::pair<Instant, std::string>> outrunning_;  // when to look at whom
  std::optional<Active> active_;
  Instant disk_not_before_{};  // of the next look at it
  Instant full_not_before_{};  // of the next report of it
  std::vector<LogIncident> incidents_;
};

}  // namespace gitproc
