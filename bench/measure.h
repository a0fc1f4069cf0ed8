// One round of measurements with one supervisor: each function lays out a fresh site, starts the supervisor, does
// what its rows say, and leaves nothing behind. Throws std::runtime_error when something does not happen in time.
#pragma once

#include <string>

#include "bench/supervisor.h"
#include "bench/table.h"

namespace gitproc::bench {

struct Bench {
  std::string work;   // a folder that all can enter; sites are made in it
  std::string pause;  // the trivial service's binary
  int idle_seconds = 10;
  Table table;
};

enum class Rows {
  kill_only,  // SIGKILL -> running, with so many services
  all,        // start, change, nothing changed, memory, stop too
  all_and_idle
};

void measure_services(Bench& bench, Supervisor& supervisor, std::size_t services, Rows rows);
// Memory without a single service. For supervisors that say when they are ready.
void measure_empty(Bench& bench, Supervisor& supervisor);
// What one poll of a remote costs where nothing is new, without TLS: of the agent and its workers, in CPU time. Only for
// supervisors that follow remotes.
void measure_poll(Bench& bench, Supervisor& supervisor);
// A repository of `folders` nodes/ folders with 100 units each, of which this node runs one folder.
void measure_folders(Bench& bench, Supervisor& supervisor, std::size_t folders);

// CPU of the supervisor while one service prints so much at full speed. For supervisors that keep logs.
void measure_log(Bench& bench, Supervisor& supervisor, std::size_t megabytes);

}  // namespace gitproc::bench
