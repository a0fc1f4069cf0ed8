// What a service uses: memory, CPU time, tasks, bytes read and written. Read when somebody asks, on whatever thread; of
// controllers that are not enabled for its group the processes tell.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reconcile/base/ids.h"

namespace gitproc {

struct FigurePlaces {
  std::string group;           // the directory in the v2 tree; "" without cgroups
  std::string v1_memory;       // the directory of the v1 memory controller, "" without
  std::vector<Pid> processes;  // without cgroups
};

struct ServiceFigures {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint64_t> cpu_usec;
  std::optional<std::uint64_t> tasks;
  std::optional<std::uint64_t> io_read_bytes, io_written_bytes;  // only where the io controller is enabled

  bool operator==(const ServiceFigures&) const = default;
};

ServiceFigures read_figures(const FigurePlaces& places);

}  // namespace gitproc
