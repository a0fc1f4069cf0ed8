// What the benchmark asks of each program that it measures: lay out a configuration, start, change one service,
// apply nothing, stop. Everything is timed outside, by the stamps of the services (stamps.h).
#pragma once

#include <csignal>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/process.h"

namespace gitproc::bench {

// A fresh folder for one run of one supervisor.
struct Site {
  std::string folder;
  std::string pause;  // the trivial service's binary
  std::string fifo;
  std::size_t services = 0;
  // GitProc only: 0 puts every unit at the top; otherwise so many folders nodes/nK/ hold `services` units each,
  // and the node is n0.
  std::size_t node_folders = 0;
  // So much does each service print; 0: nothing, and no log is kept of it where that can be told.
  std::size_t log_megabytes = 0;
  std::string remote;  // GitProc only: the address that it is to follow; "" for none

  // Logs are rotated ten times or so, and all of it is kept.
  std::size_t log_file_bytes() const { return log_megabytes * (1u << 20) / 10; }
  static constexpr int log_files = 20;

  std::string argument(std::size_t number) const {
    return std::to_string(number) + "," + fifo +
           (log_megabytes > 0 ? " " + std::to_string(log_megabytes) : "");
  }
};

class Supervisor {
 public:
  virtual ~Supervisor() = default;
  virtual std::string name() const = 0;
  // Which loop its figures are compared with.
  virtual std::string reference() const { return "loop"; }
  // Why it cannot be measured here; empty when it can.
  virtual std::string lack() const = 0;
  virtual bool runs_as_nobody() const { return false; }
  // Whether it keeps what services print, and rotates it, by itself.
  virtual bool keeps_logs() const { return false; }

  virtual void lay_out(const Site& site) = 0;
  virtual Program program(const Site& site) const = 0;
  virtual int stop_signal() const { return SIGTERM; }
  // Everything up to the moment that counts, then that moment. Service 0 must then start again.
  virtual void prepare_change(const Site& site) = 0;
  virtual void apply_change(const Site& site, pid_t pid) = 0;
  // The repository that was laid out, for those that can follow a remote.
  virtual std::string repository_of(const Site&) const { return ""; }
  // The command that applies a configuration in which nothing changed, where there is one.
  virtual std::optional<Program> unchanged(const Site&) const { return std::nullopt; }
};

std::unique_ptr<Supervisor> make_loop(std::string binary);
// The loop with a cgroup for each service, beside GitProc as root.
std::unique_ptr<Supervisor> make_cgroup_loop(std::string binary);
// As an ordinary user; as root; as root with a PID namespace for each service, which the others do without.
enum class Mode { user, root, namespaces };
std::unique_ptr<Supervisor> make_gitproc(std::string binary, Mode mode);
// supervisord, runit, s6 and dinit, installed or not.
std::vector<std::unique_ptr<Supervisor>> make_peers();

void write_file(const std::string& path, const std::string& text, bool executable = false);

}  // namespace gitproc::bench
