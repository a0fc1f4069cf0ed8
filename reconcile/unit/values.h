// Single values of directives: how they are written in a unit file, and how they are written back.
//
// All parsers are strict: they take exactly what systemd 252 takes and refuse the rest. Errors are predicates
// that follow the quoted value: "is not a boolean, such as yes or no".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reconcile/base/error.h"
#include "reconcile/base/time.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// 1 yes y true t on / 0 no n false f off, in either case (systemd.syntax(7)).
Result<bool> parse_boolean(std::string_view text);
std::string print_boolean(bool value);

// A decimal number, with an optional sign, within the bounds.
Result<std::int64_t> parse_integer(std::string_view text, std::int64_t smallest, std::int64_t greatest);

// A time span of systemd.time(7): "1h 30min", "5" in units of `unit`, "infinity". Not negative.
Result<Duration> parse_time_span(std::string_view text, Duration unit = std::chrono::seconds(1));
// In units from days to microseconds, exact: "1d 2h 500ms", "0", "infinity".
std::string print_time_span(Duration span);

// Bytes, base 1024, suffixes K M G T P E in upper case, terms add up: "1.5G", "1G 512M".
Result<std::uint64_t> parse_size(std::string_view text);

// A file mode: octal digits, at most 07777.
Result<unsigned> parse_mode(std::string_view text);
std::string print_mode(unsigned mode);

// "12.5%" as hundredths of a percent: 1250. At most two decimals.
Result<std::uint64_t> parse_percentage(std::string_view text);
std::string print_percentage(std::uint64_t hundredths);

// "0-3,5 7" as sorted, joined ranges; numbers below 8192, as the kernel's greatest.
Result<std::vector<std::pair<unsigned, unsigned>>> parse_index_list(std::string_view text);
std::string print_index_list(const std::vector<std::pair<unsigned, unsigned>>& ranges);

// A signal by name, with or without SIG, or by number 1..64; RTMIN+n and RTMAX-n.
Result<int> parse_signal(std::string_view text);
Result<int> parse_signal_name(std::string_view text);
std::string print_signal(int signal);

// One word of SuccessExitStatus=: a number 0..255, a name without EXIT_ or EX_, or a signal's name.
Result<void> add_exit_status(std::string_view word, ExitStatusSet& set);
std::string print_exit_statuses(const ExitStatusSet& set);

// "soft:hard" or one value for both, in the units of the kind.
Result<ResourceLimit> parse_limit(ResourceKind kind, std::string_view text);
std::string print_limit(const ResourceLimit& limit);

// MemoryMax= and its like: a size, a percentage up to 100%, or infinity.
Result<ResourceAmount> parse_memory_amount(std::string_view text, bool allows_zero);
// TasksMax=: a number from 1, a percentage or infinity.
Result<ResourceAmount> parse_task_amount(std::string_view text);
std::string print_amount(const ResourceAmount& amount);

// More than 0%; beyond 100% means several CPUs.
Result<std::uint64_t> parse_cpu_quota(std::string_view text);

// 1..10000; for CPUWeight= also "idle".
Result<unsigned> parse_weight(std::string_view text);
Result<unsigned> parse_cpu_weight(std::string_view text);
std::string print_cpu_weight(unsigned weight);

// A name or number for User= and Group=, as laxly as systemd.
Result<void> check_account_name(std::string_view name);

}  // namespace gitproc
