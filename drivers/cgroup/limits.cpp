#include "drivers/cgroup/limits.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>

namespace gitproc {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration default_period = milliseconds(100);
// The kernel's own bounds (kernel/sched/core.c): a quota below a millisecond, a period beyond a second.
constexpr Duration smallest_quota = milliseconds(1), shortest_period = milliseconds(1);
constexpr Duration longest_period = std::chrono::seconds(1);
constexpr unsigned default_weight = 100, default_shares = 1024;
constexpr std::uint64_t smallest_shares = 2, greatest_shares = 262'144;

struct Planner {
  const ResourceControl& resources;
  const ControllerVersions& controllers;
  const LimitFacts& facts;
  LimitPlan plan;

  std::optional<CgroupVersion> version_of(std::string_view controller) const {
    auto found = controllers.find(controller);
    return found != controllers.end() ? std::optional(found->second) : std::nullopt;
  }

  void lack(std::string_view controller, std::string_view directive, std::string why) {
    plan.lacks.push_back({std::string(controller), std::string(directive), std::move(why)});
  }

  void write(std::string controller, std::string file, std::string value, std::string reset,
             std::string directive, std::string key = "", bool is_one_of_several = false) {
    plan.writes.push_back({.controller = std::move(controller),
                           .file = std::move(file),
                           .key = std::move(key),
                           .value = std::move(value),
                           .reset = std::move(reset),
                           .directive = std::move(directive),
                           .is_one_of_several = is_one_of_several});
  }

  // --- memory ---

  std::uint64_t bytes(const ResourceAmount& amount) const {
    std::uint64_t value =
        amount.kind == ResourceAmount::Kind::share
            ? facts.memory_bytes / 10'000 * amount.value + facts.memory_bytes % 10'000 * amount.value / 10'000
            : amount.value;
    return value / facts.page_bytes * facts.page_bytes;
  }
  bool is_unlimited(const ResourceAmount& amount) const {
    return amount.kind == ResourceAmount::Kind::unlimited;
  }

  void memory_v2(const std::optional<ResourceAmount>& amount, const char* file, const char* reset,
                 const char* directive) {
    if (!amount) return;
    write("memory", file, is_unlimited(*amount) ? "max" : std::to_string(bytes(*amount)), reset, directive);
  }

  void memory() {
    const ResourceControl& r = resources;
    struct Setting {
      const std::optional<ResourceAmount>& amount;
      const char* directive;
      bool is_in_v1;
    };
    const Setting settings[] = {{r.memory_min, "MemoryMin=", false},
                                {r.memory_low, "MemoryLow=", false},
                                {r.memory_high, "MemoryHigh=", false},
                                {r.memory_max, "MemoryMax=", true},
                                {r.memory_swap_max, "MemorySwapMax=", true}};
    std::optional<CgroupVersion> version = version_of("memory");
    for (const Setting& setting : settings) {
      if (!setting.amount) continue;
      if (!version) lack("memory", setting.directive, "no such controller");
      if (version == CgroupVersion::v1 && !setting.is_in_v1 && !is_unlimited(*setting.amount))
        lack("memory", setting.directive, "no such limit in cgroup v1");
    }
    if (!version) return;
    if (*version == CgroupVersion::v2) {
      memory_v2(r.memory_min, "memory.min", "0", "MemoryMin=");
      memory_v2(r.memory_low, "memory.low", "0", "MemoryLow=");
      memory_v2(r.memory_high, "memory.high", "max", "MemoryHigh=");
      memory_v2(r.memory_max, "memory.max", "max", "MemoryMax=");
      memory_v2(r.memory_swap_max, "memory.swap.max", "max", "MemorySwapMax=");
      if (r.oom_policy == OomPolicy::kill) write("memory", "memory.oom.group", "1", "0", "OOMPolicy=");
      return;
    }
    if (r.oom_policy == OomPolicy::kill) lack("memory", "OOMPolicy=kill", "no such limit in cgroup v1");
    bool is_limited = r.memory_max && !is_unlimited(*r.memory_max);
    if (r.memory_max) {
      write("memory", "memory.limit_in_bytes", is_limited ? std::to_string(bytes(*r.memory_max)) : "-1", "-1",
            "MemoryMax=");
    }
    if (!r.memory_swap_max || is_unlimited(*r.memory_swap_max)) return;
    // v1 limits memory and swap together, so one alone cannot be told.
    if (!is_limited)
      return lack("memory", "MemorySwapMax=", "cgroup v1 has it only together with MemoryMax=");
    write("memory", "memory.memsw.limit_in_bytes",
          std::to_string(bytes(*r.memory_max) + bytes(*r.memory_swap_max)), "-1", "MemorySwapMax=");
  }

  // --- CPU ---

