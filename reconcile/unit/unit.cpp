#include "reconcile/unit/unit.h"

namespace gitproc {

void Unit::share_with(const Unit& other) {
  auxiliary.share(other.auxiliary);
  dependencies.share(other.dependencies);
  conditions.share(other.conditions);
  restart.share(other.restart);
  timeouts.share(other.timeouts);
  kill.share(other.kill);
  exec.share(other.exec);
  resources.share(other.resources);
  health.share(other.health);
  log.share(other.log);
  watched.share(other.watched);
}

const std::vector<ExecCommand>& Unit::commands(ExecPhase phase) const {
  switch (phase) {
    case ExecPhase::condition: return auxiliary->condition;
    case ExecPhase::start_pre: return auxiliary->start_pre;
    case ExecPhase::start: return start;
    case ExecPhase::start_post: return auxiliary->start_post;
    case ExecPhase::reload: return auxiliary->reload;
    case ExecPhase::stop: return auxiliary->stop;
    case ExecPhase::stop_post: return auxiliary->stop_post;
  }
  __builtin_unreachable();
}

Duration Unit::start_timeout() const {
  if (timeouts->start) return *timeouts->start;
  return type == ServiceType::oneshot ? infinite : Duration(std::chrono::seconds(90));
}

bool Unit::wants_pid_namespace(bool is_node_default) const {
  if (exec->private_pids) return *exec->private_pids;
  if (!is_node_default || !pid_file.empty() || exec->protect_proc || exec->proc_subset) return false;
  switch (type) {
    case ServiceType::simple:
    case ServiceType::exec:
    case ServiceType::notify:
    case ServiceType::idle: return true;
    case ServiceType::forking:
    case ServiceType::oneshot:
    case ServiceType::dbus: return false;
  }
  __builtin_unreachable();
}

}  // namespace gitproc
