// The shapes of agent/protocol/README.md, made from what the Reconciler and the event log tell.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "agent/event_log.h"
#include "agent/protocol/json.h"
#include "drivers/cgroup/figures.h"
#include "reconcile/durable.h"
#include "reconcile/reconciler.h"

namespace gitproc {

Json commit_json(const std::optional<ObjectId>& commit);
Json service_json(const ServiceView& service, const std::string& log, const std::string& cgroup);
// Fills in what service_json() leaves null.
void add_figures(Json& service, const ServiceFigures& figures);
// The newest last.
Json probes_json(const std::vector<ProbeResult>& probes);
Json hold_json(const std::optional<Hold>& hold);
Json pin_json(const std::optional<Pin>& pin);
Json remote_json(const std::optional<RemoteView>& remote, const std::string& url,
                 const std::string& progress);
Json history_entry_json(const HistoryEntry& entry);
Json event_json(const LoggedEvent& event);

}  // namespace gitproc
