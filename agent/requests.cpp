#include "agent/requests.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <asio.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/json_views.h"
#include "agent/planning.h"
#include "agent/protocol/response.h"
#include "agent/protocol/version.h"
#include "drivers/base/system_call.h"
#include "reconcile/base/civil.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::size_t default_event_lines = 100;
// Services that `status` names one by one.
constexpr std::size_t named_services = 20;
// Events of a service that `why` goes back through.
constexpr std::size_t why_events = 8;

std::string who(const Peer& peer) { return "uid " + std::to_string(peer.uid); }

std::uint64_t resident_bytes() {
  constexpr std::size_t limit = 4096;
  Result<std::string> statm = read_file("/proc/self/statm", limit);
  unsigned long size = 0, resident = 0;
  if (!statm || std::sscanf(statm->c_str(), "%lu %lu", &size, &resident) != 2) return 0;
  return std::uint64_t{resident} * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// A file that `uid` may read: the agent lends nobody its own rights. Never waits, not for a FIFO either.
Result<UniqueFd> open_as(uid_t uid, const std::string& path) {
  bool is_other = ::geteuid() == 0 && uid != 0;
  if (is_other) ::setfsuid(uid);
  Result<UniqueFd> file = open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (is_other) ::setfsuid(::geteuid());
  if (!file) return file;
  struct stat status{};
  if (::fstat(file->get(), &status) != 0 || !S_ISREG(status.st_mode))
    return fail("cannot import '" + printable(path) + "': it is no file", ErrorCode::invalid);
  return file;
}

Error no_service(const std::string& name) { return Error{"no service '" + name + "'", ErrorCode::not_found}; }

}  // namespace

struct Requests::Figures {
  asio::thread_pool pool{1};
};

Requests::Requests(asio::io_context& loop, Daemon& daemon, ReadConfiguration read_configuration)
    : loop_(loop),
      daemon_(daemon),
      read_configuration_(std::move(read_configuration)),
      logs_(loop, daemon.configuration().log_dir) {}
Requests::~Requests() = default;

// A name that is no service's may be another name of one, which the git thread knows.
void Requests::serve(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply) {
  bool may_be_alias = std::ranges::any_of(request.services, [this](const std::string& name) {
    return !daemon_.reconciler().service(name).has_value();
  });
  if (!may_be_alias) return serve_resolved(peer, request, reply);
  daemon_.git().resolve(request.services, [this, peer, request, reply](std::vector<std::string> names) {
    Request resolved = request;
    resolved.services = std::move(names);
    serve_resolved(peer, resolved, reply);
  });
}

void Requests::serve_resolved(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply) {
  switch (request.command) {
    case RequestCommand::status: return status(request, reply);
    case RequestCommand::list: return list(reply);
    case RequestCommand::logs: return logs(request, reply);
    case RequestCommand::start:
    case RequestCommand::stop:
    case RequestCommand::restart:
    case RequestCommand::reload: return change_service(peer, request, reply);
    case RequestCommand::sync: return sync(peer, request, reply);
    case RequestCommand::rollback: return rollback(peer, request, reply);
    case RequestCommand::approve: return approve(peer, request, reply);
    case RequestCommand::accept: return accept(peer, request, reply);
    case RequestCommand::import_bundle: return import_bundle(peer, request, reply);
    case RequestCommand::switch_branch: return switch_branch(request, reply);
    case RequestCommand::plan: return plan(request, reply);
    case RequestCommand::history: return history(request, reply);
    case RequestCommand::events: return events(request, reply);
    case RequestCommand::why: return why(request, reply);
    case RequestCommand::agent_reload: {
      Result<Json> changed = reload_configuration();
      return changed ? reply->success(*changed) : reply->error(changed.error());
    }
    case RequestCommand::version: return version(reply);
  }
  __builtin_unreachable();
}

// --- reading ---

