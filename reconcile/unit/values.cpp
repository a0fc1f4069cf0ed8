#include "reconcile/unit/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

std::unexpected<Error> refuse(std::string message) { return fail(std::move(message), ErrorCode::invalid); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

std::string_view skip_blanks(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

// Takes the digits at the front of `text` as a number; false when it does not fit.
bool take_number(std::string_view& text, std::uint64_t& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

std::string_view take_digits(std::string_view& text) {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count]))
    ++count;
  std::string_view digits = text.substr(0, count);
  text.remove_prefix(count);
  return digits;
}

struct TimeUnit {
  std::string_view name;
  std::int64_t microseconds;
};
constexpr std::int64_t second = 1'000'000;
// The first name that the text begins with counts, so longer names come before their prefixes.
constexpr TimeUnit time_units[] = {
    {"seconds", second},
    {"second", second},
    {"sec", second},
    {"s", second},
    {"minutes", 60 * second},
    {"minute", 60 * second},
    {"min", 60 * second},
    {"months", 2629800 * second},
    {"month", 2629800 * second},
    {"M", 2629800 * second},
    {"msec", 1000},
    {"ms", 1000},
    {"m", 60 * second},
    {"hours", 3600 * second},
    {"hour", 3600 * second},
    {"hr", 3600 * second},
    {"h", 3600 * second},
    {"days", 86400 * second},
    {"day", 86400 * second},
    {"d", 86400 * second},
    {"weeks", 604800 * second},
    {"week", 604800 * second},
    {"w", 604800 * second},
    {"years", 31557600 * second},
    {"year", 31557600 * second},
    {"y", 31557600 * second},
    {"usec", 1},
    {"us", 1},
    {"\u00b5s", 1},
    {"\u03bcs", 1},
};

constexpr std::string_view not_a_time_span = "is not a time span, such as 30s, 1min 30s, 1.5h or infinity";

// Only sizes within this are taken, as systemd does: they must fit an off_t.
constexpr std::uint64_t greatest_size = std::numeric_limits<std::int64_t>::max();
constexpr std::string_view not_a_size =
    "is not a size in bytes, such as 1024, 512M or 1.5G (suffixes K M G T P E)";

}  // namespace

Result<bool> parse_boolean(std::string_view text) {
  std::string lower(text.substr(0, 6));
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (is_one_of(lower, {"1", "yes", "y", "true", "t", "on"})) return true;
  if (is_one_of(lower, {"0", "no", "n", "false", "f", "off"})) return false;
  return refuse("is not a boolean, such as yes or no");
}

std::string print_boolean(bool value) { return value ? "yes" : "no"; }

Result<std::int64_t> parse_integer(std::string_view text, std::int64_t smallest, std::int64_t greatest) {
  auto value = parse_number<std::int64_t>(text.starts_with('+') ? text.substr(1) : text);
  if (value && !text.starts_with("+-") && *value >= smallest && *value <= greatest) return *value;
  return refuse("is not a number from " + std::to_string(smallest) + " to " + std::to_string(greatest));
}

Result<Duration> parse_time_span(std::string_view text, Duration unit) {
  text = trim(text);
  if (text == "infinity") return infinite;
  if (text.empty()) return refuse(std::string(not_a_time_span));
  constexpr std::int64_t greatest = std::numeric_limits<std::int64_t>::max();
  std::int64_t total = 0;
  for (text = skip_blanks(text); !text.empty(); text = skip_blanks(text)) {
    std::uint64_t whole = 0;
    std::string_view fraction;
    const bool begins_with_point = text.front() == '.';
    if (!begins_with_point && !take_number(text, whole)) return refuse(std::string(not_a_time_span));
    if (!text.empty() && text.front() == '.') {
      text.remove_prefix(1);
      fraction = take_digits(text);
      if (fraction.empty()) return refuse(std::string(not_a_time_span));
    }
    std::string_view after = skip_blanks(text);
    auto named = std::find_if(std::begin(time_units), std::end(time_units),
                              [&](const TimeUnit& known) { return after.starts_with(known.name); });
    std::int64_t multiplier = unit.count();
    if (named != std::end(time_units)) {
      multiplier = named->microseconds;
      text = after.substr(named->name.size());
    } else if (after.size() == text.size() && !text.empty()) {
      return refuse(std::string(not_a_time_span));
    } else {
      text = after;
    }
    if (whole >= static_cast<std::uint64_t>(greatest / multiplier)) return refuse("is too long a time span");
    std::int64_t span = static_cast<std::int64_t>(whole) * multiplier;
    std::int64_t place = multiplier / 10;
    for (char digit : fraction) {
      span += (digit - '0') * place;
      place /= 10;
    }
    if (span < 0 || span >= greatest - total) return refuse("is too long a time span");
    total += span;
  }
  return Duration(total);
}

