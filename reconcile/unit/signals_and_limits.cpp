// The parts of values.h that are about numbers the kernel has names for.
#include <algorithm>
#include <array>
#include <csignal>
#include <limits>

#include "reconcile/base/strings.h"
#include "reconcile/unit/values.h"

namespace gitproc {
namespace {

std::unexpected<Error> refuse(std::string message) { return fail(std::move(message), ErrorCode::invalid); }

struct Named {
  std::string_view name;
  int number;
};

constexpr Named signals[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},   {"TRAP", SIGTRAP},
    {"ABRT", SIGABRT},     {"BUS", SIGBUS},   {"FPE", SIGFPE},     {"KILL", SIGKILL}, {"USR1", SIGUSR1},
    {"SEGV", SIGSEGV},     {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},   {"ALRM", SIGALRM}, {"TERM", SIGTERM},
    {"STKFLT", 16},        {"CHLD", SIGCHLD}, {"CONT", SIGCONT},   {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU}, {"URG", SIGURG},     {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
    {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},     {"PWR", SIGPWR},
    {"SYS", SIGSYS},
};

// What SIGRTMIN and SIGRTMAX are to a program: the C library keeps the first two for itself. They are
// functions there, so that this names their values under glibc.
constexpr int first_realtime_signal = 34;
constexpr int last_signal = 64;

// systemd.exec(5), "Process Exit Codes".
constexpr Named exit_codes[] = {
    {"SUCCESS", 0},
    {"FAILURE", 1},
    {"INVALIDARGUMENT", 2},
    {"NOTIMPLEMENTED", 3},
    {"NOPERMISSION", 4},
    {"NOTINSTALLED", 5},
    {"NOTCONFIGURED", 6},
    {"NOTRUNNING", 7},
    {"USAGE", 64},
    {"DATAERR", 65},
    {"NOINPUT", 66},
    {"NOUSER", 67},
    {"NOHOST", 68},
    {"UNAVAILABLE", 69},
    {"SOFTWARE", 70},
    {"OSERR", 71},
    {"OSFILE", 72},
    {"CANTCREAT", 73},
    {"IOERR", 74},
    {"TEMPFAIL", 75},
    {"PROTOCOL", 76},
    {"NOPERM", 77},
    {"CONFIG", 78},
    {"CHDIR", 200},
    {"NICE", 201},
    {"FDS", 202},
    {"EXEC", 203},
    {"MEMORY", 204},
    {"LIMITS", 205},
    {"OOM_ADJUST", 206},
    {"SIGNAL_MASK", 207},
    {"STDIN", 208},
    {"STDOUT", 209},
    {"CHROOT", 210},
    {"IOPRIO", 211},
    {"TIMERSLACK", 212},
    {"SECUREBITS", 213},
    {"SETSCHEDULER", 214},
    {"CPUAFFINITY", 215},
    {"GROUP", 216},
    {"USER", 217},
    {"CAPABILITIES", 218},
    {"CGROUP", 219},
    {"SETSID", 220},
    {"CONFIRM", 221},
    {"STDERR", 222},
    {"PAM", 224},
    {"NETWORK", 225},
    {"NAMESPACE", 226},
    {"NO_NEW_PRIVILEGES", 227},
    {"SECCOMP", 228},
    {"SELINUX_CONTEXT", 229},
    {"PERSONALITY", 230},
    {"APPARMOR_PROFILE", 231},
    {"ADDRESS_FAMILIES", 232},
    {"RUNTIME_DIRECTORY", 233},
    {"CHOWN", 235},
    {"SMACK_PROCESS_LABEL", 236},
    {"KEYRING", 237},
    {"STATE_DIRECTORY", 238},
    {"CACHE_DIRECTORY", 239},
    {"LOGS_DIRECTORY", 240},
    {"CONFIGURATION_DIRECTORY", 241},
    {"NUMA_POLICY", 242},
    {"CREDENTIALS", 243},
    {"BPF", 245},
    {"EXCEPTION", 255},
};

template <typename T>
void insert_sorted(std::vector<T>& values, T value) {
  auto at = std::lower_bound(values.begin(), values.end(), value);
  if (at == values.end() || *at != value) values.insert(at, value);
}

// RTMIN+n and RTMAX-n.
Result<int> parse_realtime_signal(std::string_view name) {
  const int range = last_signal - first_realtime_signal;
  const bool is_from_first = name.starts_with("RTMIN");
  std::string_view rest = name.substr(5);
  int distance = 0;
  if (!rest.empty()) {
    if (rest.size() < 2 || rest[0] != (is_from_first ? '+' : '-') || rest[1] < '0' || rest[1] > '9') {
      return refuse("is not the name or number of a signal");
    }
    auto number = parse_integer(rest.substr(1), 0, range);
    if (!number) return refuse("is not the name or number of a signal");
    distance = static_cast<int>(*number);
  }
  return is_from_first ? first_realtime_signal + distance : last_signal - distance;
}

Result<std::uint64_t> parse_nice_limit(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) {
    const bool is_negative = text.starts_with('-');
    auto nice = is_negative ? parse_integer(text, -20, 0) : parse_integer(text, 0, 19);
    if (!nice) return std::unexpected(nice.error());
    return static_cast<std::uint64_t>(20 - *nice);
  }
  auto raw = parse_integer(text, 0, 40);
  if (!raw) return std::unexpected(raw.error());
  return static_cast<std::uint64_t>(*raw);
}

Result<std::uint64_t> parse_limit_value(ResourceKind kind, std::string_view text) {
  if (text == "infinity") return infinite_limit;
  switch (kind) {
    case ResourceKind::cpu: {
      auto span = parse_time_span(text);
      if (!span) return std::unexpected(span.error());
      // The kernel counts whole seconds: rounded up, so that a limit is never tighter than asked for.
      return static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::seconds>(*span).count());
    }
    case ResourceKind::rttime: {
      auto span = parse_time_span(text, std::chrono::microseconds(1));
      if (!span) return std::unexpected(span.error());
      return static_cast<std::uint64_t>(span->count());
    }
    case ResourceKind::nice: return parse_nice_limit(text);
    case ResourceKind::nofile:
    case ResourceKind::nproc:
    case ResourceKind::locks:
    case ResourceKind::sigpending:
    case ResourceKind::rtprio: {
      auto number = parse_integer(text, 0, std::numeric_limits<std::int64_t>::max());
      if (!number) return refuse("is not a number or infinity");
      return static_cast<std::uint64_t>(*number);
    }
    case ResourceKind::fsize:
    case ResourceKind::data:
    case ResourceKind::stack:
    case ResourceKind::core:
    case ResourceKind::rss:
    case ResourceKind::as:
    case ResourceKind::memlock:
    case ResourceKind::msgqueue: return parse_size(text);
  }
  __builtin_unreachable();
}