Json Requests::service_view_json(const ServiceView& view) {
  std::optional<ServiceId> id = daemon_.reconciler().find(view.name);
  return service_json(view, daemon_.configuration().log_dir + "/" + view.name + ".log",
                      id ? daemon_.processes().cgroup_of(*id) : "");
}

Json Requests::node_json() {
  Reconciler& reconciler = daemon_.reconciler();
  const DurableState& durable = reconciler.durable();
  NodeView node = reconciler.node();

  Json failed = Json::array(), held = Json::array(), subjects = Json::object();
  if (node.sync == SyncState::degraded || node.failed != 0 || node.transient != 0) {
    for (const ServiceView& view : reconciler.services()) {
      bool is_bad = view.state == ServiceState::failed || view.state == ServiceState::backoff ||
                    view.health == HealthState::unhealthy;
      if (is_bad && failed.size() < named_services) failed.push_back(service_view_json(view));
    }
  }
  for (const auto& [name, hold] : durable.holds) {
    if (held.size() < named_services) held.push_back(name);
  }
  std::optional<ObjectId> pinned = durable.pin ? std::optional(durable.pin->commit) : std::nullopt;
  for (const std::optional<ObjectId>& commit :
       {node.branch_commit, node.desired_commit, node.applied_commit, pinned}) {
    auto known = std::find_if(durable.history.rbegin(), durable.history.rend(),
                              [&](const HistoryEntry& entry) { return entry.commit == commit; });
    if (known != durable.history.rend()) subjects[commit->hex()] = known->subject;
  }
  std::string store_problem = daemon_.store_problem();
  std::string error = node.error;
  if (!store_problem.empty()) error += (error.empty() ? "" : "; ") + store_problem;
  Json override_json = nullptr;
  if (durable.branch_override) {
    override_json = {
        {"branch", durable.branch_override->branch},
        {"until",
         durable.branch_override->until ? Json(to_rfc3339(*durable.branch_override->until)) : Json(nullptr)}};
  }
  const Daemon::Outlook& outlook = daemon_.outlook();
  if (node.branch_commit && !outlook.subject.empty()) subjects[node.branch_commit->hex()] = outlook.subject;
  Json pending = nullptr;
  if (outlook.is_planned)
    pending = {
        {"commit", commit_json(node.branch_commit)}, {"summary", outlook.summary}, {"error", outlook.error}};
  return Json{
      {"node", daemon_.node().name},
      {"branch", node.branch},
      {"branch_commit", commit_json(node.branch_commit)},
      {"desired_commit", commit_json(node.desired_commit)},
      {"applied_commit", commit_json(node.applied_commit)},
      {"pinned", pin_json(node.pin)},
      {"behind", daemon_.outlook().behind},
      {"sync", to_string(node.sync)},
      {"error", error},
      {"hold", hold_json(node.hold)},
      {"warnings", diagnostics_json(node.warnings)},
      {"unavailable", daemon_.unavailable()},
      {"services",
       {{"total", node.total},
        {"running", node.running},
        {"failed", node.failed},
        {"waiting", node.waiting},
        {"stopped", node.stopped},
        {"completed", node.completed},
        {"transient", node.transient}}},
      {"failed_services", failed},
      {"held_services", held},
      {"subjects", subjects},
      {"pending", pending},
      {"branch_override", override_json},
      {"remote", remote_json(node.remote, daemon_.fetcher().shown_url(), daemon_.fetcher().progress())},
      {"agent",
       {{"pid", ::getpid()},
        {"version", program_version},
        {"since", to_rfc3339(daemon_.started_at())},
        {"rss_bytes", resident_bytes()},
        {"repo", daemon_.configuration().repo},
        {"state_dir", daemon_.configuration().state_dir}}}};
}

void Requests::status(const Request& request, const std::shared_ptr<Reply>& reply) {
  if (request.services.empty()) return reply->success(node_json());
  std::optional<ServiceView> view = daemon_.reconciler().service(request.services.front());
  if (!view) return reply->error(no_service(request.services.front()));
  Json probes;  // null: it has no health check
  if (view->unit && view->unit->has_health_check())
    probes = probes_json(daemon_.reconciler().probes(request.services.front()));
  add_figures_to({std::move(*view)}, [reply, probes](Json services) {
    if (!probes.is_null()) services.front()["probes"] = probes;
    reply->success(services.front());
  });
}

