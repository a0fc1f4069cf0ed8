// Everything the agent asks of the kernel about processes, behind one seam: the Linux implementation, and a fake
// that the agent's tests drive by hand (fake_process_driver.h).
//
// Commands are carried out on the thread that owns the decisions, at once or, of those that are alike, many together:
// processes may still be on their way to their programs and signals unsent until take_spawned() is asked. What happens
// later (exits, readiness, emptied services) is collected as Events: when fd() becomes readable, drain() hands them over.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "drivers/cgroup/figures.h"
#include "reconcile/actual/service.h"
#include "reconcile/base/error.h"
#include "reconcile/command.h"
#include "reconcile/event.h"

namespace gitproc {

using SpawnOutcome = std::variant<Spawned, SpawnFailed>;

class ProcessDriver {
 public:
  virtual ~ProcessDriver() = default;

  // What an earlier agent of this boot left, found in the run journal. Each is to be handed back by adopt(),
  // with the id it got, before anything else is asked about that service. Empty from the second call on.
  virtual std::vector<AdoptedService> take_adopted() = 0;
  virtual void adopt(ServiceId service, const AdoptedService& adopted) = 0;

  virtual void spawn(const Spawn& command) = 0;
  // The outcomes of all spawns since the last call.
  virtual std::vector<SpawnOutcome> take_spawned() = 0;
  virtual void kill(const Kill& command) = 0;
  virtual void await_main_pid(const AwaitMainPid& command) = 0;
  virtual void clean_up(const CleanUp& command) = 0;
  // Writes the limits of a service that runs, and takes its processes along where that needs other groups.
  virtual void adjust_limits(const AdjustLimits& command) = 0;
  virtual SurvivorsFound find_survivors(const FindSurvivors& command) = 0;
  virtual ConditionsChecked check_conditions(const CheckConditions& command) = 0;
  virtual PreflightChecked preflight(const Preflight& command) = 0;
  // Runs the command of HealthCheckExec= once. One ProbeFinished comes out of drain(), at the latest
  // HealthCheckTimeout= later, when the command is killed.
  virtual void start_probe(const StartProbe& command) = 0;
  // No ProbeFinished comes any more. Does nothing where there is no probe.
  virtual void cancel_probe(ServiceId service) = 0;
  // Writes the line; a main_pid that the driver did not spawn is watched from then on. Error: a full disk.
  virtual Result<void> record(const RunRecord& record) = 0;

  // Readable whenever drain() has something to hand over; never closed before the driver is.
  virtual int fd() const = 0;
  // Never blocks; hands over at most some hundred Events at a time, fd() stays readable when there are more.
  virtual std::vector<Event> drain() = 0;

  // Where the service's processes are counted: its cgroup's path below the v2 mount, "" without cgroups.
  virtual std::string cgroup_of(ServiceId service) const = 0;
  // Where what it uses can be read, on any thread.
  virtual FigurePlaces figure_places(ServiceId service) = 0;
  // What services have had to do without since the last call, each once in the driver's life.
  virtual std::vector<std::string> take_unavailable() = 0;
};

}  // namespace gitproc
