// GitProc as a subject of the benchmark: a bare repository made with git fast-import, and a commit of which only
// the moment that counts, the rename that moves the branch, is timed.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "bench/supervisor.h"

namespace gitproc::bench {
namespace {

class GitProc : public Supervisor {
 public:
  GitProc(std::string binary, Mode mode)
      : binary_(std::move(binary)),
        as_root_(mode != Mode::user),
        with_namespaces_(mode == Mode::namespaces) {}

  std::string name() const override {
    return with_namespaces_ ? "gitproc (PID ns)" : as_root_ ? "gitproc (root)" : "gitproc (user)";
  }
  std::string reference() const override { return as_root_ ? "loop (cgroups)" : "loop"; }
  std::string lack() const override {
    if (::access(binary_.c_str(), X_OK) != 0) return "'" + binary_ + "' is not built";
    if (as_root_ && ::geteuid() != 0) return "needs root";
    if (as_root_ && !cgroup_root()) return "no cgroup v2 tree to write to";
    return "";
  }
  bool runs_as_nobody() const override { return !as_root_ && ::geteuid() == 0; }
  bool keeps_logs() const override { return !with_namespaces_; }

  void lay_out(const Site& site) override {
    write_file(site.folder + "/config.json",
               std::string("{\"on_exit\": \"stop\", \"cgroup\": {\"parent\": \"gitproc-bench\"},\n") +
                   " \"isolation\": {\"pid_namespace\": " + (with_namespaces_ ? "true" : "false") + "},\n" +
                   " \"rollout\": {\"min_healthy_time\": \"1s\"}}\n");
    const Program init = git(site, {"init", "--quiet", "--bare", "--initial-branch=main", repository(site)});
    if (run_program(init) != 0) throw std::runtime_error("git init failed; see " + init.output);
    feed_program(git(site, {"-C", repository(site), "fast-import", "--quiet", "--done"}), history(site));
    tips_[0] = read_ref(site, "main");
    tips_[1] = read_ref(site, "changed");
    at_ = 0;
  }

  Program program(const Site& site) const override {
    std::vector<std::string> argv = {binary_,       "agent",
                                     "--config",    site.folder + "/config.json",
                                     "--repo",      repository(site),
                                     "--branch",    "main",
                                     "--node",      "n0",
                                     "--state-dir", site.folder + "/state",
                                     "--log-dir",   site.folder + "/log",
                                     "--run-dir",   site.folder + "/run",
                                     "--socket",    site.folder + "/gitproc.sock"};
    // It is asked by `sync` alone.
    if (!site.remote.empty())
      argv.insert(argv.end(), {"--remote", site.remote, "--set", "remote.poll_interval=1h"});
    return {.argv = std::move(argv),
            .folder = site.folder,
            .as_nobody = runs_as_nobody(),
            .output = site.folder + "/output"};
  }

  std::string repository_of(const Site& site) const override { return repository(site); }

  // As git does it: the new value goes into main.lock, and a rename makes it the branch.
  void prepare_change(const Site& site) override {
    at_ = 1 - at_;
    write_file(branch(site) + ".lock", tips_[at_] + "\n");
  }
  void apply_change(const Site& site, pid_t) override {
    std::rename((branch(site) + ".lock").c_str(), branch(site).c_str());
  }

  std::optional<Program> unchanged(const Site& site) const override {
    return Program{.argv = {binary_, "sync", "--socket", site.folder + "/gitproc.sock"},
                   .folder = site.folder,
                   .as_nobody = runs_as_nobody(),
                   .output = site.folder + "/sync"};
  }

 private:
  static std::string repository(const Site& site) { return site.folder + "/services.git"; }
  static std::string branch(const Site& site) { return repository(site) + "/refs/heads/main"; }

  Program git(const Site& site, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "git");
    return {.argv = std::move(arguments),
            .folder = site.folder,
            .as_nobody = runs_as_nobody(),
            .output = site.folder + "/git"};
  }

  static std::string read_ref(const Site& site, const std::string& name) {
    std::string id;
    std::ifstream(repository(site) + "/refs/heads/" + name) >> id;
    if (id.size() != 40) throw std::runtime_error("git fast-import left no branch '" + name + "'");
    return id;
  }

  static std::string path(const Site& site, std::size_t number) {
    std::string name = "s" + std::to_string(number) + ".service";
    if (site.node_folders == 0) return name;
    return "nodes/n" + std::to_string(number / site.services) + "/" + name;
  }

  static std::string unit(const Site& site, std::size_t number, const std::string& more) {
    return "[Unit]\nStartLimitIntervalSec=0\n\n[Service]\nExecStart=" + site.pause + " " +
           site.argument(number) + "\nRestart=always\nRestartSec=0\n" + more +
           (site.log_megabytes > 0 ? "[X-GitProc]\nLogMaxSize=" + std::to_string(site.log_file_bytes()) +
                                         "\nLogMaxFiles=" + std::to_string(Site::log_files) + "\n"
                                   : "");
  }

  static std::string commit(const std::string& branch, const std::string& from) {
    return "commit refs/heads/" + branch + "\ncommitter Bench <bench@localhost> 1700000000 +0000\ndata 0\n" +
           from;
  }

  static std::string file(const std::string& path, const std::string& text) {
    return "M 100644 inline " + path + "\ndata " + std::to_string(text.size()) + "\n" + text + "\n";
  }

  // The branch main, and the branch changed, on which the unit of service 0 is another one.
  static std::string history(const Site& site) {
    const std::size_t units = site.services * std::max<std::size_t>(site.node_folders, 1);
    std::string stream = commit("main", "") + file("README", "Made by gitproc_bench.\n");
    for (std::size_t number = 0; number < units; ++number) {
      stream += file(path(site, number), unit(site, number, ""));
    }
    if (units > 0) {
      stream += commit("changed", "from refs/heads/main\n") +
                file(path(site, 0), unit(site, 0, "Environment=CHANGED=yes\n"));
    } else {
      stream += "reset refs/heads/changed\nfrom refs/heads/main\n\n";
    }
    return stream + "done\n";
  }

  std::string binary_;
  bool as_root_;
  bool with_namespaces_;
  std::string tips_[2];
  int at_ = 0;
};

}  // namespace

std::unique_ptr<Supervisor> make_gitproc(std::string binary, Mode mode) {
  return std::make_unique<GitProc>(std::move(binary), mode);
}

void write_file(const std::string& path, const std::string& text, bool executable) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
  if (executable) ::chmod(path.c_str(), 0755);
}

}  // namespace gitproc::bench