void Requests::list(const std::shared_ptr<Reply>& reply) {
  add_figures_to(daemon_.reconciler().services(),
                 [reply](Json services) { reply->success({{"services", std::move(services)}}); });
}

void Requests::add_figures_to(const std::vector<ServiceView>& views, std::function<void(Json)> then) {
  struct Work {
    Json services = Json::array();
    std::vector<FigurePlaces> places;
  };
  auto work = std::make_shared<Work>();
  bool is_any_up = false;
  for (const ServiceView& view : views) {
    work->services.push_back(service_view_json(view));
    std::optional<ServiceId> id = daemon_.reconciler().find(view.name);
    bool is_up = view.state != ServiceState::stopped && view.state != ServiceState::failed &&
                 view.state != ServiceState::waiting;
    is_any_up |= is_up;
    work->places.push_back(is_up && id ? daemon_.processes().figure_places(*id) : FigurePlaces{});
  }
  if (!is_any_up) return then(std::move(work->services));
  if (!figures_) figures_ = std::make_unique<Figures>();
  asio::post(figures_->pool, [work, then = std::move(then), loop = &loop_]() mutable {
    for (std::size_t i = 0; i < work->places.size(); ++i)
      add_figures(work->services[i], read_figures(work->places[i]));
    asio::post(*loop, [work, then = std::move(then)] { then(std::move(work->services)); });
  });
}

void Requests::logs(const Request& request, const std::shared_ptr<Reply>& reply) {
  if (request.services.empty()) {
    return reply->error(Error{"logs needs at least one service", ErrorCode::invalid});
  }
  for (const std::string& name : request.services) {
    if (!daemon_.reconciler().service(name)) return reply->error(no_service(name));
  }
  logs_.serve(request, reply);
}

void Requests::history(const Request& request, const std::shared_ptr<Reply>& reply) {
  const std::vector<HistoryEntry>& entries = daemon_.reconciler().durable().history;
  Json list = Json::array();
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (request.args.lines && list.size() >= *request.args.lines) break;
    list.push_back(history_entry_json(*entry));
  }
  reply->success({{"history", std::move(list)}});
}

void Requests::events(const Request& request, const std::shared_ptr<Reply>& reply) {
  std::string service = request.services.empty() ? "" : request.services.front();
  std::size_t count = request.args.lines.value_or(request.args.follow ? 0 : default_event_lines);
  std::vector<LoggedEvent> last = daemon_.events().last(count, service);
  if (!request.args.follow) {
    Json list = Json::array();
    for (const LoggedEvent& event : last)
      list.push_back(event_json(event));
    return reply->success({{"events", std::move(list)}});
  }
  for (const LoggedEvent& event : last)
    reply->stream(event_json(event));
  std::uint64_t follower = daemon_.events().follow([service, reply](const LoggedEvent& event) {
    if (service.empty() || event.event.service == service) reply->stream(event_json(event));
  });
  // Not at once: the connection may end while an event is being handed out.
  reply->on_closed(
      [this, follower] { asio::post(loop_, [this, follower] { daemon_.events().unfollow(follower); }); });
}

void Requests::version(const std::shared_ptr<Reply>& reply) {
  reply->success({{"version", program_version}, {"features", Json::array()}, {"libraries", Json::object()}});
}

// --- services ---

