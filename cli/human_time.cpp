#include "cli/human_time.h"

#include <optional>

#include "reconcile/base/civil.h"
#include "reconcile/base/strings.h"
#include "reconcile/unit/values.h"

namespace gitproc {
namespace {

using namespace std::chrono_literals;

struct TimeUnit {
  Duration length;
  std::string_view suffix;
};

// As systemd counts them: a year is 365.25 days, a month its twelfth (systemd.time(7)).
constexpr Duration day = 24h;
constexpr Duration year = 365 * day + 6h;
constexpr Duration month = year / 12;

constexpr TimeUnit shown_units[] = {{year, "y"}, {month, "month"}, {7 * day, "w"}, {day, "d"},
                                    {1h, "h"},   {1min, "min"},    {1s, "s"},      {1ms, "ms"}};

std::string amount(Duration span, const TimeUnit& unit) {
  std::string text = std::to_string(span / unit.length) + std::string(unit.suffix);
  if (unit.suffix == "month")
    text = std::to_string(span / unit.length) + (span / unit.length == 1 ? " month" : " months");
  return text;
}

std::string rounded(Duration span, int parts) {
  std::string text;
  for (const TimeUnit& unit : shown_units) {
    if (span < unit.length) {
      if (!text.empty()) break;  // "1h 0min 3s" is "1h"
      continue;
    }
    text += (text.empty() ? "" : " ") + amount(span, unit);
    span %= unit.length;
    // Below a minute, a fraction of a second tells nobody anything more.
    if (--parts == 0 || unit.length == 1s) break;
  }
  return text.empty() ? "0s" : text;
}

// A span of systemd.time(7) that is not longer than anybody means.
std::optional<Duration> parse_span(std::string_view text) {
  constexpr Duration longest = 100 * year;
  Result<Duration> span = parse_time_span(text);
  return span && *span > Duration::zero() && *span <= longest ? std::optional(*span) : std::nullopt;
}

std::string date_of(WallTime at) { return to_rfc3339(at).substr(0, 10); }

// "18:00" today, or tomorrow where that is over.
std::optional<WallTime> parse_clock(std::string_view text, WallTime now) {
  std::string clock(text);
  if (clock.size() == 5) clock += ":00";
  std::optional<WallTime> today = parse_rfc3339(date_of(now) + "T" + clock + "Z");
  if (today && *today <= now) *today += day;
  return today;
}

std::optional<WallTime> parse_date(std::string_view text) {
  std::string date(text);
  if (date.size() == 10) date += " 00:00";
  if (date.size() == 16) date += ":00";
  return parse_rfc3339(date + "Z");
}

}  // namespace

std::string human_duration(Duration span) { return rounded(span, 2); }

std::string relative_time(WallTime at, WallTime now) {
  Duration distance = at <= now ? now - at : at - now;
  if (distance < 1s) return "now";
  std::string text = rounded(distance, 1);
  return at <= now ? text + " ago" : "in " + text;
}

std::string human_time(WallTime at) {
  std::string text = to_rfc3339(at).substr(0, 19);
  text[10] = ' ';
  return text + " UTC";
}

Result<WallTime> parse_until(std::string_view text, WallTime now) {
  text = trim(text);
  std::optional<WallTime> until = parse_rfc3339(text);
  if (!until) until = parse_date(text);
  if (!until) until = parse_clock(text, now);
  if (!until) {
    std::optional<Duration> span = parse_span(text.starts_with('+') ? text.substr(1) : text);
    if (span) until = now + *span;
  }
  if (!until) {
    return fail("cannot read the time '" + printable(text, 60) +
                    "': use 2030-12-31T18:00:00Z, 2030-12-31 18:00, 18:00 or 2h",
                ErrorCode::invalid);
  }
  if (*until <= now) return fail("the time '" + printable(text, 60) + "' is in the past", ErrorCode::invalid);
  return *until;
}

}  // namespace gitproc
