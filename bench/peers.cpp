// The bare loop and the other supervisors, each configured to be as fast as its documentation allows: no shell
// between supervisor and service, no delay before a restart, no log processes.
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <utility>

#include "bench/supervisor.h"

namespace gitproc::bench {
namespace {

Program in_site(const Site& site, std::vector<std::string> argv) {
  return {.argv = std::move(argv), .folder = site.folder, .output = site.folder + "/output"};
}

class Loop : public Supervisor {
 public:
  Loop(std::string binary, bool with_cgroups) : binary_(std::move(binary)), with_cgroups_(with_cgroups) {}
  std::string name() const override { return with_cgroups_ ? "loop (cgroups)" : "loop"; }
  std::string reference() const override { return name(); }
  std::string lack() const override {
    return with_cgroups_ && !cgroup_root() ? "no cgroup v2 tree to write to" : "";
  }
  void lay_out(const Site&) override {
    if (with_cgroups_) std::filesystem::create_directories(cgroup());
  }
  Program program(const Site& site) const override {
    Program program = in_site(site, {binary_});
    if (with_cgroups_) program.argv.insert(program.argv.end(), {"--cgroup", cgroup()});
    program.argv.insert(program.argv.end(), {std::to_string(site.services), site.pause, site.fifo});
    return program;
  }
  void prepare_change(const Site&) override {}
  void apply_change(const Site&, pid_t pid) override { ::kill(pid, SIGUSR1); }

 private:
  static std::string cgroup() { return *cgroup_root() + "/gitproc-bench-loop"; }
  std::string binary_;
  bool with_cgroups_;
};

// What the four peers share: a program that must be on the path, and a command that applies a change.
class Peer : public Supervisor {
 public:
  explicit Peer(std::string program) : program_(std::move(program)) {}
  std::string lack() const override {
    return is_on_path(program_) ? "" : "'" + program_ + "' is not installed";
  }
  void apply_change(const Site& site, pid_t) override {
    for (const Program& command : change_commands(site))
      run_program(command);
  }

 protected:
  virtual std::vector<Program> change_commands(const Site& site) const = 0;

 private:
  std::string program_;
};

class Supervisord : public Peer {
 public:
  Supervisord() : Peer("supervisord") {}
  std::string name() const override { return "supervisord"; }
  bool keeps_logs() const override { return true; }
  void lay_out(const Site& site) override { write(site); }
  Program program(const Site& site) const override {
    return in_site(site, {"supervisord", "--nodaemon", "--configuration", configuration(site)});
  }
  void prepare_change(const Site& site) override {
    ++changes_;
    write(site);
  }
  std::optional<Program> unchanged(const Site& site) const override { return update(site); }

 protected:
  std::vector<Program> change_commands(const Site& site) const override { return {update(site)}; }

 private:
  static std::string configuration(const Site& site) { return site.folder + "/supervisord.conf"; }
  static Program update(const Site& site) {
    return in_site(site, {"supervisorctl", "--configuration", configuration(site), "update"});
  }
  void write(const Site& site) const {
    const std::string socket = site.folder + "/supervisor.sock";
    std::string text = "[unix_http_server]\nfile=" + socket +
                       "\n[rpcinterface:supervisor]\n"
                       "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
                       "[supervisorctl]\nserverurl=unix://" +
                       socket + "\n[supervisord]\nminfds=16384\nminprocs=4096\nlogfile=/dev/null\n" +
                       "logfile_maxbytes=0\npidfile=" + site.folder + "/pid\n";
    for (std::size_t i = 0; i < site.services; ++i) {
      text += "[program:s" + std::to_string(i) + "]\ncommand=" + site.pause + " " + site.argument(i) +
              "\nautorestart=true\nstartsecs=0\nstderr_logfile=NONE\n" + log(site, i);
      if (i == 0) text += "environment=CHANGED=\"" + std::to_string(changes_) + "\"\n";
    }
    write_file(configuration(site), text);
  }
  static std::string log(const Site& site, std::size_t i) {
    if (site.log_megabytes == 0) return "stdout_logfile=NONE\n";
    return "stdout_logfile=" + site.folder + "/s" + std::to_string(i) +
           ".log\nstdout_logfile_maxbytes=" + std::to_string(site.log_file_bytes()) +
           "\nstdout_logfile_backups=" + std::to_string(Site::log_files) + "\n";
  }
  int changes_ = 0;
};

// runit and s6 share daemontools' layout: a folder with a run script for each service. The script's "shell" is the
// service itself.
class ScanFolder : public Peer {
 public:
  using Peer::Peer;
  void lay_out(const Site& site) override {
    for (std::size_t i = 0; i < site.services; ++i)
      write_run(site, i);
  }
  void prepare_change(const Site& site) override { write_run(site, 0); }

