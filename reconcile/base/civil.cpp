#include "reconcile/base/civil.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace gitproc {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// chrono's calendar counts in local_days: they carry no clock, and the epoch is the same 1970-01-01.
WallTime at_midnight(int year, unsigned month, unsigned day) {
  std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  return WallTime(std::chrono::local_days(date).time_since_epoch());
}

// Reads the fields from left to right; the first that does not fit spoils all that follow.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool is_good() const { return is_good_; }
  bool is_at_end() const { return rest_.empty(); }

  int number(std::size_t digits, int low, int high) {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i)
      value = 10 * value + digit();
    if (value < low || value > high) is_good_ = false;
    return value;
  }

  // Takes one character if it is one of `accepted`; NUL where it is not.
  char take_any(std::string_view accepted) {
    if (rest_.empty() || accepted.find(rest_.front()) == std::string_view::npos) return '\0';
    char taken = rest_.front();
    rest_.remove_prefix(1);
    return taken;
  }

  char expect_any(std::string_view accepted) {
    char taken = take_any(accepted);
    if (taken == '\0') is_good_ = false;
    return taken;
  }

  // What follows a decimal point: at least one digit, in microseconds.
  Duration fraction() {
    Duration value{0};
    Duration unit = std::chrono::milliseconds(100);
    do {
      value += digit() * unit;
      unit /= 10;
    } while (is_good_ && !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9');
    return value;
  }

 private:
  int digit() {
    char c = expect_any("0123456789");
    return c == '\0' ? 0 : c - '0';
  }

  std::string_view rest_;
  bool is_good_ = true;
};

}  // namespace

std::string to_rfc3339(WallTime time) {
  static const WallTime earliest = at_midnight(0, 1, 1);
  static const WallTime latest = at_midnight(10000, 1, 1) - Duration(1);
  Duration since_epoch = std::clamp(time, earliest, latest).time_since_epoch();
  days day = std::chrono::floor<days>(since_epoch);
  std::chrono::year_month_day date{std::chrono::local_days(day)};
  std::chrono::hh_mm_ss<Duration> clock(since_epoch - day);

  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  std::string written = text.data();
  if (clock.subseconds() != Duration::zero()) {
    std::snprintf(text.data(), text.size(), ".%06d", static_cast<int>(clock.subseconds().count()));
    written += text.data();
    written.erase(written.find_last_not_of('0') + 1);
  }
  return written + "Z";
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  Scanner scan(text);
  int year = scan.number(4, 0, 9999);
  scan.expect_any("-");
  int month = scan.number(2, 1, 12);
  scan.expect_any("-");
  int day = scan.number(2, 1, 31);
  scan.expect_any("Tt ");
  int hour = scan.number(2, 0, 23);
  scan.expect_any(":");
  int minute = scan.number(2, 0, 59);
  scan.expect_any(":");
  int second = scan.number(2, 0, 60);
  Duration fraction = scan.take_any(".") != '\0' ? scan.fraction() : Duration::zero();
  Duration offset{0};
  char zone = scan.expect_any("Zz+-");
  if (zone == '+' || zone == '-') {
    offset = hours(scan.number(2, 0, 23));
    scan.expect_any(":");
    offset += minutes(scan.number(2, 0, 59));
    if (zone == '-') offset = -offset;
  }
  if (!scan.is_good() || !scan.is_at_end()) return std::nullopt;
  std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                   std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return at_midnight(year, static_cast<unsigned>(month), static_cast<unsigned>(day)) + hours(hour) +
         minutes(minute) + seconds(second) + fraction - offset;
}

}  // namespace gitproc