  // As systemd: a longer period where the quota would be too small for the kernel.
  Duration period() const {
    Duration period = resources.cpu_period.value_or(default_period);
    if (period == infinite || period == Duration::zero()) period = default_period;
    if (resources.cpu_quota) {
      Duration needed(smallest_quota.count() * 10'000 / static_cast<std::int64_t>(*resources.cpu_quota));
      period = std::max(period, needed);
    }
    return std::clamp(period, shortest_period, longest_period);
  }

  void cpu() {
    const ResourceControl& r = resources;
    std::optional<CgroupVersion> version = version_of("cpu");
    if (!version) {
      if (r.cpu_weight) lack("cpu", "CPUWeight=", "no such controller");
      if (r.cpu_quota) lack("cpu", "CPUQuota=", "no such controller");
      return;
    }
    if (r.cpu_weight == idle_cpu_weight) {
      write("cpu", "cpu.idle", "1", "0", "CPUWeight=");
    } else if (r.cpu_weight && *version == CgroupVersion::v2) {
      write("cpu", "cpu.weight", std::to_string(*r.cpu_weight), std::to_string(default_weight), "CPUWeight=");
    } else if (r.cpu_weight) {
      std::uint64_t shares = std::clamp(std::uint64_t(*r.cpu_weight) * default_shares / default_weight,
                                        smallest_shares, greatest_shares);
      write("cpu", "cpu.shares", std::to_string(shares), std::to_string(default_shares), "CPUWeight=");
    }
    if (!r.cpu_quota) return;
    std::int64_t period_usec = period().count();
    std::int64_t quota_usec = std::max<std::int64_t>(
        static_cast<std::int64_t>(*r.cpu_quota) * period_usec / 10'000, smallest_quota.count());
    std::string period_text = std::to_string(period_usec), quota_text = std::to_string(quota_usec);
    if (*version == CgroupVersion::v2) {
      write("cpu", "cpu.max", quota_text + " " + period_text, "max 100000", "CPUQuota=");
    } else {
      write("cpu", "cpu.cfs_period_us", period_text, "100000", "CPUQuota=");
      write("cpu", "cpu.cfs_quota_us", quota_text, "-1", "CPUQuota=");
    }
  }

  static std::string index_list(const ResourceControl::IndexRanges& ranges) {
    std::string text;
    for (const auto& [first, last] : ranges) {
      text += (text.empty() ? "" : ",") + std::to_string(first);
      if (last != first) text += "-" + std::to_string(last);
    }
    return text;
  }

  void cpuset() {
    const ResourceControl& r = resources;
    std::optional<CgroupVersion> version = version_of("cpuset");
    // In v1 an empty set is no set at all: nobody could be in the group.
    std::string reset(version == CgroupVersion::v1 ? value_of_parent : "");
    if (!r.allowed_cpus.empty()) {
      if (version) {
        write("cpuset", "cpuset.cpus", index_list(r.allowed_cpus), reset, "AllowedCPUs=");
      } else {
        lack("cpuset", "AllowedCPUs=", "no such controller");
      }
    }
    if (!r.allowed_nodes.empty()) {
      if (version) {
        write("cpuset", "cpuset.mems", index_list(r.allowed_nodes), reset, "AllowedMemoryNodes=");
      } else {
        lack("cpuset", "AllowedMemoryNodes=", "no such controller");
      }
    }
  }

  // --- tasks ---

  void tasks() {
    if (!resources.tasks_max) return;
    if (!version_of("pids")) return lack("pids", "TasksMax=", "no such controller");
    const ResourceAmount& amount = *resources.tasks_max;
    std::uint64_t count =
        amount.kind == ResourceAmount::Kind::share ? facts.tasks * amount.value / 10'000 : amount.value;
    write("pids", "pids.max",
          is_unlimited(amount) ? "max" : std::to_string(std::max<std::uint64_t>(count, 1)), "max",
          "TasksMax=");
  }

  // --- input and output ---

  static const char* directive_of(IoLimitKind kind) {
    switch (kind) {
      case IoLimitKind::read_bytes: return "IOReadBandwidthMax=";
      case IoLimitKind::write_bytes: return "IOWriteBandwidthMax=";
      case IoLimitKind::read_operations: return "IOReadIOPSMax=";
      case IoLimitKind::write_operations: return "IOWriteIOPSMax=";
    }
    __builtin_unreachable();
  }
  static const char* v2_key_of(IoLimitKind kind) {
    switch (kind) {
      case IoLimitKind::read_bytes: return "rbps=";
      case IoLimitKind::write_bytes: return "wbps=";
      case IoLimitKind::read_operations: return "riops=";
      case IoLimitKind::write_operations: return "wiops=";
    }
    __builtin_unreachable();
  }
  static const char* v1_file_of(IoLimitKind kind) {
    switch (kind) {
      case IoLimitKind::read_bytes: return "blkio.throttle.read_bps_device";
      case IoLimitKind::write_bytes: return "blkio.throttle.write_bps_device";
      case IoLimitKind::read_operations: return "blkio.throttle.read_iops_device";
      case IoLimitKind::write_operations: return "blkio.throttle.write_iops_device";
    }
    __builtin_unreachable();
  }

  const std::string* device_of(const std::string& path, const char* directive) {
    auto found = facts.devices.find(path);
    if (found != facts.devices.end()) return &found->second;
    lack("io", directive, "no block device is behind '" + path + "'");
    return nullptr;
  }

  // BFQ's weights end at 1000: those above 100 are drawn together, as systemd does.
  static unsigned bfq_weight(unsigned weight) {
    return weight <= 100 ? weight : 100 + (weight - 100) * (1000 - 100) / (10'000 - 100);
  }

  void write_io_weight(unsigned weight, bool is_v1, const char* directive, std::string key,
                       const char* reset) {
    std::string bfq = std::to_string(bfq_weight(weight));
    bool is_of_device = key != "default ";
    if (is_v1) {
      const char* file = is_of_device ? "blkio.bfq.weight_device" : "blkio.bfq.weight";
      return write("blkio", file, bfq, is_of_device ? "0" : "100", directive,
                   is_of_device ? std::move(key) : "");
    }
    write("io", "io.weight", std::to_string(weight), reset, directive, key, true);
    write("io", "io.bfq.weight", bfq, reset, directive, std::move(key), true);
  }

  void io() {
    const ResourceControl& r = resources;
    std::optional<CgroupVersion> version = version_of("io");
    const bool is_v1 = version == CgroupVersion::v1;
    if (!version) {
      if (r.io_weight) lack("io", "IOWeight=", "no such controller");
      if (!r.io_device_weights.empty()) lack("io", "IODeviceWeight=", "no such controller");
      for (const IoLimit& limit : r.io_limits)
        lack("io", directive_of(limit.kind), "no such controller");
      return;
    }
    if (r.io_weight) write_io_weight(*r.io_weight, is_v1, "IOWeight=", "default ", "100");
    for (const IoDeviceWeight& setting : r.io_device_weights) {
      const std::string* device = device_of(setting.path, "IODeviceWeight=");
      if (device != nullptr)
        write_io_weight(setting.weight, is_v1, "IODeviceWeight=", *device + " ", "default");
    }
    for (const IoLimit& limit : r.io_limits) {
      const std::string* device = device_of(limit.path, directive_of(limit.kind));
      if (device == nullptr) continue;
      bool is_none = limit.per_second == infinite_limit;
      if (is_v1) {
        write("blkio", v1_file_of(limit.kind), is_none ? "0" : std::to_string(limit.per_second), "0",
              directive_of(limit.kind), *device + " ");
      } else {
        write("io", "io.max", is_none ? "max" : std::to_string(limit.per_second), "max",
              directive_of(limit.kind), *device + " " + v2_key_of(limit.kind));
      }
    }
  }
};

bool is_same_place(const LimitWrite& a, const LimitWrite& b) {
  return a.controller == b.controller && a.file == b.file && a.key == b.key;
}

}  // namespace

LimitPlan plan_limits(const ResourceControl& resources, const ControllerVersions& controllers,
                      const LimitFacts& facts) {
  Planner planner{resources, controllers, facts, {}};
  planner.cpu();
  planner.cpuset();
  planner.memory();
  planner.tasks();
  planner.io();
  return std::move(planner.plan);
}

std::vector<LimitWrite> limit_changes(const LimitPlan& from, const LimitPlan& to) {
  std::vector<LimitWrite> changes;
  for (const LimitWrite& former : from.writes) {
    bool stays = std::ranges::any_of(
        to.writes, [&former](const LimitWrite& write) { return is_same_place(former, write); });
    if (stays) continue;
    changes.push_back(former);
    changes.back().value = former.reset;
  }
  changes.insert(changes.end(), to.writes.begin(), to.writes.end());
  return changes;
}

std::vector<std::string> needed_controllers(const ResourceControl& resources,
                                            const ControllerVersions& controllers) {
  std::set<std::string> needed;
  auto is_in_v2 = [&controllers](std::string_view name) {
    auto found = controllers.find(name);
    return found != controllers.end() && found->second == CgroupVersion::v2;
  };
  auto need = [&](bool is_set, const char* name) {
    if (is_set && is_in_v2(name)) needed.insert(name);
  };
  const ResourceControl& r = resources;
  need(r.cpu_weight || r.cpu_quota, "cpu");
  need(!r.allowed_cpus.empty() || !r.allowed_nodes.empty(), "cpuset");
  need(r.memory_min || r.memory_low || r.memory_high || r.memory_max || r.memory_swap_max ||
           r.oom_policy == OomPolicy::kill,
       "memory");
  need(r.tasks_max.has_value(), "pids");
  need(r.io_weight || !r.io_device_weights.empty() || !r.io_limits.empty(), "io");
  for (const auto& [name, version] : controllers) {
    bool is_delegated =
        r.delegate.has_all || std::ranges::find(r.delegate.controllers, name) != r.delegate.controllers.end();
    if (is_delegated && version == CgroupVersion::v2) needed.insert(name);
  }
  return {needed.begin(), needed.end()};
}

std::vector<std::string> device_paths(const ResourceControl& resources) {
  std::set<std::string> paths;
  for (const IoLimit& limit : resources.io_limits)
    paths.insert(limit.path);
  for (const IoDeviceWeight& setting : resources.io_device_weights)
    paths.insert(setting.path);
  return {paths.begin(), paths.end()};
}

}  // namespace gitproc
