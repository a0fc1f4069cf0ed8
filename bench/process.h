// Running programs for the benchmark and looking at them through /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace gitproc::bench {

struct Program {
  std::vector<std::string> argv;
  std::string folder;      // working directory and HOME
  bool as_nobody = false;  // needs root
  std::string output;      // a file for standard output and error; empty: /dev/null
};

// Starts it with a small environment; throws std::runtime_error.
pid_t start_program(const Program& program);
// Starts it and waits; its exit status.
int run_program(const Program& program);
// Runs it with `input` on standard input; throws unless it exits with 0.
void feed_program(const Program& program, const std::string& input);
// Waits until the child has ended, or kills it when the deadline passes.
void await_program(pid_t pid, std::int64_t deadline);
bool is_on_path(const std::string& name);

// The host's process ids of the trivial services, by their numbers: processes whose file is `pause` and whose
// argument ends in `,fifo`.
std::map<std::uint64_t, pid_t> find_services(const std::string& pause, const std::string& fifo);

struct Footprint {
  std::uint64_t pss_bytes = 0;         // of the supervisor and its helpers, without the services
  std::uint64_t context_switches = 0;  // of all their threads, ever
  double cpu_seconds = 0;              // user and system, ever
};
// User and system time of the process, ever, with that of all its children that have ended.
double cpu_seconds_with_children(pid_t pid);
Footprint footprint(pid_t supervisor, const std::string& pause);

// Where the v2 tree is mounted, if this process may make a folder there.
std::optional<std::string> cgroup_root();

}  // namespace gitproc::bench
