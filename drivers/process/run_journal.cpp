#include "drivers/process/run_journal.h"

#include <fcntl.h>

#include <map>
#include <optional>

#include "drivers/base/atomic_file.h"
#include "drivers/base/system_call.h"
#include "drivers/process/child.h"
#include "drivers/process/proc_files.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::string_view format_name = "gitproc-runs";
constexpr std::string_view format_version = "1";
constexpr std::string_view line_end = ".";
constexpr std::size_t max_fields = 12;
constexpr unsigned max_spawn_lines = 2;  // the init's and the main process's

std::string header_line(std::string_view boot_id) {
  return std::string(format_name) + " " + std::string(format_version) + " " + std::string(boot_id) + " .\n";
}

// A process as the journal knows it; whether it lives is asked only once, of what remains in the end.
struct RecordedProcess {
  Pid pid = 0;
  Instant latest_start;
};

struct Entry {
  AdoptedService service;
  std::optional<RecordedProcess> main, control, init;
};

using Entries = std::map<std::string, Entry, std::less<>>;

std::string_view to_string(LatchKind kind) {
  switch (kind) {
    case LatchKind::completed: return "completed";
    case LatchKind::stopped: return "stopped";
    case LatchKind::failed: return "failed";
  }
  __builtin_unreachable();
}

std::optional<LatchKind> parse_latch_kind(std::string_view word) {
  for (LatchKind kind : {LatchKind::completed, LatchKind::stopped, LatchKind::failed}) {
    if (to_string(kind) == word) return kind;
  }
  return std::nullopt;
}

std::string_view to_string(ExitStatus::Kind kind) {
  switch (kind) {
    case ExitStatus::Kind::exited: return "exited";
    case ExitStatus::Kind::killed: return "killed";
    case ExitStatus::Kind::dumped: return "dumped";
    case ExitStatus::Kind::unknown: return "unknown";
  }
  __builtin_unreachable();
}

std::optional<ExitStatus::Kind> parse_exit_kind(std::string_view word) {
  for (auto kind : {ExitStatus::Kind::exited, ExitStatus::Kind::killed, ExitStatus::Kind::dumped,
                    ExitStatus::Kind::unknown}) {
    if (to_string(kind) == word) return kind;
  }
  return std::nullopt;
}

std::optional<RecordedProcess> parse_process(std::string_view pid, std::string_view boot_time) {
  auto number = parse_number<Pid>(pid);
  auto usec = parse_number<std::uint64_t>(boot_time);
  if (!number || *number < 0 || !usec || *usec > static_cast<std::uint64_t>(Duration::max().count()))
    return std::nullopt;
  return RecordedProcess{.pid = *number,
                         .latest_start = Instant(Duration(static_cast<Duration::rep>(*usec)))};
}

using Fields = std::vector<std::string_view>;  // without the line's end

void apply_spawn(const Fields& fields, Entries& entries) {
  if (fields.size() != 9 && fields.size() != 10) return;
  auto fingerprint = parse_number<std::uint64_t>(fields[2]);
  auto invocation = InvocationId::parse(fields[3]);
  auto phase = parse_exec_phase(fields[4]);
  auto index = parse_number<unsigned>(fields[5]);
  auto restarts = parse_number<unsigned>(fields[6]);
  auto process = parse_process(fields[7], fields[8]);
  auto init = fields.size() == 10 ? parse_process(fields[9], fields[8]) : std::nullopt;
  if (!fingerprint || !invocation || !phase || !index || !restarts || !process) return;
  if (fields.size() == 10 && !init) return;

  // An init's line stands for a main process that is dead until it writes its own: one that began before all others.
  if (init && process->pid == 0) process = RecordedProcess{.pid = init->pid, .latest_start = {}};

  Entry& entry = entries[std::string(fields[1])];
  AdoptedService& service = entry.service;
  if (service.name.empty() || service.invocation != *invocation || service.latch) {
    entry = Entry{};
    service.name = fields[1];
    service.invocation = *invocation;
  }
  service.fingerprint = *fingerprint;
  service.restarts = *restarts;
  service.phase = *phase;
  service.command_index = *index;
  if (*phase == ExecPhase::start) {
    entry.main = process;
    entry.init = init;
    entry.control.reset();  // commands of one invocation run one after the other
  } else {
    entry.control = process;
  }
}

void apply_latch(const Fields& fields, Entries& entries, Entries::iterator entry) {
  // An invocation that ended without a latch leaves nothing to know.
  std::optional<LatchKind> kind = fields.size() >= 4 ? parse_latch_kind(fields[2]) : std::nullopt;
  std::optional<ServiceResult> result = kind ? parse_service_result(fields[3]) : std::nullopt;
  if (!result) {
    entries.erase(entry);
    return;
  }
  Latch latch{.kind = *kind, .result = *result, .exit = std::nullopt};
  if (fields.size() == 6) {
    auto exit_kind = parse_exit_kind(fields[4]);
    auto value = parse_number<int>(fields[5]);
    if (exit_kind && value) latch.exit = ExitStatus{.kind = *exit_kind, .value = *value};
  }
  entry->second.main.reset();
  entry->second.control.reset();
  entry->second.init.reset();
  entry->second.service.latch = latch;
}

