#include "agent/http/metrics.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <limits>
#include <utility>

#include "drivers/base/system_call.h"

namespace gitproc {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t kernel_file_limit = 16u << 10;

// --- what the kernel tells ---

std::optional<double> read_number(const std::string& path) {
  Result<std::string> text = read_file(path, kernel_file_limit);
  if (!text) return std::nullopt;
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{}) return std::nullopt;
  return static_cast<double>(number);
}

// The pages of /proc/PID/statm that are resident.
std::optional<double> resident_bytes(const std::string& process) {
  Result<std::string> text = read_file("/proc/" + process + "/statm", kernel_file_limit);
  unsigned long size = 0, resident = 0;
  if (!text || std::sscanf(text->c_str(), "%lu %lu", &size, &resident) != 2) return std::nullopt;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

// utime and stime of /proc/PID/stat; the name before them may hold blanks and brackets.
std::optional<double> cpu_seconds(const std::string& process) {
  Result<std::string> text = read_file("/proc/" + process + "/stat", kernel_file_limit);
  if (!text) return std::nullopt;
  std::size_t name_end = text->rfind(')');
  unsigned long user = 0, system = 0;
  if (name_end == std::string::npos ||
      std::sscanf(text->c_str() + name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                  &system) != 2) {
    return std::nullopt;
  }
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// Of all its processes where its control group counts them, else of the main process.
std::optional<double> memory_of(const ServiceSample& service) {
  if (!service.cgroup.empty()) {
    if (auto bytes = read_number(service.cgroup + "/memory.current")) return bytes;
  }
  return service.pid != 0 ? resident_bytes(std::to_string(service.pid)) : std::nullopt;
}

std::optional<double> cpu_of(const ServiceSample& service) {
  if (!service.cgroup.empty()) {
    Result<std::string> text = read_file(service.cgroup + "/cpu.stat", kernel_file_limit);
    unsigned long long usec = 0;
    if (text && std::sscanf(text->c_str(), "usage_usec %llu", &usec) == 1)
      return static_cast<double>(usec) / 1e6;
  }
  return service.pid != 0 ? cpu_seconds(std::to_string(service.pid)) : std::nullopt;
}

// --- the families ---

class Families {
 public:
  MetricFamily& add(std::string name, std::string help, MetricType type) {
    MetricFamily& family = families_.emplace_back();
    family.name = std::move(name);
    family.help = std::move(help);
    family.type = type;
    return family;
  }
  void gauge(std::string name, std::string help, double value) {
    sample(add(std::move(name), std::move(help), MetricType::Gauge), {}, value);
  }
  void counts(std::string name, std::string help, const std::string& label,
              const std::vector<Count>& counts) {
    MetricFamily& family = add(std::move(name), std::move(help), MetricType::Counter);
    for (const Count& count : counts)
      sample(family, {{label, std::string(count.label)}}, static_cast<double>(count.number));
  }
  void histogram(std::string name, std::string help, const DurationHistogram& durations) {
    ClientMetric& metric = add(std::move(name), std::move(help), MetricType::Histogram).metric.emplace_back();
    std::uint64_t so_far = 0;
    for (std::size_t i = 0; i < durations.counts().size(); ++i) {
      so_far += durations.counts()[i];
      double bound = i < DurationHistogram::bounds.size() ? DurationHistogram::bounds[i]
                                                          : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({so_far, bound});
    }
    metric.histogram.sample_count = so_far;
    metric.histogram.sample_sum = durations.sum_seconds();
  }
  static void sample(MetricFamily& family, const Labels& labels, double value) {
    ClientMetric& metric = family.metric.emplace_back();
    for (const auto& [name, text] : labels)
      metric.label.push_back({name, text});
    metric.gauge.value = metric.counter.value = value;
  }

  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<MetricFamily> families_;
};

void add_node(Families& families, const MetricsFacts& facts) {
  Families::sample(families.add("gitproc_build_info", "The version that runs.", MetricType::Gauge),
                   {{"version", facts.version}}, 1);
  MetricFamily& sync =
      families.add("gitproc_sync_state", "1 for the state that the node is in.", MetricType::Gauge);
  for (std::string_view state : facts.sync_states)
    Families::sample(sync, {{"state", std::string(state)}}, state == facts.sync ? 1 : 0);
  MetricFamily& commits = families.add(
      "gitproc_commit_info", "The tip of the branch, the desired and the applied commit.", MetricType::Gauge);
  for (const auto& [kind, commit] :
       {std::pair("branch", &facts.branch_commit), std::pair("desired", &facts.desired_commit),
        std::pair("applied", &facts.applied_commit)}) {
    if (!commit->empty())
      Families::sample(commits, {{"branch", facts.branch}, {"commit", *commit}, {"kind", kind}}, 1);
  }
  families.gauge("gitproc_pinned", "Whether a rollback holds the node.", facts.is_pinned ? 1 : 0);
  families.gauge("gitproc_commits_behind", "Commits between the pinned one and the tip.", facts.behind);
  families.gauge("gitproc_sync_lag_seconds", "For how long the node has not been as its branch says.",
                 std::chrono::duration<double>(facts.sync_lag).count());
  families.counts("gitproc_commits_total", "Commits by what became of them.", "outcome",
                  facts.commits_by_outcome);
  families.histogram("gitproc_apply_duration_seconds",
                     "From beginning with a commit until its last action ended.", facts.apply_durations);
  families.histogram("gitproc_healthy_duration_seconds",
                     "From beginning with a commit until it was found healthy.", facts.healthy_durations);
  MetricFamily& services = families.add("gitproc_services", "Services by their state.", MetricType::Gauge);
  for (const Count& count : facts.services_by_state)
    Families::sample(services, {{"state", std::string(count.label)}}, static_cast<double>(count.number));
  families.gauge("gitproc_services_omitted", "Services without figures of their own here.",
                 static_cast<double>(facts.services_omitted));
  families.counts("gitproc_notices_total", "Notices by what became of them.", "result",
                  facts.notices_by_result);
}

void add_services(Families& families, const MetricsFacts& facts) {
  // One after the other, because a family may move when the next one is added.
  auto each = [&](const char* name, const char* help, MetricType type, auto value) {
    MetricFamily& family = families.add(name, help, type);
    for (const ServiceSample& service : facts.services) {
      if (std::optional<double> number = value(service))
        Families::sample(family, {{"service", service.name}}, *number);
    }
  };
  using Value = std::optional<double>;
  each("gitproc_service_up", "Whether it runs, or has completed.", MetricType::Gauge,
       [](const ServiceSample& service) -> Value { return service.is_up ? 1 : 0; });
  MetricFamily& states =
      families.add("gitproc_service_state", "1 for the state that the service is in.", MetricType::Gauge);
  for (const ServiceSample& service : facts.services)
    Families::sample(states, {{"service", service.name}, {"state", std::string(service.state)}}, 1);
  each("gitproc_service_state_since_seconds", "When it came into that state.", MetricType::Gauge,
       [](const ServiceSample& service) { return service.since; });
  each("gitproc_service_restarts_total", "Restarts by Restart=.", MetricType::Counter,
       [](const ServiceSample& service) -> Value { return service.restarts; });
  each("gitproc_service_healthy", "What its health check says.", MetricType::Gauge,
       [](const ServiceSample& service) -> Value {
         if (!service.is_healthy) return std::nullopt;
         return *service.is_healthy ? 1 : 0;
       });
  each("gitproc_service_memory_bytes", "Of its control group, or its main process.", MetricType::Gauge,
       memory_of);
  each("gitproc_service_cpu_seconds_total", "Of its control group, or its main process.", MetricType::Counter,
       cpu_of);
}

void add_agent(Families& families, const MetricsFacts& facts) {
  families.gauge("process_start_time_seconds", "When the agent started.", facts.started_at);
  if (auto bytes = resident_bytes("self"))
    families.gauge("process_resident_memory_bytes", "Of the agent alone.", *bytes);
  if (auto seconds = cpu_seconds("self")) {
    Families::sample(families.add("process_cpu_seconds_total", "Of the agent alone.", MetricType::Counter),
                     {}, *seconds);
  }
}

}  // namespace

std::string metrics_text(const MetricsFacts& facts, const std::vector<Count>& webhooks) {
  Families families;
  add_node(families, facts);
  add_services(families, facts);
  families.counts("gitproc_webhook_requests_total", "Webhooks by what was made of them.", "result", webhooks);
  add_agent(families, facts);
  return families.text();
}

}  // namespace gitproc
