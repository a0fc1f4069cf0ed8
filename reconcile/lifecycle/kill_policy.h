// Who is signalled when a service is to end, and with what: systemd.kill(5).
//
//   KillMode=       to terminate, to abort        to kill           waits for
//   control-group   main, control, all others     the same          an empty group
//   mixed           main, control                 all               main and control; empty, once killed
//   process         main, control                 main, control     main and control
//   none            nobody                        nobody            nothing
#pragma once

#include <cstdint>
#include <optional>

#include "reconcile/command.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

enum class KillReason : std::uint8_t {
  terminate,  // KillSignal=
  restart,    // RestartKillSignal=
  abort,      // WatchdogSignal=
  kill,       // FinalKillSignal=
};

// The Kill of a service whose main and control process have these pids (0: none); nullopt where nobody is to
// be signalled. SendSIGKILL= is the caller's to heed.
std::optional<Kill> make_kill(ServiceId service, const UnitPtr& unit, KillReason reason, Pid main_pid,
                              Pid control_pid);

}  // namespace gitproc