void apply_line(std::string_view line, Entries& entries) {
  Fields fields = split(line, ' ');
  if (fields.size() < 3 || fields.size() > max_fields || fields.back() != line_end) return;
  fields.pop_back();
  std::string_view verb = fields[0];
  if (verb == "spawn") return apply_spawn(fields, entries);

  auto entry = entries.find(fields[1]);
  if (entry == entries.end()) return;
  AdoptedService& service = entry->second.service;
  if (verb == "started" && fields.size() == 4) {
    auto process = parse_process(fields[2], fields[3]);
    if (!process) return;
    service.was_started = true;
    service.started_at = process->latest_start;
    entry->second.main = process->pid != 0 ? process : std::nullopt;
    entry->second.control.reset();
  } else if (verb == "main" && fields.size() == 4) {
    auto process = parse_process(fields[2], fields[3]);
    if (process) entry->second.main = process->pid != 0 ? process : std::nullopt;
  } else if (verb == "stopping") {
    service.was_stopping = true;
  } else if (verb == "stamped" && fields.size() == 3) {
    if (auto fingerprint = parse_number<std::uint64_t>(fields[2])) service.fingerprint = *fingerprint;
  } else if (verb == "ended") {
    apply_latch(fields, entries, entry);
  } else if (verb == "forgotten") {
    entries.erase(entry);
  }
}

bool has_header(std::string_view line, std::string_view boot_id) {
  std::string header = header_line(boot_id);
  return line == std::string_view(header).substr(0, header.size() - 1);
}

Entries read_entries(std::string_view text, std::string_view boot_id) {
  Entries entries;
  std::size_t end = text.find('\n');
  if (end == std::string_view::npos || !has_header(text.substr(0, end), boot_id)) return entries;
  while (end != std::string_view::npos) {
    std::size_t begin = end + 1;
    end = text.find('\n', begin);
    // Without its newline a line may still have been torn just behind a number's last digits: it has no end.
    std::string_view line = text.substr(begin, end == std::string_view::npos ? end : end - begin);
    if (!line.empty()) apply_line(line, entries);
  }
  return entries;
}

std::string number(std::uint64_t value) { return std::to_string(value); }
std::string usec(Instant instant) { return std::to_string(instant.time_since_epoch().count()); }

std::string spawn_line_of(const AdoptedService& service, ExecPhase phase, unsigned index) {
  std::string line = "\nspawn ";
  line += service.name;
  line += ' ';
  line += number(service.fingerprint);
  line += ' ';
  line += service.invocation.hex();
  line += ' ';
  line += gitproc::to_string(phase);
  line += ' ';
  line += number(index);
  line += ' ';
  line += number(service.restarts);
  line += ' ';
  return line;
}

std::string process_text(const RecordedProcess& process, Pid init = 0) {
  std::string text = std::to_string(process.pid) + " " + usec(process.latest_start);
  if (init != 0) text += " " + std::to_string(init);
  return text + " .\n";
}

std::string latch_text(const std::optional<Latch>& latch) {
  if (!latch) return "";
  std::string text =
      " " + std::string(to_string(latch->kind)) + " " + std::string(gitproc::to_string(latch->result));
  if (latch->exit)
    text += " " + std::string(to_string(latch->exit->kind)) + " " + std::to_string(latch->exit->value);
  return text;
}

// The lines from which read_entries makes this entry again.
std::string print_entry(const Entry& entry) {
  const AdoptedService& service = entry.service;
  std::string text;
  bool last_was_start = service.phase == ExecPhase::start;
  // A process 0 stands for one that is known not to be: pid 0 never lives.
  RecordedProcess main = entry.main.value_or(RecordedProcess{});
  if (entry.main || last_was_start || service.was_started) {
    text += spawn_line_of(service, ExecPhase::start, last_was_start ? service.command_index : 0);
    // The init may be older than a main process that took over; so it is written with its own time.
    RecordedProcess first =
        entry.init ? RecordedProcess{.pid = 0, .latest_start = entry.init->latest_start} : main;
    text += process_text(first, entry.init ? entry.init->pid : 0);
    if (entry.init) text += "\nmain " + service.name + " " + process_text(main);
    if (service.was_started) {
      text += "\nstarted " + service.name + " " +
              process_text({.pid = main.pid, .latest_start = service.started_at});
      // It may have been followed by another main process.
      if (main.latest_start != service.started_at)
        text += "\nmain " + service.name + " " + process_text(main);
    }
  }
  if (!last_was_start) {
    text += spawn_line_of(service, service.phase, service.command_index) +
            process_text(entry.control.value_or(RecordedProcess{}));
  }
  if (service.was_stopping) text += "\nstopping " + service.name + " .\n";
  if (service.latch) text += "\nended " + service.name + latch_text(service.latch) + " .\n";
  return text;
}

