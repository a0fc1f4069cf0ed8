#include "reconcile/sim/machine.h"

#include <algorithm>

namespace gitproc::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int sigkill = 9, sigabrt = 6, sighup = 1, sigint = 2, sigterm = 15, sigsegv = 11;
constexpr int exec_exit_code = 203;

}  // namespace

std::variant<Pid, SpawnFailed> Machine::spawn(const Spawn& spawn, Instant now) {
  bool is_start = spawn.phase == ExecPhase::start;
  limits_[spawn.unit->name] = *spawn.unit->resources;
  if (faults_.exec_failures && chance_.one_in(10)) {
    // A child that failed before execve has written its line; where there was not even a child, there is none.
    int exit_code = chance_.one_in(3) ? 0 : exec_exit_code;
    if (exit_code != 0) journal_.spawned(spawn, ++last_pid_);
    return SpawnFailed{
        .service = spawn.service, .spawn = spawn.spawn, .exit_code = exit_code, .message = "no"};
  }
  if (!is_start) {
    Process& process = add(spawn, Role::command);
    process.ends_at = now + chance_.span(milliseconds(1), milliseconds(800));
    if (faults_.failing_commands && chance_.one_in(8)) process.status.value = 1;
    if (faults_.failing_commands && chance_.one_in(12)) process.ends_at = never;
    journal_.spawned(spawn, process.pid);
    return process.pid;
  }

  const Unit& unit = *spawn.unit;
  Pid pid = 0;
  switch (unit.type) {
    case ServiceType::simple:
    case ServiceType::exec:
    case ServiceType::idle:
    case ServiceType::dbus:
    case ServiceType::notify: {
      Process& process = add(spawn, Role::main);
      draw_service_end(process, now);
      process.ready_at = now + chance_.span(milliseconds(1), seconds(2));
      if (faults_.late_readiness && chance_.one_in(4)) process.ready_at = now + seconds(7);
      if (faults_.late_readiness && chance_.one_in(4)) process.ready_at = never;
      if (unit.type != ServiceType::notify) process.ready_at = never;
      pid = process.pid;
      break;
    }
    case ServiceType::oneshot: {
      Process& process = add(spawn, Role::main);
      process.ends_at = now + chance_.span(milliseconds(1), seconds(chance_.one_in(6) ? 20 : 2));
      if (faults_.failing_commands && chance_.one_in(5)) process.status.value = 1;
      pid = process.pid;
      break;
    }
    case ServiceType::forking: {
      Process& starter = add(spawn, Role::starter);
      starter.ends_at = now + chance_.span(milliseconds(1), seconds(1));
      if (faults_.failing_commands && chance_.one_in(6)) starter.status.value = 1;
      if (faults_.late_readiness && chance_.one_in(6)) starter.ends_at = now + seconds(7);
      pid = starter.pid;
      bool leaves_daemon = starter.status.value == 0;
      Instant forked_at = starter.ends_at;
      if (leaves_daemon) {
        Process& daemon = add(spawn, Role::daemon);
        draw_service_end(daemon, forked_at);
        daemon.ready_at = forked_at + chance_.span(Duration::zero(), seconds(1));
      }
      break;
    }
  }
  bool has_child = faults_.lingering_children && chance_.one_in(3);
  if (has_child) {
    Process& child = add(spawn, Role::child);
    child.ends_at = now + chance_.span(seconds(1), minutes(3));
    child.ignores_sigterm = chance_.one_in(3);
    bool is_stuck = faults_.unkillable_children && wide_chance_.one_in(2);
    if (is_stuck) child.outlives_sigkill = wide_chance_.span(seconds(1), seconds(20));
  }
  journal_.spawned(spawn, pid);
  return pid;
}

Process& Machine::add(const Spawn& spawn, Role role) {
  Process& process = processes_.emplace_back();
  process.pid = ++last_pid_;
  process.service = spawn.unit->name;
  process.role = role;
  process.phase = spawn.phase;
  process.unit = spawn.unit;
  process.command_index = spawn.command_index;
  process.ignores_sigterm = faults_.stubborn_services && chance_.one_in(6);
  return process;
}

void Machine::draw_service_end(Process& process, Instant now) {
  if (!faults_.crashing_services || !chance_.one_in(3)) return;
  static const std::vector<ExitStatus> ends = {
      {ExitStatus::Kind::exited, 0},       {ExitStatus::Kind::exited, 0},
      {ExitStatus::Kind::exited, 1},       {ExitStatus::Kind::exited, 7},
      {ExitStatus::Kind::killed, sigkill}, {ExitStatus::Kind::dumped, sigsegv}};
  process.ends_at = now + chance_.span(Duration::zero(), chance_.one_in(2) ? seconds(1) : minutes(2));
  process.status = chance_.pick(ends);
}