 protected:
  static std::string scan(const Site& site) { return site.folder + "/scan"; }
  static std::string service(const Site& site, std::size_t i) {
    return scan(site) + "/s" + std::to_string(i);
  }

 private:
  static void write_run(const Site& site, std::size_t i) {
    const std::string run = service(site, i) + "/run";
    write_file(run + ".new", "#!" + site.pause + " " + site.argument(i) + "\n", true);
    std::filesystem::rename(run + ".new", run);
  }
};

class Runit : public ScanFolder {
 public:
  Runit() : ScanFolder("runsvdir") {}
  std::string name() const override { return "runit"; }
  Program program(const Site& site) const override { return in_site(site, {"runsvdir", scan(site)}); }
  int stop_signal() const override { return SIGHUP; }

 protected:
  std::vector<Program> change_commands(const Site& site) const override {
    return {in_site(site, {"sv", "term", service(site, 0)})};
  }
};

class S6 : public ScanFolder {
 public:
  S6() : ScanFolder("s6-svscan") {}
  std::string name() const override { return "s6"; }
  Program program(const Site& site) const override {
    return in_site(site, {"s6-svscan", "-c", std::to_string(site.services + 10), scan(site)});
  }

 protected:
  std::vector<Program> change_commands(const Site& site) const override {
    return {in_site(site, {"s6-svc", "-t", service(site, 0)})};
  }
};

class Dinit : public Peer {
 public:
  Dinit() : Peer("dinit") {}
  std::string name() const override { return "dinit"; }
  void lay_out(const Site& site) override {
    std::string boot = "type = internal\n";
    for (std::size_t i = 0; i < site.services; ++i) {
      boot += "waits-for = s" + std::to_string(i) + "\n";
      write_service(site, i);
    }
    write_file(site.folder + "/services/boot", boot);
  }
  Program program(const Site& site) const override {
    return in_site(site, {"dinit", "--user", "--quiet", "--services-dir", site.folder + "/services",
                          "--socket-path", socket(site)});
  }
  void prepare_change(const Site& site) override {
    ++changes_;
    write_service(site, 0);
  }

 protected:
  std::vector<Program> change_commands(const Site& site) const override {
    return {in_site(site, {"dinitctl", "--user", "--socket-path", socket(site), "reload", "s0"}),
            in_site(site, {"dinitctl", "--user", "--socket-path", socket(site), "restart", "--force", "s0"})};
  }

 private:
  static std::string socket(const Site& site) { return site.folder + "/dinitctl"; }
  void write_service(const Site& site, std::size_t i) const {
    write_file(site.folder + "/services/s" + std::to_string(i),
               "type = process\ncommand = " + site.pause + " " + site.argument(i) +
                   "\nrestart = true\nsmooth-recovery = true\nrestart-delay = 0\nrestart-limit-count = 0\n" +
                   "# change " + std::to_string(changes_) + "\n");
  }
  int changes_ = 0;
};

}  // namespace

std::unique_ptr<Supervisor> make_loop(std::string binary) {
  return std::make_unique<Loop>(std::move(binary), false);
}
std::unique_ptr<Supervisor> make_cgroup_loop(std::string binary) {
  return std::make_unique<Loop>(std::move(binary), true);
}

std::vector<std::unique_ptr<Supervisor>> make_peers() {
  std::vector<std::unique_ptr<Supervisor>> peers;
  peers.push_back(std::make_unique<Supervisord>());
  peers.push_back(std::make_unique<Runit>());
  peers.push_back(std::make_unique<S6>());
  peers.push_back(std::make_unique<Dinit>());
  return peers;
}

}  // namespace gitproc::bench
