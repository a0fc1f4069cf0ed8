#include "reconcile/actual/service.h"

#include <utility>

namespace gitproc {
namespace {

constexpr std::pair<ServiceResult, std::string_view> result_names[] = {
    {ServiceResult::success, "success"},       {ServiceResult::protocol, "protocol"},
    {ServiceResult::exit_code, "exit-code"},   {ServiceResult::signal, "signal"},
    {ServiceResult::core_dump, "core-dump"},   {ServiceResult::timeout, "timeout"},
    {ServiceResult::watchdog, "watchdog"},     {ServiceResult::start_limit_hit, "start-limit-hit"},
    {ServiceResult::oom_kill, "oom-kill"},     {ServiceResult::resources, "resources"},
    {ServiceResult::dependency, "dependency"}, {ServiceResult::condition, "condition"},
};

constexpr std::pair<ExecPhase, std::string_view> phase_names[] = {
    {ExecPhase::condition, "condition"},   {ExecPhase::start_pre, "start-pre"}, {ExecPhase::start, "start"},
    {ExecPhase::start_post, "start-post"}, {ExecPhase::reload, "reload"},       {ExecPhase::stop, "stop"},
    {ExecPhase::stop_post, "stop-post"},
};

template <typename Table, typename Value>
std::string_view name_of(const Table& table, Value value) {
  for (const auto& [entry, name] : table) {
    if (entry == value) return name;
  }
  return "";
}

template <typename Value, std::size_t size>
std::optional<Value> value_of(const std::pair<Value, std::string_view> (&table)[size],
                              std::string_view word) {
  for (const auto& [value, name] : table) {
    if (name == word) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(ServiceState state) {
  switch (state) {
    case ServiceState::stopped: return "stopped";
    case ServiceState::waiting: return "waiting";
    case ServiceState::starting: return "starting";
    case ServiceState::running: return "running";
    case ServiceState::reloading: return "reloading";
    case ServiceState::stopping: return "stopping";
    case ServiceState::backoff: return "backoff";
    case ServiceState::failed: return "failed";
    case ServiceState::completed: return "completed";
  }
  __builtin_unreachable();
}

std::string_view to_string(HealthState health) {
  switch (health) {
    case HealthState::none: return "none";
    case HealthState::starting: return "starting";
    case HealthState::healthy: return "healthy";
    case HealthState::unhealthy: return "unhealthy";
  }
  __builtin_unreachable();
}

std::string_view to_string(ServiceResult result) { return name_of(result_names, result); }
std::string_view to_string(ExecPhase phase) { return name_of(phase_names, phase); }
std::optional<ServiceResult> parse_service_result(std::string_view word) {
  return value_of(result_names, word);
}
std::optional<ExecPhase> parse_exec_phase(std::string_view word) { return value_of(phase_names, word); }

std::string InvocationId::hex() const {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::optional<InvocationId> InvocationId::parse(std::string_view hex) {
  InvocationId id;
  if (hex.size() != 2 * id.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    char c = hex[i];
    int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (value < 0) return std::nullopt;
    id.bytes[i / 2] = static_cast<std::uint8_t>(id.bytes[i / 2] << 4 | value);
  }
  return id;
}

}  // namespace gitproc