void Machine::signal(const Kill& kill, Instant now) {
  const std::string& name = kill.unit->name;
  for (Process& process : processes_) {
    bool is_named = process.pid == kill.main_pid || process.pid == kill.control_pid;
    bool is_meant = process.service == name && (is_named || kill.whole_group);
    if (is_meant) signal_process(process, kill.signal, now);
  }
}

void Machine::kill_for_memory(Pid pid, Instant now) {
  auto found = std::ranges::find(processes_, pid, &Process::pid);
  if (found == processes_.end()) return;
  found->is_short_of_memory = true;
  signal_process(*found, sigkill, now);
}

ResourceControl Machine::limits(const std::string& service) const {
  auto found = limits_.find(service);
  return found == limits_.end() ? ResourceControl{} : found->second;
}

void Machine::signal_process(Process& process, int signal, Instant now) {
  bool is_harmless = signal == 0 || signal == sighup;
  if (is_harmless || (process.ignores_sigterm && signal != sigkill)) return;
  bool is_slow = signal != sigkill && faults_.stubborn_services && chance_.one_in(4);
  Instant ends_at = now + chance_.span(Duration::zero(), is_slow ? milliseconds(3500) : milliseconds(100));
  if (signal == sigkill) ends_at += process.outlives_sigkill;
  if (ends_at >= process.ends_at) return;
  process.ends_at = ends_at;
  process.status = {ExitStatus::Kind::killed, signal};
  if (signal == sigabrt) process.status.kind = ExitStatus::Kind::dumped;
  bool exits_by_itself = (signal == sigterm || signal == sigint) && chance_.one_in(2);
  if (exits_by_itself) process.status = {ExitStatus::Kind::exited, 0};
}

Instant Machine::next() const {
  Instant next = never;
  for (const Process& process : processes_) {
    next = std::min(next, process.ends_at);
    if (!process.is_ready) next = std::min(next, process.ready_at);
  }
  return next;
}

std::vector<Incident> Machine::pass(Instant now) {
  std::vector<Incident> incidents;
  for (Instant at = next(); at <= now; at = next()) {
    // What a process says before it ends comes first.
    auto speaker = std::ranges::find_if(
        processes_, [at](const Process& process) { return !process.is_ready && process.ready_at == at; });
    if (speaker != processes_.end()) {
      speaker->is_ready = true;
      incidents.push_back(Readied{*speaker});
      continue;
    }
    auto ended = std::ranges::find(processes_, at, &Process::ends_at);
    Process process = *ended;
    processes_.erase(ended);
    // ExecStop= asks the main process to end.
    if (process.phase == ExecPhase::stop && process.status.value == 0) {
      for (Process& other : processes_) {
        if (other.service == process.service && other.is_service()) signal_process(other, sigterm, at);
      }
    }
    incidents.push_back(Ended{std::move(process)});
  }
  return incidents;
}

const Process* Machine::find(Pid pid) const {
  auto found = std::ranges::find(processes_, pid, &Process::pid);
  return found == processes_.end() ? nullptr : &*found;
}

bool Machine::is_empty(const std::string& service) const {
  return std::ranges::find(processes_, service, &Process::service) == processes_.end();
}

const Process* Machine::service_process(const std::string& service) const {
  const Process* found = nullptr;
  for (const Process& process : processes_) {
    if (process.service != service || !process.is_service()) continue;
    bool is_better = found == nullptr || found->role == Role::starter;
    if (is_better) found = &process;
  }
  return found;
}

void Machine::calm_down(Instant now) {
  for (Process& process : processes_) {
    process.ignores_sigterm = false;
    process.outlives_sigkill = {};
    bool goes_on = process.role == Role::daemon ||
                   (process.role == Role::main && process.unit->type != ServiceType::oneshot);
    if (goes_on) process.ends_at = never;
    bool should_be_ready = process.role == Role::main && process.unit->type == ServiceType::notify;
    if (should_be_ready) process.ready_at = std::min(process.ready_at, now + seconds(1));
    bool hangs = !goes_on && process.ends_at == never;
    if (hangs) process.ends_at = now + seconds(1);
  }
}

}  // namespace gitproc::sim
