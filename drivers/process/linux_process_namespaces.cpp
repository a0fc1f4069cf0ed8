// The part of the driver that is about PID namespaces: their inits, and numbers that mean another process inside than
// outside.
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "drivers/base/system_call.h"
#include "drivers/process/init/leave_signal.h"
#include "drivers/process/linux_process_driver.h"
#include "drivers/process/proc_files.h"

namespace gitproc {
namespace {

// Of a service's processes, to find the one that a number means.
constexpr std::size_t max_examined = 1024;

// What may pass until the next spawn; all else stays as it is while the agent runs.
bool is_lack_of_resources(int error_number) {
  return error_number == ENOMEM || error_number == EAGAIN || error_number == ENOSPC ||
         error_number == EMFILE || error_number == ENFILE;
}

}  // namespace

bool LinuxProcessDriver::forgoes_namespace(const SpawnFault& fault) {
  if (!fault.lacks_namespace || refuses_unenforceable_) return false;
  tell_unavailable("services run without a PID namespace: " + fault.message);
  can_have_namespaces_ = is_lack_of_resources(fault.error_number);
  return true;
}

void LinuxProcessDriver::add_init(ServiceId service, Pid init, Pid main) {
  inits_[init] = service;
  init_of_[main] = init;
  membership_.add(service, init);
  state_of(service).init = init;
}

void LinuxProcessDriver::let_go_of_init(Pid main) {
  auto found = init_of_.find(main);
  if (found == init_of_.end()) return;
  Pid init = found->second;
  init_of_.erase(found);
  if (!inits_.contains(init)) return;
  if (exits_.is_watched(init))
    exits_.signal_watched(init, leave_signal);
  else
    ::kill(init, leave_signal);  // a child that was not reaped yet
}

std::optional<ServiceId> LinuxProcessDriver::forget_init(Pid pid) {
  auto found = inits_.find(pid);
  if (found == inits_.end()) return std::nullopt;
  ServiceId service = found->second;
  inits_.erase(found);
  Service* state = find(service);
  if (state != nullptr && state->init == pid) {
    state->init = 0;
    drop_if_plain(service);
  }
  return service;
}

std::vector<Pid> LinuxProcessDriver::members_but_inits(ServiceId service) {
  std::vector<Pid> pids = membership_.members(service);
  if (!inits_.empty()) std::erase_if(pids, [&](Pid pid) { return inits_.contains(pid); });
  return pids;
}

Pid LinuxProcessDriver::translate(ServiceId service, Pid sender, Pid pid) {
  const Service* state = find(service);
  if (state == nullptr || state->init == 0) return pid;
  std::vector<Pid> of_init = namespace_pids(state->init);
  std::vector<Pid> of_sender = namespace_pids(sender);
  // One that is gone was in the service's namespace more likely than beside it.
  if (of_sender.empty()) of_sender = of_init;
  if (of_sender.size() < of_init.size()) return pid;
  if (of_sender.back() == pid && sender != 0) return sender;
  // Namespaces that the service makes for itself are deeper, and there may be several.
  bool is_inner = of_sender.size() > of_init.size();
  std::size_t examined = 0;
  for (Pid member : members_but_inits(service)) {
    if (++examined > max_examined) break;
    std::vector<Pid> numbers = namespace_pids(member);
    if (numbers.size() != of_sender.size() || numbers.back() != pid) continue;
    if (!is_inner || pid_namespace_of(member) == pid_namespace_of(sender)) return member;
  }
  return 0;
}

}  // namespace gitproc