std::string print_time_span(Duration span) {
  if (span == infinite) return "infinity";
  if (span == Duration::zero()) return "0";
  static constexpr TimeUnit units[] = {{"d", 86400 * second}, {"h", 3600 * second}, {"min", 60 * second},
                                       {"s", second},         {"ms", 1000},         {"us", 1}};
  std::string text;
  std::int64_t rest = span.count();
  for (const TimeUnit& unit : units) {
    if (rest < unit.microseconds) continue;
    if (!text.empty()) text += ' ';
    text += std::to_string(rest / unit.microseconds);
    text += unit.name;
    rest %= unit.microseconds;
  }
  return text;
}

Result<std::uint64_t> parse_size(std::string_view text) {
  static constexpr std::string_view suffixes = "EPTGMKB";  // "" last
  text = trim(text);
  if (text.empty()) return refuse(std::string(not_a_size));
  std::uint64_t total = 0;
  std::size_t next_suffix = 0;
  for (text = skip_blanks(text); !text.empty(); text = skip_blanks(text)) {
    std::uint64_t whole = 0;
    if (!is_digit(text.front()) || !take_number(text, whole)) return refuse(std::string(not_a_size));
    double fraction = 0;
    if (!text.empty() && text.front() == '.') {
      text.remove_prefix(1);
      double place = 1;
      for (char digit : take_digits(text))
        fraction += (digit - '0') * (place /= 10);
    }
    text = skip_blanks(text);
    // Terms go from the greatest suffix to the smallest, each at most once.
    std::size_t suffix = text.empty() ? std::string_view::npos : suffixes.find(text.front());
    if (suffix != std::string_view::npos) {
      text.remove_prefix(1);
    } else {
      suffix = suffixes.size();
    }
    if (suffix < next_suffix) return refuse(std::string(not_a_size));
    next_suffix = suffix + 1;
    const unsigned shift = suffix < 6 ? 60 - 10 * static_cast<unsigned>(suffix) : 0;
    if (whole > greatest_size >> shift) return refuse("is too large a size");
    std::uint64_t size =
        (whole << shift) + static_cast<std::uint64_t>(std::ldexp(fraction, static_cast<int>(shift)));
    if (size > greatest_size - total) return refuse("is too large a size");
    total += size;
  }
  return total;
}

Result<unsigned> parse_mode(std::string_view text) {
  if (auto mode = parse_number<unsigned>(text, 8); mode && *mode <= 07777) return *mode;
  return refuse("is not a file mode in octal, such as 0755");
}

std::string print_mode(unsigned mode) {
  std::string digits = "0000";
  for (std::size_t i = 0; i < 4; ++i)
    digits[3 - i] = static_cast<char>('0' + (mode >> (3 * i) & 7));
  return digits;
}

Result<std::uint64_t> parse_percentage(std::string_view text) {
  static constexpr std::string_view message =
      "is not a percentage with at most two decimals, such as 50% or 12.5%";
  std::uint64_t whole = 0;
  if (!text.ends_with('%')) return refuse(std::string(message));
  text.remove_suffix(1);
  if (text.empty() || !is_digit(text.front()) || !take_number(text, whole))
    return refuse(std::string(message));
  std::uint64_t decimals = 0;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    std::string_view digits = take_digits(text);
    if (digits.empty() || digits.size() > 2) return refuse(std::string(message));
    for (char digit : digits)
      decimals = decimals * 10 + static_cast<std::uint64_t>(digit - '0');
    if (digits.size() == 1) decimals *= 10;
  }
  if (!text.empty()) return refuse(std::string(message));
  if (whole > std::numeric_limits<std::int32_t>::max() / 100) return refuse("is too large a percentage");
  return whole * 100 + decimals;
}

std::string print_percentage(std::uint64_t hundredths) {
  std::string text = std::to_string(hundredths / 100);
  if (hundredths % 100 != 0) {
    text += '.';
    text += static_cast<char>('0' + hundredths / 10 % 10);
    if (hundredths % 10 != 0) text += static_cast<char>('0' + hundredths % 10);
  }
  return text + '%';
}

