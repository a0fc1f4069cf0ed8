#include "agent/json_views.h"

#include <nlohmann/json.hpp>

#include "reconcile/base/civil.h"

namespace gitproc {
namespace {

template <typename T>
Json or_null(bool is_there, const T& value) {
  return is_there ? Json(value) : Json(nullptr);
}

double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

}  // namespace

Json commit_json(const std::optional<ObjectId>& commit) {
  return commit ? Json(commit->hex()) : Json(nullptr);
}

Json service_json(const ServiceView& service, const std::string& log, const std::string& cgroup) {
  using Kind = ExitStatus::Kind;
  bool has_code = service.exit && service.exit->kind == Kind::exited;
  bool has_signal =
      service.exit && (service.exit->kind == Kind::killed || service.exit->kind == Kind::dumped);
  return Json{
      {"name", service.name},
      {"description", service.description},
      {"state", to_string(service.state)},
      {"result", to_string(service.result)},
      {"pid", or_null(service.pid != 0, service.pid)},
      {"exit_code", has_code ? Json(service.exit->value) : Json(nullptr)},
      {"exit_signal", has_signal ? Json("SIG" + signal_name(service.exit->value)) : Json(nullptr)},
      {"since", or_null(service.since != WallTime{}, to_rfc3339(service.since))},
      {"restarts", service.restarts},
      {"health", to_string(service.health)},
      {"desired", service.is_desired_running ? "running" : "stopped"},
      {"held", service.is_held},
      {"commit", commit_json(service.commit)},
      {"file", service.file},
      {"memory_bytes", nullptr},
      {"cpu_usec", nullptr},
      {"tasks", nullptr},
      {"log", log},
      {"cgroup", cgroup},
      {"reason", service.reason},
      {"next_restart", service.next_restart ? Json(to_rfc3339(*service.next_restart)) : Json(nullptr)}};
}

void add_figures(Json& service, const ServiceFigures& figures) {
  auto add = [&service](const char* name, const std::optional<std::uint64_t>& value) {
    if (value) service[name] = *value;
  };
  add("memory_bytes", figures.memory_bytes);
  add("cpu_usec", figures.cpu_usec);
  add("tasks", figures.tasks);
  add("io_read_bytes", figures.io_read_bytes);
  add("io_written_bytes", figures.io_written_bytes);
}

Json probes_json(const std::vector<ProbeResult>& probes) {
  Json list = Json::array();
  for (const ProbeResult& probe : probes) {
    list.push_back({{"at", to_rfc3339(probe.at)},
                    {"duration", seconds(probe.took)},
                    {"healthy", probe.is_healthy},
                    {"detail", probe.detail}});
  }
  return list;
}

Json pin_json(const std::optional<Pin>& pin) {
  if (!pin) return nullptr;
  return Json{{"commit", pin->commit.hex()},
              {"by", pin->by},
              {"at", to_rfc3339(pin->at)},
              {"reason", pin->reason},
              {"until", pin->until ? Json(to_rfc3339(*pin->until)) : Json(nullptr)}};
}

Json hold_json(const std::optional<Hold>& hold) {
  if (!hold) return nullptr;
  return Json{{"kind", hold->kind}, {"commit", hold->commit.hex()}, {"message", hold->message}};
}

Json remote_json(const std::optional<RemoteView>& remote, const std::string& url,
                 const std::string& progress) {
  if (!remote) return nullptr;
  auto time = [](const std::optional<WallTime>& at) { return at ? Json(to_rfc3339(*at)) : Json(nullptr); };
  return Json{{"url", url},
              {"last_fetch", time(remote->last_fetch)},
              {"last_success", time(remote->last_success)},
              {"error", remote->error},
              {"fetching", remote->is_fetching},
              {"progress", progress}};
}

Json history_entry_json(const HistoryEntry& entry) {
  return Json{{"commit", entry.commit.hex()},
              {"subject", entry.subject},
              {"author", entry.author},
              {"at", to_rfc3339(entry.at)},
              {"took", entry.took ? Json(seconds(*entry.took)) : Json(nullptr)},
              {"cause", entry.cause},
              {"outcome", to_string(entry.outcome)},
              {"message", entry.message}};
}

Json event_json(const LoggedEvent& event) {
  return Json{{"at", to_rfc3339(event.at)},
              {"service", event.event.service},
              {"kind", event.event.kind},
              {"from", event.event.from},
              {"to", event.event.to},
              {"reason", event.event.reason},
              {"commit", commit_json(event.event.commit)}};
}

}  // namespace gitproc