void Requests::change_service(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply) {
  if (request.services.size() != 1) {
    return reply->error(
        Error{std::string(to_string(request.command)) + " needs one service", ErrorCode::invalid});
  }
  ServiceVerb verb = request.command == RequestCommand::start     ? ServiceVerb::start
                     : request.command == RequestCommand::stop    ? ServiceVerb::stop
                     : request.command == RequestCommand::restart ? ServiceVerb::restart
                                                                  : ServiceVerb::reload;
  std::string name = request.services.front();
  RequestId id = daemon_.expect([this, name, reply](const Answer& answer) {
    if (answer.error) return reply->error(*answer.error);
    std::optional<ServiceView> view = daemon_.reconciler().service(name);
    reply->success({{"service", name},
                    {"state", view ? to_string(view->state) : "stopped"},
                    {"pid", answer.pid != 0 ? Json(answer.pid) : Json(nullptr)},
                    {"message", answer.message}});
  });
  daemon_.post(ServiceRequested{.request = id, .verb = verb, .service = name, .by = who(peer)});
}

// --- commits ---

Json Requests::rollout_json(const std::string& message) {
  NodeView node = daemon_.reconciler().node();
  return {{"commit", commit_json(node.desired_commit)},
          {"sync", to_string(node.sync)},
          {"pinned", pin_json(node.pin)},
          {"message", message}};
}

template <typename Value>
void Requests::ask_git(const std::shared_ptr<Reply>& reply,
                       std::function<Result<Value>(Repository&)> question, std::function<void(Value)> then) {
  bool is_queued =
      daemon_.git().ask([loop = &loop_, reply, question = std::move(question), then = std::move(then)](
                            Repository* repository, const std::string& problem) {
        Result<Value> answer = repository != nullptr ? question(*repository) : fail(problem);
        asio::post(*loop, [answer = std::move(answer), reply, then]() mutable {
          answer ? then(*std::move(answer)) : reply->error(answer.error());
        });
      });
  if (!is_queued) reply->error(Error{"too much is asked of the repository at once", ErrorCode::busy});
}

void Requests::resolve(const std::string& revision, const std::shared_ptr<Reply>& reply,
                       std::function<void(ObjectId)> then) {
  ask_git<ObjectId>(
      reply,
      [revision, branch = daemon_.reconciler().node().branch](Repository& repository) {
        return repository.resolve(revision, branch);
      },
      std::move(then));
}

RequestId Requests::expect_rollout(const std::shared_ptr<Reply>& reply) {
  return daemon_.expect([this, reply](const Answer& answer) {
    answer.error ? reply->error(*answer.error) : reply->success(rollout_json(answer.message));
  });
}

void Requests::sync(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply) {
  // The branch is read anew first, so that the tip that is waited for is the one of now.
  daemon_.git().refresh([this, by = who(peer), args = request.args, reply] {
    RequestId id = expect_rollout(reply);
    daemon_.post(SyncRequested{.request = id, .waits = args.wait, .retries = args.retry, .by = by});
  });
}

void Requests::rollback(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply) {
  auto proceed = [this, by = who(peer), args = request.args, reply](std::optional<ObjectId> commit) {
    RequestId id = expect_rollout(reply);
    daemon_.post(RollbackRequested{.request = id,
                                   .commit = commit,
                                   .by = by,
                                   .reason = args.reason.value_or(""),
                                   .until = args.until,
                                   .waits = args.wait});
  };
  request.args.commit ? resolve(*request.args.commit, reply, proceed) : proceed(std::nullopt);
}

void Requests::approve(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply) {
  auto proceed = [this, by = who(peer), wait = request.args.wait, reply](std::optional<ObjectId> commit) {
    // What is approved is the tip of now, or it is not what is held any more.
    daemon_.git().refresh([this, by, wait, reply, commit] {
      RequestId id = expect_rollout(reply);
      daemon_.post(ApproveRequested{.request = id, .commit = commit, .by = by, .waits = wait});
    });
  };
  request.args.commit ? resolve(*request.args.commit, reply, proceed) : proceed(std::nullopt);
}

void Requests::accept(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply) {
  if (!request.args.commit) return reply->error(Error{"accept needs a commit", ErrorCode::invalid});
  resolve(*request.args.commit, reply,
          [this, by = who(peer), waits = request.args.wait, reply](ObjectId commit) {
            RequestId id = expect_rollout(reply);
            daemon_.post(AcceptRequested{.request = id, .commit = commit, .by = by, .waits = waits});
          });
}

