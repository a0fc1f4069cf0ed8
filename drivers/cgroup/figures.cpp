#include "drivers/cgroup/figures.h"

#include <unistd.h>

#include "drivers/base/system_call.h"
#include "drivers/cgroup/tree.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::size_t max_file_bytes = 1u << 20;
// A service of more processes is not asked for each of them.
constexpr std::size_t max_asked_processes = 4096;

std::optional<std::uint64_t> read_number(const std::string& path) {
  Result<std::string> text = read_file(path, max_file_bytes);
  return text ? parse_number<std::uint64_t>(trim(*text)) : std::nullopt;
}

std::optional<std::uint64_t> read_cpu_usec(const std::string& group) {
  static constexpr std::string_view key = "usage_usec ";
  Result<std::string> text = read_file(group + "/cpu.stat", max_file_bytes);
  if (!text || !text->starts_with(key)) return std::nullopt;
  return parse_number<std::uint64_t>(split(std::string_view(*text).substr(key.size()), '\n').front());
}

// A line for each device: "8:0 rbytes=1 wbytes=2 rios=3 ...".
void read_io(const std::string& group, ServiceFigures& figures) {
  Result<std::string> text = read_file(group + "/io.stat", max_file_bytes);
  if (!text) return;
  std::uint64_t read = 0, written = 0;
  for (std::string_view line : split(*text, '\n')) {
    for (std::string_view field : split(line, ' ')) {
      if (field.starts_with("rbytes=")) read += parse_number<std::uint64_t>(field.substr(7)).value_or(0);
      if (field.starts_with("wbytes=")) written += parse_number<std::uint64_t>(field.substr(7)).value_or(0);
    }
  }
  figures.io_read_bytes = read;
  figures.io_written_bytes = written;
}

struct ProcessFigures {
  std::uint64_t memory_bytes = 0, cpu_usec = 0, threads = 0;
};

// proc(5): statm for memory that is the process's own, stat for CPU time and threads.
ProcessFigures read_process(Pid pid) {
  ProcessFigures figures;
  std::string directory = "/proc/" + std::to_string(pid);
  Result<std::string> statm = read_file(directory + "/statm", max_file_bytes);
  if (statm) {
    std::vector<std::string_view> fields = split(*statm, ' ');
    if (fields.size() > 2) {
      std::uint64_t resident = parse_number<std::uint64_t>(fields[1]).value_or(0),
                    shared = parse_number<std::uint64_t>(fields[2]).value_or(0);
      if (resident > shared)
        figures.memory_bytes = (resident - shared) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    }
  }
  Result<std::string> stat = read_file(directory + "/stat", max_file_bytes);
  std::size_t name_end = stat ? stat->rfind(')') : std::string::npos;
  if (name_end != std::string::npos && name_end + 2 < stat->size()) {
    std::vector<std::string_view> fields = split(std::string_view(*stat).substr(name_end + 2), ' ');
    constexpr std::size_t utime = 14 - 3, stime = 15 - 3,
                          num_threads = 20 - 3;  // counted from behind the name
    if (fields.size() > num_threads) {
      auto ticks = parse_number<std::uint64_t>(fields[utime]).value_or(0) +
                   parse_number<std::uint64_t>(fields[stime]).value_or(0);
      figures.cpu_usec = ticks * 1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
      figures.threads = parse_number<std::uint64_t>(fields[num_threads]).value_or(0);
    }
  }
  return figures;
}

}  // namespace

ServiceFigures read_figures(const FigurePlaces& places) {
  ServiceFigures figures;
  const std::string& group = places.group;
  if (!group.empty()) {
    if (::access(group.c_str(), F_OK) != 0) return figures;
    figures.cpu_usec = read_cpu_usec(group);
    figures.tasks = read_number(group + "/pids.current");
    figures.memory_bytes = read_number(
        places.v1_memory.empty() ? group + "/memory.current" : places.v1_memory + "/memory.usage_in_bytes");
    read_io(group, figures);
    if (figures.tasks && figures.memory_bytes) return figures;
  }
  std::vector<Pid> processes = group.empty() ? places.processes : processes_of_group(group);
  if (group.empty() && processes.empty()) return figures;
  ProcessFigures sum;
  if (processes.size() > max_asked_processes) processes.resize(max_asked_processes);
  for (Pid pid : processes) {
    ProcessFigures process = read_process(pid);
    sum.memory_bytes += process.memory_bytes;
    sum.cpu_usec += process.cpu_usec;
    sum.threads += process.threads;
  }
  if (!figures.memory_bytes) figures.memory_bytes = sum.memory_bytes;
  if (!figures.cpu_usec) figures.cpu_usec = sum.cpu_usec;
  if (!figures.tasks) figures.tasks = sum.threads;
  return figures;
}

}  // namespace gitproc