std::optional<AdoptedProcess> adopted_process(const std::optional<RecordedProcess>& process,
                                              IsAlive is_alive) {
  if (!process || process->pid == 0) return std::nullopt;
  return AdoptedProcess{.pid = process->pid, .is_alive = is_alive(process->pid, process->latest_start)};
}

std::vector<AdoptedService> adopt(Entries entries, IsAlive is_alive) {
  std::vector<AdoptedService> services;
  services.reserve(entries.size());
  for (auto& [name, entry] : entries) {
    entry.service.main = adopted_process(entry.main, is_alive);
    entry.service.control = adopted_process(entry.control, is_alive);
    entry.service.init = adopted_process(entry.init, is_alive);
    services.push_back(std::move(entry.service));
  }
  return services;
}

}  // namespace

bool is_alive_in_proc(Pid pid, Instant latest_start) {
  std::optional<ProcStat> stat = read_proc_stat(pid);
  return stat && !stat->is_dead() && stat->start_ticks <= ticks_of(latest_start) + 1;
}

std::vector<AdoptedService> replay_run_journal(std::string_view text, std::string_view boot_id,
                                               IsAlive is_alive) {
  return adopt(read_entries(text, boot_id), is_alive);
}

Result<RunJournal> RunJournal::open(std::string path, std::string boot_id) {
  RunJournal journal(std::move(path), std::move(boot_id));
  Entries entries;
  if (Result<std::string> text = read_file(journal.path_, max_bytes)) {
    entries = read_entries(*text, journal.boot_id_);
  } else if (text.error().code != ErrorCode::not_found) {
    return std::unexpected(text.error());
  }
  // What is found is written anew at once: the torn end of the last agent's is gone, another boot's too.
  std::string contents = header_line(journal.boot_id_);
  for (const auto& [name, entry] : entries)
    contents += print_entry(entry);
  if (Result<void> replaced = journal.replace(contents); !replaced) return std::unexpected(replaced.error());
  journal.adopted_ = adopt(std::move(entries), is_alive_in_proc);
  return journal;
}

std::string RunJournal::spawn_line(const Spawn& spawn) {
  AdoptedService service;
  service.name = spawn.unit->name;
  service.fingerprint = spawn.unit->fingerprint;
  service.invocation = spawn.invocation;
  service.restarts = spawn.restarts;
  std::string line = spawn_line_of(service, spawn.phase, spawn.command_index);
  bytes_ += max_spawn_lines * (line.size() + max_record_tail_bytes);
  return line;
}

Result<void> RunJournal::append(const RunRecord& record, Instant now) {
  std::string line = "\n";
  RecordedProcess main{.pid = record.main_pid, .latest_start = now};
  switch (record.kind) {
    case RunRecord::Kind::started: line += "started " + record.name + " " + process_text(main); break;
    case RunRecord::Kind::main_pid: line += "main " + record.name + " " + process_text(main); break;
    case RunRecord::Kind::stopping: line += "stopping " + record.name + " .\n"; break;
    case RunRecord::Kind::stamped:
      line += "stamped " + record.name + " " + number(record.fingerprint) + " .\n";
      break;
    case RunRecord::Kind::ended: line += "ended " + record.name + latch_text(record.latch) + " .\n"; break;
    case RunRecord::Kind::forgotten: line += "forgotten " + record.name + " .\n"; break;
  }
  bytes_ += line.size();
  if (int error_number = write_all(fd_.get(), line); error_number != 0) {
    return fail_with_errno("cannot write '" + path_ + "'", error_number);
  }
  return {};
}

Result<void> RunJournal::compact() {
  next_compaction_bytes_ *= 2;  // where it fails
  Result<std::string> text = read_file(path_, max_bytes);
  if (!text) return std::unexpected(text.error());
  std::string contents = header_line(boot_id_);
  for (const auto& [name, entry] : read_entries(*text, boot_id_))
    contents += print_entry(entry);
  return replace(contents);
}

Result<void> RunJournal::replace(const std::string& contents) {
  static constexpr mode_t journal_mode = 0600;
  if (Result<void> replaced = replace_file(path_, contents, journal_mode); !replaced) return replaced;
  Result<UniqueFd> file = open_file(path_, O_WRONLY | O_APPEND | O_NOFOLLOW);
  if (!file) return std::unexpected(file.error());
  if (fd_) {
    // The same number again: children were told which descriptor to keep.
    if (::dup3(file->get(), fd_.get(), O_CLOEXEC) < 0) return fail_with_errno("cannot open '" + path_ + "'");
  } else {
    fd_.reset(::fcntl(file->get(), F_DUPFD_CLOEXEC, 3));
    if (!fd_) return fail_with_errno("cannot open '" + path_ + "'");
  }
  bytes_ = contents.size();
  next_compaction_bytes_ = std::max(compaction_bytes, 4 * static_cast<std::uint64_t>(contents.size()));
  return {};
}

}  // namespace gitproc
