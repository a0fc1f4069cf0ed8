// The figures of /metrics, gathered on the loop when somebody asks. Only what is not there to be looked up later is
// counted as it happens, from the announcements that `gitproc events` shows.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "agent/daemon.h"
#include "agent/http/metrics.h"
#include "agent/notices.h"

namespace gitproc {

class MetricsView {
 public:
  // Follows the daemon's events; daemon and notices must outlive it. `notices`: null where nobody is notified.
  MetricsView(Daemon& daemon, const Notices* notices);
  ~MetricsView();
  MetricsView(const MetricsView&) = delete;
  MetricsView& operator=(const MetricsView&) = delete;

  MetricsFacts facts() const;

 private:
  void count(const LoggedEvent& event);

  Daemon& daemon_;
  const Notices* notices_;
  std::string cgroup_mount_;  // "": none
  std::uint64_t follower_;
  std::array<Count, 5> outcomes_;
  DurationHistogram apply_durations_;
  DurationHistogram healthy_durations_;
  std::optional<LoggedEvent> applying_;  // the last one
};

}  // namespace gitproc
