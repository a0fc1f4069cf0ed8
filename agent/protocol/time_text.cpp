#include "agent/protocol/time_text.h"

#include <array>
#include <cstdio>

namespace gitproc {
namespace {

// Reads digits and fixed characters off the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  std::optional<int> digits(std::size_t count) {
    if (rest_.size() < count) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') return std::nullopt;
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }
  bool take_any(std::string_view choices) {
    if (rest_.empty() || choices.find(rest_.front()) == std::string_view::npos) return false;
    rest_.remove_prefix(1);
    return true;
  }
  char front() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool is_at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// ".123456789" to microseconds; nothing there is 0.
std::optional<Duration> parse_fraction(Scanner& scanner) {
  if (!scanner.take_any(".")) return Duration::zero();
  constexpr int max_digits = 9;
  std::int64_t nanoseconds = 0;
  int count = 0;
  while (std::optional<int> digit = scanner.digits(1)) {
    if (++count > max_digits) return std::nullopt;
    nanoseconds = nanoseconds * 10 + *digit;
  }
  if (count == 0) return std::nullopt;
  for (int i = count; i < max_digits; ++i) nanoseconds *= 10;
  return Duration(nanoseconds / 1000);
}

// "Z" or "+02:00"
std::optional<Duration> parse_offset(Scanner& scanner) {
  if (scanner.take_any("Zz")) return Duration::zero();
  bool is_west = scanner.front() == '-';
  if (!scanner.take_any("+-")) return std::nullopt;
  std::optional<int> hours = scanner.digits(2);
  if (!hours || !scanner.take_any(":")) return std::nullopt;
  std::optional<int> minutes = scanner.digits(2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  Duration offset = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
  return is_west ? -offset : offset;
}

}  // namespace

std::string to_rfc3339(WallTime at) {
  auto days = std::chrono::floor<std::chrono::days>(at.time_since_epoch());
  std::chrono::year_month_day date{std::chrono::sys_days(days)};
  std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch() - days));
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  return text.data();
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  Scanner scanner(text);
  std::optional<int> year = scanner.digits(4);
  if (!year || *year < 1970 || !scanner.take_any("-")) return std::nullopt;
  std::optional<int> month = scanner.digits(2);
  if (!month || !scanner.take_any("-")) return std::nullopt;
  std::optional<int> day = scanner.digits(2);
  if (!day || !scanner.take_any("Tt ")) return std::nullopt;
  std::optional<int> hour = scanner.digits(2);
  if (!hour || !scanner.take_any(":")) return std::nullopt;
  std::optional<int> minute = scanner.digits(2);
  if (!minute || !scanner.take_any(":")) return std::nullopt;
  std::optional<int> second = scanner.digits(2);
  if (!second) return std::nullopt;
  std::optional<Duration> fraction = parse_fraction(scanner);
  if (!fraction) return std::nullopt;
  std::optional<Duration> offset = parse_offset(scanner);
  if (!offset || !scanner.is_at_end()) return std::nullopt;

  std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                   std::chrono::day(static_cast<unsigned>(*day))};
  constexpr int leap_second = 60;
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > leap_second) return std::nullopt;
  return WallTime(std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(*hour) +
                  std::chrono::minutes(*minute) + std::chrono::seconds(*second) + *fraction - *offset);
}

}  // namespace gitproc
