// Limits of what runs. They are written when a process is spawned and when the unit changes; a value that somebody else
// changed is put back. Who changes it again and again may be a program that watches it as we do: after some rounds it
// has its way, until the unit changes or the service starts anew.
#include "reconcile/state.h"

namespace gitproc {
namespace {

constexpr unsigned max_put_backs = 10;
constexpr Duration put_back_window = std::chrono::minutes(1);

}  // namespace

void Reconciler::State::adjust_limits(Service& service, const UnitPtr& unit) {
  if (service.life.is_down()) return;  // the next process is born with them
  put_backs.erase(service.id);
  emit(AdjustLimits{service.id, unit});
}

void Reconciler::State::take(const TreeRestored& event) {
  emit(
      Announce{"", "drift", "", "", "the exported tree was changed by hand, and is as before", event.commit});
}

void Reconciler::State::take(const LimitsDrifted& event) {
  Service* service = table.at(event.service);
  if (service == nullptr || service->is_found || service->life.is_down()) return;
  PutBacks& rounds = put_backs[service->id];
  if (now.instant - rounds.since > put_back_window) rounds = {.since = now.instant, .count = 0};
  bool gives_up = ++rounds.count > max_put_backs;
  std::string reason = event.what + (event.found.empty() ? " was removed" : " was changed");
  if (gives_up) reason += " again and again, and is left so";
  if (rounds.count <= max_put_backs + 1)
    emit(Announce{service->name, "drift", event.found, event.wanted, std::move(reason), *service->commit});
  if (!gives_up) emit(AdjustLimits{service->id, service->life.unit()});
}

void Reconciler::State::take(const SurvivorsFound& event) {
  Service* service = table.at(event.service);
  if (service == nullptr || event.processes.empty()) return;
  act(*service, [&event](Lifecycle& life, LifecycleContext& context) { life.on(event, context); });
  emit(Announce{service->name, "survivors", "", "", "survived SIGKILL: " + event.processes, std::nullopt});
}

}  // namespace gitproc
