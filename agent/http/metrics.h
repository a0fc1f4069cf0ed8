// What /metrics tells, as plain values that the loop hands out on request, and their Prometheus text. How much a service
// uses is read from the kernel only while the text is made, off the loop.
//
// The number of series is bounded: a service has at most seven, and only the first metrics_service_limit services, in
// the order of their names, are told one by one; gitproc_services_omitted counts the others.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/time.h"

namespace gitproc {

// With seven series each: 10,000 series, about.
inline constexpr std::size_t metrics_service_limit = 1'400;

// Durations in buckets, as Prometheus' histograms are.
class DurationHistogram {
 public:
  // Upper bounds in seconds; beyond the last one is infinity.
  static constexpr std::array bounds = {0.01, 0.025, 0.05, 0.1,  0.25, 0.5,  1.0,
                                        2.5,  5.0,   10.0, 30.0, 60.0, 300.0};

  void observe(Duration span) {
    double seconds = std::chrono::duration<double>(span).count();
    std::size_t bucket = 0;
    while (bucket < bounds.size() && seconds > bounds[bucket])
      ++bucket;
    ++counts_[bucket];
    sum_seconds_ += seconds;
  }

  // Of each bucket alone.
  const std::array<std::uint64_t, bounds.size() + 1>& counts() const { return counts_; }
  double sum_seconds() const { return sum_seconds_; }

 private:
  std::array<std::uint64_t, bounds.size() + 1> counts_{};
  double sum_seconds_ = 0;
};

struct ServiceSample {
  std::string name;
  std::string_view state;
  bool is_up = false;              // running or reloading, or a oneshot that succeeded
  std::optional<bool> is_healthy;  // nullopt: no health check, or not known yet
  unsigned restarts = 0;
  std::optional<double> since;  // of its state; seconds since 1970
  int pid = 0;                  // 0: none
  std::string cgroup;           // the folder of its control group; "": none
};

struct Count {
  std::string_view label;
  std::uint64_t number = 0;
};

struct MetricsFacts {
  std::string version;
  std::string_view sync;  // the state; one of sync_states
  std::vector<std::string_view> sync_states;
  std::string branch;
  std::string branch_commit, desired_commit, applied_commit;  // "": none
  bool is_pinned = false;
  unsigned behind = 0;
  Duration sync_lag{};  // since the node has not been as its branch says; 0 while it is
  std::vector<Count> services_by_state;
  std::vector<Count> commits_by_outcome;
  std::vector<Count> notices_by_result;
  DurationHistogram apply_durations;
  DurationHistogram healthy_durations;
  double started_at = 0;  // of the agent; seconds since 1970
  std::vector<ServiceSample> services;
  std::size_t services_omitted = 0;
};

// `webhooks`: what the HTTP thread itself counted, by verdict.
std::string metrics_text(const MetricsFacts& facts, const std::vector<Count>& webhooks);

}  // namespace gitproc
