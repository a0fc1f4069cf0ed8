// [Service]: systemd.resource-control(5). Values are checked and kept in their normal form under their
// directive's name; what the kernel's files hold is for those to know who write them.
#include <algorithm>

#include "reconcile/unit/fields.h"

namespace gitproc {
namespace {

using Settings = GroupField<&Unit::resources, &ResourceControl::settings>;

auto place_of(const std::vector<std::pair<std::string, std::string>>& settings, std::string_view key) {
  return std::lower_bound(
      settings.begin(), settings.end(), key,
      [](const auto& setting, std::string_view wanted) { return setting.first < wanted; });
}

void remove_setting(Unit& unit, std::string_view key) {
  const auto& settings = Settings::get(unit);
  auto at = place_of(settings, key);
  if (at == settings.end() || at->first != key) return;
  std::erase_if(Settings::edit(unit), [&](const auto& setting) { return setting.first == key; });
}

template <Result<std::string> (*Normalise)(std::string_view)>
void read_setting(Reader& reader) {
  // "default" takes a weight back, as an empty value does.
  const bool takes_back =
      reader.value().empty() || (reader.key() == "IOWeight" && reader.value() == "default");
  if (takes_back) return remove_setting(reader.unit(), reader.key());
  auto value = Normalise(reader.value());
  if (!value) return reader.bad_value(reader.value(), value.error().message);
  remove_setting(reader.unit(), reader.key());
  auto& settings = Settings::edit(reader.unit());
  settings.emplace(place_of(settings, reader.key()), reader.key(), std::move(*value));
  reader.warning(std::string(reader.key()) + "= is checked but not enforced");
}

template <const char* const& Key>
void print_setting(const Unit& unit, Lines& lines) {
  const auto& settings = Settings::get(unit);
  auto at = place_of(settings, Key);
  if (at != settings.end() && at->first == Key) lines.add(at->second);
}

Result<std::string> memory_maximum(std::string_view text) { return normalise_memory(text, false); }

Result<std::string> memory_amount(std::string_view text) { return normalise_memory(text, true); }

template <const char* const& Key, Result<std::string> (*Normalise)(std::string_view)>
constexpr Directive setting() {
  return {"Service", Key, read_setting<Normalise>, print_setting<Key>, ChangeEffect::adjust};
}

constexpr const char* cpu_weight = "CPUWeight";
constexpr const char* cpu_quota = "CPUQuota";
constexpr const char* allowed_cpus = "AllowedCPUs";
constexpr const char* allowed_memory_nodes = "AllowedMemoryNodes";
constexpr const char* memory_min = "MemoryMin";
constexpr const char* memory_low = "MemoryLow";
constexpr const char* memory_high = "MemoryHigh";
constexpr const char* memory_max = "MemoryMax";
constexpr const char* memory_swap_max = "MemorySwapMax";
constexpr const char* tasks_max = "TasksMax";
constexpr const char* io_weight = "IOWeight";

constexpr Directive directives[] = {
    setting<cpu_weight, normalise_cpu_weight>(),   setting<cpu_quota, normalise_cpu_quota>(),
    setting<allowed_cpus, normalise_index_list>(), setting<allowed_memory_nodes, normalise_index_list>(),
    setting<memory_min, memory_amount>(),          setting<memory_low, memory_amount>(),
    setting<memory_high, memory_maximum>(),        setting<memory_max, memory_maximum>(),
    setting<memory_swap_max, memory_amount>(),     setting<tasks_max, normalise_tasks>(),
    setting<io_weight, normalise_weight>(),
};

}  // namespace

std::span<const Directive> resource_directives() { return directives; }

}  // namespace gitproc