Result<std::vector<std::pair<unsigned, unsigned>>> parse_index_list(std::string_view text) {
  static constexpr std::string_view message = "is not a list of numbers and ranges, such as 0-3,5";
  static constexpr unsigned end_of_indices = 8192;
  std::vector<std::pair<unsigned, unsigned>> ranges;
  auto take_index = [&text]() -> int {
    std::uint64_t index = 0;
    if (text.empty() || !is_digit(text.front()) || !take_number(text, index) || index >= end_of_indices)
      return -1;
    return static_cast<int>(index);
  };
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(", \t"), text.size()));
    if (text.empty()) break;
    int first = take_index();
    int last = first;
    if (first >= 0 && text.starts_with('-')) {
      text.remove_prefix(1);
      last = take_index();
    }
    const bool ends_here =
        text.empty() || std::string_view(", \t").find(text.front()) != std::string_view::npos;
    if (first < 0 || last < first || !ends_here) return refuse(std::string(message));
    ranges.emplace_back(first, last);
  }
  if (ranges.empty()) return refuse(std::string(message));
  std::sort(ranges.begin(), ranges.end());
  std::size_t kept = 0;
  for (const auto& range : ranges) {
    if (range.first <= ranges[kept].second + 1) {
      ranges[kept].second = std::max(ranges[kept].second, range.second);
    } else {
      ranges[++kept] = range;
    }
  }
  ranges.resize(kept + 1);
  return ranges;
}

std::string print_index_list(const std::vector<std::pair<unsigned, unsigned>>& ranges) {
  std::string text;
  for (const auto& [first, last] : ranges) {
    if (!text.empty()) text += ',';
    text += std::to_string(first);
    if (last != first) text += '-' + std::to_string(last);
  }
  return text;
}

Result<ResourceAmount> parse_memory_amount(std::string_view text, bool allows_zero) {
  using Kind = ResourceAmount::Kind;
  if (text == "infinity") return ResourceAmount{};
  if (text.ends_with('%')) {
    auto percentage = parse_percentage(text);
    if (!percentage) return std::unexpected(percentage.error());
    if (*percentage > 10'000 || (*percentage == 0 && !allows_zero))
      return refuse("is not between 0% and 100%");
    return ResourceAmount{Kind::share, *percentage};
  }
  auto size = parse_size(text);
  if (!size) return std::unexpected(size.error());
  if (*size == 0 && !allows_zero) return refuse("would leave no memory at all");
  return ResourceAmount{Kind::absolute, *size};
}

Result<ResourceAmount> parse_task_amount(std::string_view text) {
  using Kind = ResourceAmount::Kind;
  if (text == "infinity") return ResourceAmount{};
  if (text.ends_with('%')) {
    auto percentage = parse_percentage(text);
    if (!percentage) return std::unexpected(percentage.error());
    if (*percentage == 0 || *percentage > 10'000) return refuse("is not between 0% and 100%");
    return ResourceAmount{Kind::share, *percentage};
  }
  auto count = parse_integer(text, 1, std::numeric_limits<std::int64_t>::max() - 1);
  if (!count) return refuse("is not a number of tasks of at least 1, a percentage or infinity");
  return ResourceAmount{Kind::absolute, static_cast<std::uint64_t>(*count)};
}

std::string print_amount(const ResourceAmount& amount) {
  switch (amount.kind) {
    case ResourceAmount::Kind::absolute: return std::to_string(amount.value);
    case ResourceAmount::Kind::share: return print_percentage(amount.value);
    case ResourceAmount::Kind::unlimited: return "infinity";
  }
  __builtin_unreachable();
}

Result<std::uint64_t> parse_cpu_quota(std::string_view text) {
  auto percentage = parse_percentage(text);
  if (percentage && *percentage == 0) return refuse("would leave no CPU time at all");
  return percentage;
}

Result<unsigned> parse_weight(std::string_view text) {
  auto weight = parse_integer(text, 1, 10'000);
  if (!weight) return std::unexpected(weight.error());
  return static_cast<unsigned>(*weight);
}

Result<unsigned> parse_cpu_weight(std::string_view text) {
  if (text == "idle") return idle_cpu_weight;
  return parse_weight(text);
}

std::string print_cpu_weight(unsigned weight) {
  return weight == idle_cpu_weight ? "idle" : std::to_string(weight);
}

Result<void> check_account_name(std::string_view name) {
  static constexpr std::size_t max_account_name_bytes = 256;
  if (name.empty() || name.size() > max_account_name_bytes || name == "." || name == ".." ||
      name.find_first_of(":/") != std::string_view::npos) {
    return refuse("is not the name or number of an account");
  }
  return {};
}

}  // namespace gitproc
