// [X-GitProc], which systemd ignores, and [Install].
#include <algorithm>
#include <limits>
#include <optional>

#include "reconcile/base/strings.h"
#include "reconcile/unit/exec_line.h"
#include "reconcile/unit/fields.h"
#include "reconcile/unit/names.h"
#include "reconcile/unit/paths.h"
#include "reconcile/unit/selector.h"

namespace gitproc {
namespace {

constexpr EnumWord<bool> desired_words[] = {{"running", true}, {"stopped", false}};
constexpr EnumWord<bool> action_words[] = {{"restart", true}, {"none", false}};
constexpr EnumWord<UpdateStrategy> strategy_words[] = {{"recreate", UpdateStrategy::recreate},
                                                       {"overlap", UpdateStrategy::overlap}};

template <auto Field>
using HealthField = GroupField<&Unit::health, Field>;

struct PositiveTimeSpan {
  static Result<Duration> parse(std::string_view text) {
    auto span = parse_time_span(text);
    if (span && (*span == Duration::zero() || *span == infinite))
      return fail("is not a time span above zero and below infinity", ErrorCode::invalid);
    return span;
  }
  static std::string print(Duration span) { return print_time_span(span); }
};

struct LogSizeValue {
  static Result<std::uint64_t> parse(std::string_view text) {
    if (text == "infinity") return infinite_limit;
    auto size = parse_size(text);
    if (size && *size == 0) return fail("would keep no output at all", ErrorCode::invalid);
    return size;
  }
  static std::string print(std::uint64_t size) {
    return size == infinite_limit ? "infinity" : std::to_string(size);
  }
};

void read_node_selector(Reader& reader) {
  auto selector = parse_selector(reader.value());
  if (!selector) return reader.bad_value(reader.value(), selector.error().message);
  reader.draft().node_selector = reader.value();
}

// "HOST:PORT", "[::1]:80", and with "$PORT" in it anything: it is known only when the service runs. "" when
// it is as it should be.
std::string_view fault_of_authority(std::string_view authority, bool needs_port) {
  if (std::size_t at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);
  std::size_t bracket = authority.rfind(']');
  std::size_t colon = authority.rfind(':');
  if (bracket != std::string_view::npos && colon != std::string_view::npos && colon < bracket)
    colon = std::string_view::npos;
  if (authority.substr(0, colon).empty()) return "has no host";
  if (colon == std::string_view::npos)
    return needs_port && authority.find('$') == std::string_view::npos ? "has no port" : "";
  std::string_view port = authority.substr(colon + 1);
  if (port.find('$') != std::string_view::npos) return {};
  return parse_integer(port, 1, 65535) ? std::string_view() : "has no port from 1 to 65535";
}

bool is_url_character(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7F;
}

// There is one probe: the later of HealthCheckURL= and HealthCheckExec=.
void set_probe(Unit& unit, HealthCheckKind kind, std::string url,
               std::optional<ExecCommand> command = std::nullopt) {
  set<HealthField<&HealthCheck::kind>>(unit, kind);
  set<HealthField<&HealthCheck::url>>(unit, std::move(url));
  set<HealthField<&HealthCheck::command>>(unit, std::move(command));
}

void read_health_url(Reader& reader) {
  auto text = reader.expanded_value();
  if (!text) return;
  if (text->empty()) return set_probe(reader.unit(), HealthCheckKind::none, {});
  std::string_view url = *text;
  if (!std::all_of(url.begin(), url.end(), is_url_character))
    return reader.bad_value(url, "is not a URL: it holds a blank");
  std::size_t scheme_end = url.find("://");
  std::string_view scheme = url.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos || (scheme != "http" && scheme != "https" && scheme != "tcp")) {
    return reader.bad_value(url, "is not a URL that begins with http://, https:// or tcp://");
  }
  std::string_view rest = url.substr(scheme_end + 3);
  const bool is_tcp = scheme == "tcp";
  std::string_view authority = is_tcp ? rest : rest.substr(0, rest.find_first_of("/?#"));
  if (is_tcp && rest.find('/') != std::string_view::npos)
    return reader.bad_value(url, "is not of the form tcp://HOST:PORT");
  std::string_view fault = fault_of_authority(authority, is_tcp);
  if (!fault.empty()) return reader.bad_value(url, fault);
  if (is_tcp) return set_probe(reader.unit(), HealthCheckKind::tcp, std::string(rest));
  set_probe(reader.unit(), HealthCheckKind::http, std::move(*text));
}

void print_health_url(const Unit& unit, Lines& lines) {
  const HealthCheck& health = *unit.health;
  if (health.kind == HealthCheckKind::http) lines.add(protect_specifiers(health.url));
  if (health.kind == HealthCheckKind::tcp) lines.add("tcp://" + protect_specifiers(health.url));
}

void read_health_exec(Reader& reader) {
  if (reader.value().empty()) return set_probe(reader.unit(), HealthCheckKind::none, {});
  std::vector<ExecCommand> commands = read_exec_line(reader);
  if (commands.empty()) return;
  if (commands.size() > 1) return reader.error("only one command can be a health check");
  if (commands.front().ignores_failure)
    return reader.error("a health check whose failure is ignored (\"-\") finds nothing");
  set_probe(reader.unit(), HealthCheckKind::exec, {}, std::move(commands.front()));
}

void print_health_exec(const Unit& unit, Lines& lines) {
  if (unit.health->command) lines.add(print_exec_command(*unit.health->command));
}

using Strategy = UnitField<&Unit::update_strategy>;
using StrategyWord = WordValue<strategy_words>;

void read_update_strategy(Reader& reader) {
  read_field<Strategy, StrategyWord>(reader);
  if (reader.unit().update_strategy == UpdateStrategy::overlap) {
    reader.warning("UpdateStrategy=overlap is not acted on by this version: the old instance stops first");
  }
}

using HealthyStatuses = HealthField<&HealthCheck::healthy_statuses>;

// "200-299,404" or with blanks; ranges are kept as sorted and joined ones.
void read_health_statuses(Reader& reader) {
  if (reader.value().empty()) return set<HealthyStatuses>(reader.unit(), {});
  auto ranges = parse_index_list(reader.value());
  if (!ranges || ranges->front().first < 100 || ranges->back().second > 599) {
    return reader.bad_value(reader.value(),
                            "is not a list of HTTP status codes and ranges, such as 200-299,404");
  }
  for (const auto& [first, last] : HealthyStatuses::get(reader.unit())) {
    ranges->emplace_back(static_cast<unsigned>(first), static_cast<unsigned>(last));
  }
  auto joined = parse_index_list(print_index_list(*ranges));
  set<HealthyStatuses>(reader.unit(), {joined->begin(), joined->end()});
}

void print_health_statuses(const Unit& unit, Lines& lines) {
  const auto& statuses = HealthyStatuses::get(unit);
  if (!statuses.empty()) lines.add(print_index_list({statuses.begin(), statuses.end()}));
}

template <bool Restarts>
void read_watched(Reader& reader) {
  if (reader.value().empty()) {
    if (reader.unit().watched->empty()) return;
    std::erase_if(reader.unit().watched.edit(),
                  [](const WatchedPath& known) { return known.restarts == Restarts; });
    return;
  }
  for (const Word& word : reader.expanded_words()) {
    std::string path = simplify_path(word.text);
    if (is_absolute_path(path) || climbs(path) || path == ".") {
      reader.bad_value(word.text, "is not a path in the repository, such as conf/nginx.conf", word.offset);
      continue;
    }
    reader.unit().watched.edit().push_back({.path = std::move(path), .content = {}, .restarts = Restarts});
  }
}

template <bool Restarts>
void print_watched(const Unit& unit, Lines& lines) {
  std::string line;
  for (const WatchedPath& watched : *unit.watched) {
    if (watched.restarts != Restarts) continue;
    if (!line.empty()) line += ' ';
    line += quote_plain_word(protect_specifiers(watched.path));
  }
  if (!line.empty()) lines.add(line);
}

void read_alias(Reader& reader) {
  for (const Word& word : reader.expanded_words()) {
    std::string_view name = without_service_suffix(word.text);
    if (name.size() == word.text.size() || !is_valid_service_name(name)) {
      reader.bad_value(word.text, "is not a valid name of a service, such as web.service", word.offset);
    } else {
      reader.draft().aliases.emplace_back(name);
    }
  }
}

template <typename F, typename Value>
constexpr Directive later(std::string_view key) {
  return field<F, Value>("X-GitProc", key, ChangeEffect::later);
}

constexpr Directive directives[] = {
    later<UnitField<&Unit::is_desired_running>, WordValue<desired_words>>("DesiredState"),
    {"X-GitProc", "NodeSelector", read_node_selector, nullptr},
    {"X-GitProc", "HealthCheckURL", read_health_url, print_health_url, ChangeEffect::later},
    {"X-GitProc", "HealthCheckExec", read_health_exec, print_health_exec, ChangeEffect::later},
    {"X-GitProc", "HealthCheckStatus", read_health_statuses, print_health_statuses, ChangeEffect::later},
    later<HealthField<&HealthCheck::interval>, PositiveTimeSpan>("HealthCheckInterval"),
    later<HealthField<&HealthCheck::timeout>, PositiveTimeSpan>("HealthCheckTimeout"),
    later<HealthField<&HealthCheck::start_period>, TimeSpanValue>("HealthCheckStartPeriod"),
    later<HealthField<&HealthCheck::retries>, NumberValue<unsigned, 1, 1'000'000>>("HealthCheckRetries"),
    later<HealthField<&HealthCheck::success_threshold>, NumberValue<unsigned, 1, 1'000'000>>(
        "HealthCheckSuccessThreshold"),
    later<HealthField<&HealthCheck::restarts>, WordValue<action_words>>("HealthCheckAction"),
    {"X-GitProc", "RestartOn", read_watched<true>, print_watched<true>, ChangeEffect::later},
    {"X-GitProc", "ReloadOn", read_watched<false>, print_watched<false>, ChangeEffect::later},
    later<GroupField<&Unit::log, &LogPolicy::max_size_bytes>, LogSizeValue>("LogMaxSize"),
    later<GroupField<&Unit::log, &LogPolicy::max_files>, NumberValue<unsigned, 0, 10'000>>("LogMaxFiles"),
    later<GroupField<&Unit::log, &LogPolicy::max_total_bytes>, LogSizeValue>("LogMaxTotalSize"),
    {"X-GitProc", "UpdateStrategy", read_update_strategy, print_field<Strategy, StrategyWord>,
     ChangeEffect::later},
    {"Install", "Alias", read_alias, nullptr},
};

}  // namespace

std::span<const Directive> gitproc_directives() { return directives; }

}  // namespace gitproc
