#include "reconcile/sim/trace.h"

#include <utility>

namespace gitproc::sim {
namespace {

std::string id_text(ServiceId id) { return "#" + std::to_string(index_of(id)); }
std::string id_text(RequestId id) { return "request " + std::to_string(static_cast<std::uint64_t>(id)); }
std::string id_text(SpawnId id) { return "spawn " + std::to_string(static_cast<std::uint64_t>(id)); }

struct EventWords {
  std::string operator()(const TipObserved& event) const {
    return "tip of " + event.branch + " " + (event.tip ? event.tip->hex().substr(32) : event.error) +
           (event.remote_tip ? ", at the remote " + event.remote_tip->hex().substr(32) : "");
  }
  std::string operator()(const CommitLoaded& event) const {
    std::string text = "loaded " + event.commit.subject + ":";
    for (const UnitChange& change : event.changes) {
      bool is_stopped = change.unit && !change.unit->is_desired_running;
      text += (change.unit ? " " : " -") + change.name + (is_stopped ? "(stopped)" : "");
    }
    return text;
  }
  std::string operator()(const CommitRejected& event) const { return "rejected " + event.commit.subject; }
  std::string operator()(const CommitUnreadable& event) const {
    return "unreadable " + event.commit.hex().substr(32);
  }
  std::string operator()(const TreeExported& event) const {
    return "exported " + event.commit.hex().substr(32) + " " + event.error;
  }
  std::string operator()(const Spawned& event) const {
    return "spawned " + id_text(event.service) + " pid " + std::to_string(event.pid) + " " +
           id_text(event.spawn);
  }
  std::string operator()(const SpawnFailed& event) const {
    return "spawn failed " + id_text(event.service) + " " + std::to_string(event.exit_code) + " " +
           id_text(event.spawn);
  }
  std::string operator()(const ProcessExited& event) const {
    return "exited " + id_text(event.service) + " pid " + std::to_string(event.pid) + " " +
           to_string(event.status) +
           (event.pid_in_file != 0 ? " moved to " + std::to_string(event.pid_in_file) : "");
  }
  std::string operator()(const OomKilled& event) const { return "oom kill in " + id_text(event.service); }
  std::string operator()(const TreeRestored& event) const {
    return "restored the tree of " + event.commit.abbreviated();
  }
  std::string operator()(const LimitsDrifted& event) const {
    return "drift of " + event.what + " in " + id_text(event.service);
  }
  std::string operator()(const SurvivorsFound& event) const {
    return "survivors of " + id_text(event.service) + " " + event.processes;
  }
  std::string operator()(const Emptied& event) const { return "emptied " + id_text(event.service); }
  std::string operator()(const MainPidFound& event) const {
    return "main pid of " + id_text(event.service) + " is " + std::to_string(event.pid) +
           (event.is_empty ? " empty" : "");
  }
  std::string operator()(const Notified& event) const {
    return "ready " + id_text(event.service) + " pid " + std::to_string(event.sender);
  }
  std::string operator()(const ConditionsChecked& event) const {
    return "conditions of " + id_text(event.service) + (event.is_met ? " met" : " unmet");
  }
  std::string operator()(const PreflightChecked& event) const {
    return "preflight of " + id_text(event.service) + " " + event.error;
  }
  std::string operator()(const ProbeFinished& event) const {
    return "probe of " + id_text(event.service) + (event.is_healthy ? " healthy" : " unhealthy");
  }
  std::string operator()(const Fetched& event) const {
    return "fetched" + (event.error.empty() ? "" : ": " + event.error);
  }
  std::string operator()(const TipsCompared& event) const {
    static constexpr const char* relations[] = {"equal", "ahead", "behind", "diverged"};
    return "compared with " + event.question.remote.hex().substr(32) + ": local is " +
           relations[static_cast<std::size_t>(event.relation)] +
           (event.is_local_in_base ? ", in the base" : "") +
           (event.is_remote_after_base ? ", after the base" : "") +
           (event.is_remote_after_applied ? ", after the applied" : "") + event.error;
  }
  std::string operator()(const BundleImported&) const { return "bundle imported"; }
  std::string operator()(const PolicyChanged&) const { return "the policy is another one"; }
  std::string operator()(const FetchRequested&) const { return "a fetch is asked for"; }
  std::string operator()(const AcceptRequested& event) const {
    return id_text(event.request) + ": accept " + event.commit.hex().substr(32);
  }
  std::string operator()(const ServiceRequested& event) const {
    static constexpr const char* verbs[] = {"start", "stop", "restart", "reload"};
    return id_text(event.request) + ": " + verbs[static_cast<std::size_t>(event.verb)] + " " + event.service;
  }
  std::string operator()(const SyncRequested& event) const {
    return id_text(event.request) + ": sync" + (event.waits ? "" : " --no-wait") +
           (event.retries ? " --retry" : "");
  }
  std::string operator()(const RollbackRequested& event) const {
    return id_text(event.request) + ": rollback " + (event.commit ? event.commit->hex().substr(32) : "");
  }
  std::string operator()(const ApproveRequested& event) const {
    return id_text(event.request) + ": approve " + (event.commit ? event.commit->hex().substr(32) : "");
  }
  std::string operator()(const BranchSwitched& event) const { return "switched to " + event.branch; }
  std::string operator()(const RequestNoticed& event) const { return id_text(event.request) + ": noticed"; }
  std::string operator()(const ShutdownRequested& event) const {
    return event.stops_services ? "shut down with services" : "shut down";
  }
};

struct CommandWords {
  std::string operator()(const LoadCommit& command) const {
    return "load " + command.commit.hex().substr(32);
  }
  std::string operator()(const ExportTree& command) const {
    return "export " + command.commit.hex().substr(32);
  }
  std::string operator()(const SetMarker& command) const {
    static constexpr const char* markers[] = {"fetched", "verified", "applied", "healthy", "pinned"};
    return std::string("mark ") + markers[static_cast<std::size_t>(command.marker)] + " " +
           (command.commit ? command.commit->hex().substr(32) : "none");
  }
  std::string operator()(const Fetch&) const { return "fetch"; }
  std::string operator()(const CompareTips& command) const {
    return "compare with " + command.question.remote.hex().substr(32);
  }
  std::string operator()(const MoveBranch& command) const {
    return "move " + command.branch + " to " + command.to.hex().substr(32);
  }
  std::string operator()(const Spawn& command) const {
    return "spawn " + id_text(command.service) + "=" + command.unit->name + " " +
           std::string(to_string(command.phase)) + " " + std::to_string(command.command_index) + " " +
           id_text(command.spawn) + " invocation " + command.invocation.hex().substr(0, 6);
  }
  std::string operator()(const Kill& command) const {
    return "kill " + id_text(command.service) + "=" + command.unit->name + " " + signal_name(command.signal) +
           " main " + std::to_string(command.main_pid) + " control " + std::to_string(command.control_pid) +
           (command.whole_group ? " group" : "") + (command.awaits_empty ? " awaits empty" : "");
  }
  std::string operator()(const AwaitMainPid& command) const {
    return "await main pid of " + command.unit->name;
  }
  std::string operator()(const CleanUp& command) const {
    return "clean up " + command.unit->name + (command.is_removed ? " removed" : "");
  }
  std::string operator()(const AdjustLimits& command) const {
    return "adjust limits of " + command.unit->name;
  }
  std::string operator()(const FindSurvivors& command) const {
    return "find survivors of " + command.unit->name;
  }
  std::string operator()(const CheckConditions& command) const {
    return "check conditions of " + command.unit->name;
  }
  std::string operator()(const Preflight& command) const { return "preflight " + command.unit->name; }
  std::string operator()(const StartProbe& command) const { return "probe " + command.unit->name; }
  std::string operator()(const CancelProbe& command) const {
    return "cancel probe of " + id_text(command.service);
  }
  std::string operator()(const RunRecord& command) const {
    static constexpr const char* kinds[] = {"started", "main pid", "stopping",
                                            "stamped", "ended",    "forgotten"};
    static constexpr const char* latches[] = {"completed", "stopped", "failed"};
    std::string text =
        std::string("record ") + command.name + " " + kinds[static_cast<std::size_t>(command.kind)];
    if (command.latch) text += std::string(" ") + latches[static_cast<std::size_t>(command.latch->kind)];
    return text;
  }
  std::string operator()(const Answer& command) const {
    return "answer " + id_text(command.request) + ": " +
           (command.error ? "ERROR " + command.error->message : command.message);
  }
  std::string operator()(const Announce& command) const {
    std::string text = "announce " + command.service + " " + command.kind + " " + command.from;
    if (!command.to.empty()) text += " -> " + command.to;
    return command.reason.empty() ? text : text + " (" + command.reason + ")";
  }
  std::string operator()(const ExitAgent&) const { return "exit agent"; }
};

}  // namespace

std::string describe(const Event& event) { return std::visit(EventWords{}, event); }
std::string describe(const Command& command) { return std::visit(CommandWords{}, command); }

void Trace::mix(std::uint64_t what) {
  constexpr std::uint64_t prime = 1099511628211u;
  hash_ = (hash_ ^ what) * prime;
}

void Trace::add(Instant at, std::uint64_t what) {
  mix(static_cast<std::uint64_t>(at.time_since_epoch().count()));
  mix(what);
}

void Trace::add(Instant at, std::string_view mark, const std::string& words) {
  add(at, words.size());
  for (char c : words)
    mix(static_cast<unsigned char>(c));
  if (keeps_words_) say(at, std::string(mark) + words);
}

void Trace::add(Instant at, const Event& event) { add(at, "-> ", describe(event)); }
void Trace::add(Instant at, const Command& command) { add(at, "   ", describe(command)); }

void Trace::say(Instant at, std::string words) {
  if (!keeps_words_) return;
  auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  words_.push_back(std::to_string(milliseconds) + " ms  " + std::move(words));
  if (words_.size() > words_limit) words_.pop_front();
}

}  // namespace gitproc::sim