std::string print_limit_value(std::uint64_t value) {
  return value == infinite_limit ? "infinity" : std::to_string(value);
}

}  // namespace

Result<int> parse_signal_name(std::string_view text) {
  std::string_view name = text.starts_with("SIG") ? text.substr(3) : text;
  if (name.starts_with("RTMIN") || name.starts_with("RTMAX")) return parse_realtime_signal(name);
  for (const Named& known : signals) {
    if (known.name == name) return known.number;
  }
  return refuse("is not the name or number of a signal");
}

Result<int> parse_signal(std::string_view text) {
  if (auto number = parse_integer(text, 1, last_signal)) return static_cast<int>(*number);
  return parse_signal_name(text);
}

std::string print_signal(int signal) {
  for (const Named& known : signals) {
    if (known.number == signal) return "SIG" + std::string(known.name);
  }
  if (signal < first_realtime_signal) return std::to_string(signal);
  return "SIGRTMIN+" + std::to_string(signal - first_realtime_signal);
}

Result<void> add_exit_status(std::string_view word, ExitStatusSet& set) {
  for (const Named& known : exit_codes) {
    if (known.name == word) {
      insert_sorted(set.codes, static_cast<std::uint8_t>(known.number));
      return {};
    }
  }
  if (auto number = parse_integer(word, 0, 255)) {
    insert_sorted(set.codes, static_cast<std::uint8_t>(*number));
    return {};
  }
  auto signal = parse_signal_name(word);
  if (!signal) return refuse("is not an exit code from 0 to 255, its name or the name of a signal");
  insert_sorted(set.signals, *signal);
  return {};
}

std::string print_exit_statuses(const ExitStatusSet& set) {
  std::vector<std::string> words;
  words.reserve(set.codes.size() + set.signals.size());
  for (std::uint8_t code : set.codes)
    words.push_back(std::to_string(code));
  for (int signal : set.signals)
    words.push_back(print_signal(signal));
  return join(words, " ");
}

Result<ResourceLimit> parse_limit(ResourceKind kind, std::string_view text) {
  ResourceLimit limit{.kind = kind};
  std::size_t colon = text.find(':');
  auto soft = parse_limit_value(kind, text.substr(0, colon));
  if (!soft) return std::unexpected(soft.error());
  auto hard = colon == std::string_view::npos ? soft : parse_limit_value(kind, text.substr(colon + 1));
  if (!hard) return std::unexpected(hard.error());
  limit.soft = *soft;
  limit.hard = *hard;
  if (limit.soft > limit.hard) return refuse("has a soft limit above the hard one");
  return limit;
}

std::string print_limit(const ResourceLimit& limit) {
  if (limit.soft == limit.hard) return print_limit_value(limit.soft);
  return print_limit_value(limit.soft) + ":" + print_limit_value(limit.hard);
}

}  // namespace gitproc
