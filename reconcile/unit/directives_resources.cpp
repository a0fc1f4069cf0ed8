// [Service]: systemd.resource-control(5), and OOMPolicy=. What the kernel's files hold for these values is for those
// to know who write them (drivers/cgroup/limits.h). None of them touches the process: a change is adjusted live.
#include <algorithm>
#include <charconv>

#include "reconcile/unit/fields.h"
#include "reconcile/unit/paths.h"

namespace gitproc {
namespace {

// Limits and weights of devices that one unit may have.
constexpr std::size_t max_devices = 256;

template <auto Field>
using ResourceField = GroupField<&Unit::resources, Field>;

// A directive of one word: `Parse` reads it, `Print` writes it back.
template <auto Parse, auto Print>
struct Value {
  static auto parse(std::string_view text) { return Parse(text); }
  template <typename T>
  static std::string print(const T& value) {
    return Print(value);
  }
};

Result<ResourceAmount> parse_memory_maximum(std::string_view text) {
  return parse_memory_amount(text, false);
}
Result<ResourceAmount> parse_memory_minimum(std::string_view text) { return parse_memory_amount(text, true); }
std::string print_weight(unsigned weight) { return std::to_string(weight); }
Result<Duration> parse_period(std::string_view text) { return parse_time_span(text); }

using MemoryMaximum = Value<parse_memory_maximum, print_amount>;
using MemoryMinimum = Value<parse_memory_minimum, print_amount>;
using TaskAmount = Value<parse_task_amount, print_amount>;
using CpuWeight = Value<parse_cpu_weight, print_cpu_weight>;
using CpuQuota = Value<parse_cpu_quota, print_percentage>;
using CpuPeriod = Value<parse_period, print_time_span>;
using IndexList = Value<parse_index_list, print_index_list>;

constexpr EnumWord<OomPolicy> oom_words[] = {
    {"stop", OomPolicy::stop}, {"continue", OomPolicy::carry_on}, {"kill", OomPolicy::kill}};

template <auto Field, typename V>
constexpr Directive adjusted(std::string_view key) {
  return field<ResourceField<Field>, V>("Service", key, ChangeEffect::adjust);
}

// --- IOWeight= ---

void read_io_weight(Reader& reader) {
  using Weight = ResourceField<&ResourceControl::io_weight>;
  // "default" takes a weight back, as an empty value does.
  if (reader.value() == "default") return set<Weight>(reader.unit(), std::nullopt);
  read_field<Weight, Value<parse_weight, print_weight>>(reader);
}

// --- devices: PATH VALUE ---

// Bytes or operations a second, base 1000, suffixes K M G T P E; infinity.
Result<std::uint64_t> parse_rate(std::string_view text) {
  static constexpr std::string_view suffixes = "KMGTPE";
  static constexpr std::string_view message =
      "is not a rate, such as 5M, 1000 or infinity (suffixes K M G T P E)";
  if (text == "infinity") return infinite_limit;
  std::uint64_t rate = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
  if (error != std::errc()) return fail(std::string(message), ErrorCode::invalid);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  std::size_t suffix = text.size() == 1 ? suffixes.find(text.front()) : std::string_view::npos;
  if (!text.empty() && suffix == std::string_view::npos)
    return fail(std::string(message), ErrorCode::invalid);
  for (std::size_t i = 0; !text.empty() && i <= suffix; ++i) {
    if (rate > static_cast<std::uint64_t>(INT64_MAX) / 1000)
      return fail("is too high a rate", ErrorCode::invalid);
    rate *= 1000;
  }
  if (rate == 0) return fail("would let nothing through at all", ErrorCode::invalid);
  return rate;
}

// The path and the other word; nullopt after reporting what is wrong.
std::optional<std::pair<std::string, Word>> read_device(Reader& reader) {
  std::vector<Word> words = reader.expanded_words();
  if (words.size() != 2 || !is_absolute_path(words[0].text)) {
    reader.bad_value(reader.value(), "is not an absolute path and a value, such as /dev/sda 5M");
    return std::nullopt;
  }
  return std::pair(simplify_path(words[0].text), std::move(words[1]));
}

std::string print_device(const std::string& path, std::string_view value) {
  return quote_plain_word(protect_specifiers(path)) + " " + std::string(value);
}

template <typename T, typename IsSame>
void put(Reader& reader, std::vector<T>& list, T item, const IsSame& is_same) {
  auto known = std::ranges::find_if(list, is_same);
  if (known != list.end()) {
    *known = std::move(item);
  } else if (list.size() < max_devices) {
    list.push_back(std::move(item));
  } else {
    reader.error("the unit has more than 256 values for devices");
  }
}

template <IoLimitKind Kind>
void read_io_limit(Reader& reader) {
  using Limits = ResourceField<&ResourceControl::io_limits>;
  if (reader.value().empty()) {
    auto is_kind = [](const IoLimit& limit) { return limit.kind == Kind; };
    if (std::ranges::any_of(Limits::get(reader.unit()), is_kind))
      std::erase_if(Limits::edit(reader.unit()), is_kind);
    return;
  }
  auto device = read_device(reader);
  if (!device) return;
  Result<std::uint64_t> rate = parse_rate(device->second.text);
  if (!rate) return reader.bad_value(device->second.text, rate.error().message, device->second.offset);
  IoLimit limit{.kind = Kind, .path = std::move(device->first), .per_second = *rate};
  auto is_same = [path = limit.path](const IoLimit& known) {
    return known.kind == Kind && known.path == path;
  };
  std::vector<IoLimit>& limits = Limits::edit(reader.unit());
  put(reader, limits, std::move(limit), is_same);
  // Kept by kind: their order means nothing.
  std::ranges::stable_sort(limits, {}, &IoLimit::kind);
}

template <IoLimitKind Kind>
void print_io_limits(const Unit& unit, Lines& lines) {
  for (const IoLimit& limit : unit.resources->io_limits) {
    if (limit.kind != Kind) continue;
    bool is_infinite = limit.per_second == infinite_limit;
    lines.add(print_device(limit.path, is_infinite ? "infinity" : std::to_string(limit.per_second)));
  }
}

template <IoLimitKind Kind>
constexpr Directive io_limit(std::string_view key) {
  return {"Service", key, read_io_limit<Kind>, print_io_limits<Kind>, ChangeEffect::adjust};
}

void read_io_device_weight(Reader& reader) {
  using Weights = ResourceField<&ResourceControl::io_device_weights>;
  if (reader.value().empty()) return set<Weights>(reader.unit(), {});
  auto device = read_device(reader);
  if (!device) return;
  Result<unsigned> weight = parse_weight(device->second.text);
  if (!weight) return reader.bad_value(device->second.text, weight.error().message, device->second.offset);
  IoDeviceWeight setting{.path = std::move(device->first), .weight = *weight};
  auto is_same = [path = setting.path](const IoDeviceWeight& known) { return known.path == path; };
  put(reader, Weights::edit(reader.unit()), std::move(setting), is_same);
}

void print_io_device_weights(const Unit& unit, Lines& lines) {
  for (const IoDeviceWeight& setting : unit.resources->io_device_weights)
    lines.add(print_device(setting.path, std::to_string(setting.weight)));
}

// --- Delegate= ---

using DelegateField = ResourceField<&ResourceControl::delegate>;

// The name that a controller of either version has in the v2 tree; "" where v2 has nothing to hand on.
std::string_view delegated_name(std::string_view controller) {
  if (controller == "cpuacct") return "cpu";
  if (controller == "blkio") return "io";
  if (controller == "devices" || controller.starts_with("bpf-")) return "";
  return controller;
}

bool is_controller(std::string_view name) {
  static constexpr std::string_view known[] = {"cpu",  "cpuacct", "cpuset", "io",      "blkio",  "memory",
                                               "pids", "rdma",    "misc",   "hugetlb", "devices"};
  return std::ranges::find(known, name) != std::end(known) || name.starts_with("bpf-");
}

void read_delegate(Reader& reader) {
  // An empty value delegates the group, without any controllers.
  if (reader.value().empty()) return set<DelegateField>(reader.unit(), {.is_on = true});
  if (Result<bool> all = parse_boolean(reader.value()))
    return set<DelegateField>(reader.unit(), {.is_on = *all, .has_all = *all});
  Delegation delegation = DelegateField::get(reader.unit());
  delegation.is_on = true;
  for (const Word& word : reader.expanded_words()) {
    if (!is_controller(word.text)) {
      reader.bad_value(word.text, "is neither a boolean nor the name of a cgroup controller", word.offset);
      continue;
    }
    std::string name(delegated_name(word.text));
    auto place = std::ranges::lower_bound(delegation.controllers, name);
    bool is_new = place == delegation.controllers.end() || *place != name;
    if (!name.empty() && is_new && !delegation.has_all) delegation.controllers.insert(place, name);
  }
  set<DelegateField>(reader.unit(), std::move(delegation));
}

void print_delegate(const Unit& unit, Lines& lines) {
  const Delegation& delegation = unit.resources->delegate;
  if (!delegation.is_on) return;
  if (delegation.has_all) return lines.add("yes");
  std::string names;
  for (const std::string& controller : delegation.controllers)
    names += (names.empty() ? "" : " ") + controller;
  lines.add(names);
}

constexpr Directive directives[] = {
    adjusted<&ResourceControl::cpu_weight, CpuWeight>("CPUWeight"),
    adjusted<&ResourceControl::cpu_quota, CpuQuota>("CPUQuota"),
    adjusted<&ResourceControl::cpu_period, CpuPeriod>("CPUQuotaPeriodSec"),
    adjusted<&ResourceControl::allowed_cpus, IndexList>("AllowedCPUs"),
    adjusted<&ResourceControl::allowed_nodes, IndexList>("AllowedMemoryNodes"),
    adjusted<&ResourceControl::memory_min, MemoryMinimum>("MemoryMin"),
    adjusted<&ResourceControl::memory_low, MemoryMinimum>("MemoryLow"),
    adjusted<&ResourceControl::memory_high, MemoryMaximum>("MemoryHigh"),
    adjusted<&ResourceControl::memory_max, MemoryMaximum>("MemoryMax"),
    adjusted<&ResourceControl::memory_swap_max, MemoryMinimum>("MemorySwapMax"),
    adjusted<&ResourceControl::tasks_max, TaskAmount>("TasksMax"),
    {"Service", "IOWeight", read_io_weight,
     print_field<ResourceField<&ResourceControl::io_weight>, Value<parse_weight, print_weight>>,
     ChangeEffect::adjust},
    {"Service", "IODeviceWeight", read_io_device_weight, print_io_device_weights, ChangeEffect::adjust},
    io_limit<IoLimitKind::read_bytes>("IOReadBandwidthMax"),
    io_limit<IoLimitKind::write_bytes>("IOWriteBandwidthMax"),
    io_limit<IoLimitKind::read_operations>("IOReadIOPSMax"),
    io_limit<IoLimitKind::write_operations>("IOWriteIOPSMax"),
    {"Service", "Delegate", read_delegate, print_delegate, ChangeEffect::adjust},
    adjusted<&ResourceControl::oom_policy, WordValue<oom_words>>("OOMPolicy"),
};

}  // namespace

std::span<const Directive> resource_directives() { return directives; }

}  // namespace gitproc