void Requests::import_bundle(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply) {
  if (!request.args.file || !request.args.file->starts_with('/'))
    return reply->error(Error{"import needs the absolute path of a bundle", ErrorCode::invalid});
  Result<UniqueFd> bundle = open_as(peer.uid, *request.args.file);
  if (!bundle) return reply->error(bundle.error());
  daemon_.fetcher().import(*std::move(bundle), [this, reply](Result<OfferedRefs> imported) {
    if (!imported) return reply->error(imported.error());
    daemon_.post(BundleImported{});
    RequestId id = daemon_.expect([this, reply, refs = std::move(imported->refs)](const Answer& answer) {
      if (answer.error) return reply->error(*answer.error);
      Json branches = Json::object();
      for (const NamedRef& ref : refs)
        branches[ref.name] = ref.id.hex();
      reply->success(
          {{"imported", branches}, {"commit", commit_json(daemon_.reconciler().node().branch_commit)}});
    });
    daemon_.post(RequestNoticed{id});
  });
}

void Requests::switch_branch(const Request& request, const std::shared_ptr<Reply>& reply) {
  std::optional<std::string> branch = request.args.branch;
  std::optional<WallTime> until = request.args.until;
  auto proceed = [this, branch, until, reply](std::optional<ObjectId>) {
    daemon_.git().follow(branch, [this, branch, until, reply] {
      // The worker has told of the new tip before this; the decision is made durable with the next turn.
      daemon_.post(BranchSwitched{.branch = branch.value_or(""), .is_configured = !branch, .until = until});
      RequestId id = daemon_.expect([this, branch, reply](const Answer&) {
        NodeView node = daemon_.reconciler().node();
        reply->success(
            {{"branch", node.branch}, {"commit", commit_json(node.branch_commit)}, {"configured", !branch}});
      });
      daemon_.post(RequestNoticed{id});
    });
  };
  if (!branch) return proceed(std::nullopt);
  ask_git<std::optional<ObjectId>>(
      reply,
      [name = *branch](Repository& repository) -> Result<std::optional<ObjectId>> {
        Result<std::optional<ObjectId>> tip = repository.tip(name);
        if (tip && !*tip) tip = repository.ref("refs/remotes/origin/" + name);
        if (tip && !*tip) return fail("no branch '" + name + "'", ErrorCode::not_found);
        return tip;
      },
      proceed);
}

void Requests::plan(const Request& request, const std::shared_ptr<Reply>& reply) {
  NodeView node = daemon_.reconciler().node();
  NodeIdentity identity = daemon_.node();
  if (request.args.node) identity = {.name = *request.args.node, .labels = {}};
  if (!request.args.labels.empty()) identity.labels = request.args.labels;
  PlanQuestion question{.catalog = {.node = std::move(identity),
                                    .specifiers = daemon_.machine().specifiers,
                                    .skips_invalid = false},
                        .from = node.applied_commit,
                        .to = {},
                        .prune_guard = daemon_.configuration().prune_guard,
                        .denials = {},
                        .signatures = daemon_.configuration().signatures,
                        .verified = daemon_.reconciler().durable().verified,
                        .applied = node.applied_commit};
  // What failed on this node says nothing about another one.
  if (!request.args.node) question.denials = daemon_.reconciler().durable().denials;
  std::string branch = node.branch;
  std::string to = request.args.commit.value_or("HEAD");
  std::optional<std::string> from = request.args.from;

  ask_git<Json>(
      reply,
      [question, branch, to, from](Repository& repository) mutable -> Result<Json> {
        Result<ObjectId> target = repository.resolve(to, branch);
        if (!target) return std::unexpected(target.error());
        question.to = *target;
        if (from) {
          Result<ObjectId> base = repository.resolve(*from, branch);
          if (!base) return std::unexpected(base.error());
          question.from = *base;
        }
        Result<PlanAnswer> answer = make_plan(repository, question);
        if (!answer) return std::unexpected(answer.error());
        return plan_json(question, *answer);
      },
      [reply](const Json& data) { reply->success(data); });
}

