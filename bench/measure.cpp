#include "bench/measure.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <thread>
#include <utility>

#include "bench/advertisement.h"
#include "bench/stamps.h"

namespace gitproc::bench {
namespace {

constexpr Nanoseconds second = 1'000'000'000;
constexpr Nanoseconds patience = 60 * second;
// runit, s6 and supervisord hold a service back that ended within a second of its start. That is a policy, not
// their speed, so nothing is killed or changed before.
constexpr auto settling = std::chrono::milliseconds(1100);
// A supervisor that uses no CPU for so long has done all that there was to do about a log.
constexpr Nanoseconds quiet = 2 * second;
constexpr std::size_t kills_a_round = 5;
constexpr std::size_t changes_a_round = 3;
constexpr std::size_t syncs_a_round = 5;
constexpr std::size_t polls_a_round = 50;
constexpr std::size_t units_a_folder = 100;
constexpr uid_t nobody = 65534;

double milliseconds(Nanoseconds span) { return static_cast<double>(span) / 1e6; }

// 10000 -> "10,000".
std::string grouped(std::size_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

Nanoseconds in_time(std::optional<Nanoseconds> at, const std::string& what) {
  if (!at) throw std::runtime_error(what + ": not within " + std::to_string(patience / second) + " s");
  return *at;
}

struct Load {
  std::size_t services = 0;
  std::size_t node_folders = 0;
  std::size_t log_megabytes = 0;
  bool follows_itself = false;  // by a remote, which offers what is there already
};

// A supervisor that runs in a site of its own, from the constructor to the destructor.
class Run {
 public:
  Run(Bench& bench, Supervisor& supervisor, const Load& load)
      : bench_(bench),
        supervisor_(supervisor),
        site_{.folder = make_folder(bench, supervisor),
              .pause = bench.pause,
              .fifo = "",
              .services = load.services,
              .node_folders = load.node_folders,
              .log_megabytes = load.log_megabytes,
              .remote = ""},
        stamps_(site_.folder + "/stamps") {
    site_.fifo = stamps_.path();
    supervisor_.lay_out(site_);
    if (load.follows_itself) {
      remote_.emplace(supervisor_.repository_of(site_));
      site_.remote = remote_->url();
    }
    // What laying out left to be written to disk would be written during the measurement.
    ::sync();
    begin_ = monotonic_now();
    pid_ = start_program(supervisor_.program(site_));
  }

  ~Run() {
    if (pid_ != -1) {
      ::kill(pid_, supervisor_.stop_signal());
      await_program(pid_, monotonic_now() + 5 * second);
    }
    for (const auto& [number, pid] : find_services(site_.pause, site_.fifo))
      ::kill(pid, SIGKILL);
    std::error_code ignored;
    std::filesystem::remove_all(site_.folder, ignored);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  pid_t pid() const { return pid_; }
  const Site& site() const { return site_; }

  void record(const std::string& row, const std::string& unit, double sample) {
    bench_.table.add(row, unit, supervisor_.name(), supervisor_.reference(), sample);
  }

  // From before the supervisor's own start to the last service's first instruction.
  Nanoseconds started() {
    return in_time(stamps_.await_starts(site_.services, monotonic_now() + patience), "start") - begin_;
  }

  void kills(const std::string& row) {
    const auto services = find_services(site_.pause, site_.fifo);
    std::vector<double> samples;
    // Another service each time: a second crash in a row is held back by some.
    for (std::size_t number = 1; number <= std::min(kills_a_round, site_.services - 1); ++number) {
      const Nanoseconds before = monotonic_now();
      ::kill(services.at(number), SIGKILL);
      const auto after = stamps_.await_start_of(number, before, before + patience);
      samples.push_back(milliseconds(in_time(after, row) - before));
    }
    record(row, "ms", median(samples));
  }

  void changes(const std::string& row) {
    std::vector<double> samples;
    for (std::size_t i = 0; i < changes_a_round; ++i) {
      std::this_thread::sleep_for(settling);
      supervisor_.prepare_change(site_);
      const Nanoseconds before = monotonic_now();
      supervisor_.apply_change(site_, pid_);
      const auto after = stamps_.await_start_of(0, before, before + patience);
      samples.push_back(milliseconds(in_time(after, row) - before));
    }
    record(row, "ms", median(samples));
  }

  void unchanged(const std::string& row) {
    const std::optional<Program> command = supervisor_.unchanged(site_);
    if (!command) return;
    std::vector<double> samples;
    for (std::size_t i = 0; i < syncs_a_round; ++i) {
      const Nanoseconds before = monotonic_now();
      if (run_program(*command) != 0) throw std::runtime_error(row + ": the command failed");
      samples.push_back(milliseconds(monotonic_now() - before));
    }
    record(row, "ms", median(samples));
  }

  void polls(const std::string& row) {
    const std::optional<Program> command = supervisor_.unchanged(site_);
    const double before = cpu_seconds_with_children(pid_);
    for (std::size_t i = 0; i < polls_a_round; ++i) {
      if (run_program(*command) != 0) throw std::runtime_error(row + ": the command failed");
    }
    record(row, "ms", (cpu_seconds_with_children(pid_) - before) * 1000 / static_cast<double>(polls_a_round));
  }

  void memory(const std::string& row) {
    record(row, "KiB", static_cast<double>(footprint(pid_, site_.pause).pss_bytes) / 1024);
  }

  void idle(const std::string& row) {
    const std::uint64_t before = footprint(pid_, site_.pause).context_switches;
    std::this_thread::sleep_for(std::chrono::seconds(bench_.idle_seconds));
    record(row, "", static_cast<double>(footprint(pid_, site_.pause).context_switches - before));
  }

  // From the start of a service that prints to the last thing that its supervisor does about it.
  void log_cpu(const std::string& row) {
    const double before = footprint(pid_, site_.pause).cpu_seconds;
    in_time(stamps_.await_starts(1, monotonic_now() + patience), row);
    double used = footprint(pid_, site_.pause).cpu_seconds;
    for (Nanoseconds since = monotonic_now(); monotonic_now() - since < quiet;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      const double now = footprint(pid_, site_.pause).cpu_seconds;
      if (now > std::exchange(used, now)) since = monotonic_now();
    }
    record(row, "s", (used - before) * 1024 / static_cast<double>(site_.log_megabytes));
  }

  // From the signal to the end of the last service.
  void stop(const std::string& row) {
    const Nanoseconds before = monotonic_now();
    ::kill(pid_, supervisor_.stop_signal());
    const auto gone = stamps_.await_all_gone(before + patience);
    record(row, "ms", milliseconds(in_time(gone, row) - before));
    await_program(pid_, monotonic_now() + 5 * second);
    pid_ = -1;
  }

  // Waits, with small pauses, until the program says that it is ready; nothing is timed meanwhile.
  void await_ready(const Program& question) {
    const Nanoseconds deadline = monotonic_now() + patience;
    while (run_program(question) != 0) {
      if (monotonic_now() > deadline) throw std::runtime_error("not ready in time");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

 private:
  static std::string make_folder(const Bench& bench, const Supervisor& supervisor) {
    std::string folder = bench.work + "/site.XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr)
      throw std::runtime_error("cannot make a folder in " + bench.work);
    ::chmod(folder.c_str(), 0755);
    if (supervisor.runs_as_nobody() && ::chown(folder.c_str(), nobody, nobody) != 0) {
      throw std::runtime_error("cannot give '" + folder + "' away");
    }
    return folder;
  }

  Bench& bench_;
  Supervisor& supervisor_;
  Site site_;
  Stamps stamps_;
  std::optional<Advertisement> remote_;
  Nanoseconds begin_ = 0;
  pid_t pid_ = -1;
};

}  // namespace

void measure_services(Bench& bench, Supervisor& supervisor, std::size_t services, Rows rows) {
  const std::string count = grouped(services);
  Run run(bench, supervisor, {.services = services});
  const Nanoseconds started = run.started();
  if (rows != Rows::kill_only) run.record("start " + count, "ms", milliseconds(started));
  std::this_thread::sleep_for(settling);
  run.kills("SIGKILL -> running again, among " + count);
  if (rows == Rows::kill_only) return;
  run.changes("one of " + count + " changed -> its new process runs");
  run.unchanged("nothing changed, as a whole command, " + count);
  // What the last change leaves to be done by and by (a commit is healthy after a second, here) is no idling.
  std::this_thread::sleep_for(3 * settling);
  run.memory("memory (PSS without the services), " + count);
  if (rows == Rows::all_and_idle) {
    run.idle("context switches in " + std::to_string(bench.idle_seconds) + " s of idling, " + count);
  }
  run.stop("stop " + count);
}

void measure_empty(Bench& bench, Supervisor& supervisor) {
  Run run(bench, supervisor, {});
  run.await_ready(*supervisor.unchanged(run.site()));
  std::this_thread::sleep_for(3 * settling);  // at rest, as with services
  run.memory("memory (PSS without the services), 0");
}

void measure_log(Bench& bench, Supervisor& supervisor, std::size_t megabytes) {
  Run run(bench, supervisor, {.services = 1, .log_megabytes = megabytes});
  run.started();
  run.log_cpu("log: CPU per GiB through ten rotations");
}

void measure_poll(Bench& bench, Supervisor& supervisor) {
  Run run(bench, supervisor, {.follows_itself = true});
  run.await_ready(*supervisor.unchanged(run.site()));
  run.polls("a poll without news over http (CPU)");
}

void measure_folders(Bench& bench, Supervisor& supervisor, std::size_t folders) {
  const std::string files =
      grouped(folders * units_a_folder) + " unit files in " + grouped(folders) + " folders";
  Run run(bench, supervisor, {.services = units_a_folder, .node_folders = folders});
  run.record("first load of " + files + ", 100 services run", "ms", milliseconds(run.started()));
  run.changes("ref changed -> the new process runs, " + files);
}

}  // namespace gitproc::bench
