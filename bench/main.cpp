// gitproc_bench: interleaved rounds of the same work by the bare loop, GitProc and, with --peers, the supervisors
// that are installed. Prints one table; writes all samples as JSON.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <set>
#include <stdexcept>

#include "bench/measure.h"

namespace gitproc::bench {
namespace {

struct Options {
  int rounds = 9;
  std::size_t services = 1000;
  std::size_t many_services = 5000;
  std::size_t folders = 1000;
  std::size_t log_megabytes = 1024;
  int idle_seconds = 10;
  bool with_peers = false;
  std::string only;  // measure only the subjects whose name holds this, beside the loops
  std::string gitproc;
  std::string json;
};

constexpr const char* usage =
    "usage: gitproc_bench [--rounds N] [--services N] [--many N] [--folders N] [--log MEGABYTES]\n"
    "                     [--idle SECONDS] [--peers] [--only NAME] [--gitproc BINARY] [--json FILE]\n"
    "  --services, --many, --folders, --log: the size of their rows; 0 leaves them out\n";

Options parse(int argc, char** argv, const std::filesystem::path& own_folder) {
  Options options;
  options.gitproc = own_folder.parent_path() / "gitproc";
  options.json = own_folder.parent_path().parent_path() / "bench" / "result.json";
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--peers") {
      options.with_peers = true;
      continue;
    }
    if (i + 1 == argc) throw std::invalid_argument(option);
    const std::string value = argv[++i];
    if (option == "--rounds")
      options.rounds = std::stoi(value);
    else if (option == "--services")
      options.services = std::stoul(value);
    else if (option == "--many")
      options.many_services = std::stoul(value);
    else if (option == "--folders")
      options.folders = std::stoul(value);
    else if (option == "--log")
      options.log_megabytes = std::stoul(value);
    else if (option == "--idle")
      options.idle_seconds = std::stoi(value);
    else if (option == "--only")
      options.only = value;
    else if (option == "--gitproc")
      options.gitproc = std::filesystem::absolute(value);
    else if (option == "--json")
      options.json = value;
    else
      throw std::invalid_argument(option);
  }
  if (options.services == 1) throw std::invalid_argument("--services");
  return options;
}

class Session {
 public:
  Session(Options options, const std::filesystem::path& own_folder) : options_(std::move(options)) {
    char work[] = "/tmp/gitproc-bench.XXXXXX";
    if (::mkdtemp(work) == nullptr) throw std::runtime_error("cannot make a folder in /tmp");
    ::chmod(work, 0755);
    bench_.work = work;
    bench_.idle_seconds = options_.idle_seconds;
    // Beside the sites, because an ordinary user may not reach the build folder.
    bench_.pause = bench_.work + "/pause";
    std::filesystem::copy_file(own_folder / "gitproc_bench_pause", bench_.pause);
    const std::string loop = own_folder / "gitproc_bench_loop";
    const std::string gitproc = bench_.work + "/gitproc";
    if (std::filesystem::exists(options_.gitproc)) std::filesystem::copy_file(options_.gitproc, gitproc);
    loops_.push_back(make_loop(loop));
    loops_.push_back(make_cgroup_loop(loop));
    gitprocs_.push_back(make_gitproc(gitproc, Mode::user));
    gitprocs_.push_back(make_gitproc(gitproc, Mode::root));
    gitprocs_.push_back(make_gitproc(gitproc, Mode::namespaces));
    if (options_.with_peers) peers_ = make_peers();
    for (auto* group : {&loops_, &gitprocs_, &peers_})
      drop_absent(*group, group != &loops_);
  }
  ~Session() {
    std::error_code ignored;
    std::filesystem::remove_all(bench_.work, ignored);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Whether every measurement could be made.
  bool run() {
    for (int round = 1; round <= options_.rounds; ++round) {
      std::fprintf(stderr, "round %d of %d\n", round, options_.rounds);
      run_round(round == 1);
    }
    std::fputs(bench_.table.text().c_str(), stdout);
    std::filesystem::create_directories(std::filesystem::absolute(options_.json).parent_path());
    write_file(options_.json, bench_.table.json(options_.rounds));
    std::printf("\nall samples: %s\n", options_.json.c_str());
    return failed_.empty();
  }

 private:
  using Group = std::vector<std::unique_ptr<Supervisor>>;

  void drop_absent(Group& group, bool choosable) {
    std::erase_if(group, [&](const std::unique_ptr<Supervisor>& subject) {
      if (choosable && subject->name().find(options_.only) == std::string::npos) return true;
      const std::string lack = subject->lack();
      if (!lack.empty()) std::fprintf(stderr, "left out: %s: %s\n", subject->name().c_str(), lack.c_str());
      return !lack.empty();
    });
  }

  // A subject that failed at something is not asked for it again, so that it costs its time-out only once.
  void attempt(const Supervisor& subject, const std::string& what, const std::function<void()>& measurement) {
    const std::string key = subject.name() + ", " + what;
    if (failed_.contains(key)) return;
    try {
      measurement();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "failed: %s: %s\n", key.c_str(), error.what());
      failed_.insert(key);
    }
  }

  void run_services(Group& group, std::size_t services, Rows rows) {
    for (const auto& subject : group) {
      attempt(*subject, std::to_string(services) + " services",
              [&] { measure_services(bench_, *subject, services, rows); });
    }
  }

  void run_log(Group& group) {
    for (const auto& subject : group) {
      if (subject->keeps_logs())
        attempt(*subject, "log", [&] { measure_log(bench_, *subject, options_.log_megabytes); });
    }
  }

  void run_round(bool is_first) {
    for (Group* group : {&loops_, &gitprocs_, &peers_}) {
      if (options_.services > 0)
        run_services(*group, options_.services, is_first ? Rows::all_and_idle : Rows::all);
      if (options_.log_megabytes > 0) run_log(*group);
    }
    for (Group* group : {&loops_, &gitprocs_}) {
      if (options_.services > 0) run_services(*group, 10, Rows::kill_only);
      if (options_.many_services > 0) run_services(*group, options_.many_services, Rows::kill_only);
    }
    for (const auto& subject : gitprocs_) {
      if (options_.services > 0) attempt(*subject, "no service", [&] { measure_empty(bench_, *subject); });
      if (options_.services > 0) attempt(*subject, "poll", [&] { measure_poll(bench_, *subject); });
      for (std::size_t folders : {std::size_t{1}, options_.folders / 10, options_.folders}) {
        if (folders == 0 || folders > options_.folders) continue;
        attempt(*subject, std::to_string(folders) + " folders",
                [&] { measure_folders(bench_, *subject, folders); });
      }
    }
  }

  Options options_;
  Bench bench_;
  Group loops_;
  Group gitprocs_;
  Group peers_;
  std::set<std::string> failed_;
};

}  // namespace
}  // namespace gitproc::bench

int main(int argc, char** argv) {
  using namespace gitproc::bench;
  const std::filesystem::path own_folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  try {
    return Session(parse(argc, argv, own_folder), own_folder).run() ? 0 : 1;
  } catch (const std::logic_error& error) {
    std::fprintf(stderr, "gitproc_bench: bad option or value: %s\n%s", error.what(), usage);
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gitproc_bench: %s\n", error.what());
    return 1;
  }
}