// --- why ---

void Requests::why(const Request& request, const std::shared_ptr<Reply>& reply) {
  if (request.services.size() != 1) return reply->error(Error{"why needs one service", ErrorCode::invalid});
  std::string name = request.services.front();
  std::optional<ServiceView> view = daemon_.reconciler().service(name);
  if (!view) return reply->error(no_service(name));

  Json causes = Json::array();
  const DurableState& durable = daemon_.reconciler().durable();
  if (auto hold = durable.holds.find(name); hold != durable.holds.end()) {
    causes.push_back({{"kind", "hold"},
                      {"message", "stopped by " + hold->second.by + ", until gitproc start " + name},
                      {"at", to_rfc3339(hold->second.at)}});
  }
  if (view->state == ServiceState::waiting)
    causes.push_back({{"kind", "dependency"}, {"message", view->reason}});
  if (view->health == HealthState::unhealthy)
    causes.push_back({{"kind", "health"}, {"message", "its health check fails"}});
  if (view->exit)
    causes.push_back({{"kind", "exit"}, {"message", "its main process " + to_string(*view->exit)}});
  std::vector<LoggedEvent> last = daemon_.events().last(why_events, name);
  for (auto event = last.rbegin(); event != last.rend(); ++event) {
    std::string change =
        event->event.kind == "state" ? event->event.from + " -> " + event->event.to : event->event.kind;
    if (!event->event.reason.empty()) change += ": " + event->event.reason;
    causes.push_back({{"kind", event->event.kind == "state" ? "start" : event->event.kind},
                      {"message", change},
                      {"at", to_rfc3339(event->at)}});
  }

  Json data = {
      {"service", name}, {"state", to_string(view->state)}, {"reason", view->reason}, {"causes", causes}};
  std::optional<ObjectId> applied = daemon_.reconciler().node().desired_commit;
  if (!view->unit || !applied) return reply->success(data);
  std::vector<std::string> paths;
  for (const UnitSource& source : view->unit->sources)
    paths.push_back(source.path);
  ask_git<Json>(
      reply,
      [paths, applied, file = view->file](Repository& repository) -> Result<Json> {
        auto commits = repository.path_history(paths, *applied, 1);
        if (!commits) return std::unexpected(commits.error());
        if (commits->empty()) return Json::array();
        const CommitInfo& commit = commits->front();
        Json cause = {{"kind", "commit"},
                      {"message", commit.subject},
                      {"at", to_rfc3339(commit.at)},
                      {"commit", commit.id.hex()},
                      {"subject", commit.subject},
                      {"author", commit.author},
                      {"file", file}};
        auto change = repository.first_change(paths, commit.id);
        if (!change) return std::unexpected(change.error());
        if (*change) {
          cause["file"] = (*change)->path;
          cause["line"] = (*change)->line;
          cause["text"] = (*change)->text;
        }
        return Json::array({cause});
      },
      [reply, data](const Json& commits) mutable {
        for (const Json& commit : commits)
          data["causes"].push_back(commit);
        reply->success(data);
      });
}

// --- the agent itself ---

Result<Json> Requests::reload_configuration() {
  Result<Configuration> read = read_configuration_();
  if (!read) return std::unexpected(read.error());
  Json changed = Json::array(), needs_restart = Json::array();
  for (const std::string& key : changed_keys(daemon_.configuration(), *read)) {
    (is_reloadable(key) ? changed : needs_restart).push_back(key);
  }
  daemon_.take_over(*read);
  spdlog::info("configuration read again: {} taken over, {} need a restart of the agent", changed.dump(),
               needs_restart.dump());
  return Json{{"changed", changed}, {"needs_restart", needs_restart}};
}

}  // namespace gitproc
