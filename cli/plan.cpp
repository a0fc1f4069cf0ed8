// gitproc plan: what applying a commit would do. The agent is asked where there is one, since it knows its node
// and what is applied; else, and for --repo, it is worked out here.
#include "reconcile/plan/plan.h"

#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/offline.h"
#include "cli/text.h"
#include "drivers/git/commit_loader.h"
#include "reconcile/plan/guard.h"

namespace gitproc {
namespace {

// Another exit code than usage, and than an error: scripts tell "changes" from "cannot tell" by it.
constexpr ExitCode has_changes = static_cast<ExitCode>(2);

struct Options {
  std::string repo;
  std::optional<std::string> revision;
  std::optional<std::string> from;
  NodeOptions node;
};

// Why a commit has no plan: its first mistake, and how many more there are.
Error error_of(const CatalogFailure& failure, const ObjectId& commit) {
  if (failure.unreadable) return *failure.unreadable;
  std::string message = "commit " + commit.abbreviated() + " cannot be applied";
  if (!failure.errors.empty()) message += ": " + to_string(failure.errors.front());
  if (failure.errors.size() > 1) message += " (and " + counted(failure.errors.size() - 1, "more error") + ")";
  return {message};
}

Result<Json> plan_offline(const Options& options) {
  Result<Repository> repository = open_repository(options.repo);
  if (!repository) return std::unexpected(repository.error());
  Result<std::string> branch = repository->head_branch();
  if (!branch) return std::unexpected(branch.error());
  Result<ObjectId> to = repository->resolve(options.revision.value_or("HEAD"), *branch);
  if (!to) return std::unexpected(to.error());
  std::optional<ObjectId> from;
  if (options.from) {
    Result<ObjectId> resolved = repository->resolve(*options.from, *branch);
    if (!resolved) return std::unexpected(resolved.error());
    from = *resolved;
  }

  NodeIdentity node{.name = options.node.name.empty() ? host_name() : options.node.name,
                    .labels = options.node.labels};
  auto after_it = load_snapshot(*repository, *to, catalog_options(node));
  if (!after_it) return std::unexpected(error_of(after_it.error(), *to));
  UnitMap before_it;
  if (from) {
    auto loaded = load_snapshot(*repository, *from, catalog_options(node));
    if (!loaded) return std::unexpected(error_of(loaded.error(), *from));
    before_it = std::move(loaded->units);
  }
  Json guard = nullptr;
  if (auto held = prune_guard(before_it, after_it->units))
    guard = {{"kind", prune_guard_kind}, {"message", *held}};
  Json actions = Json::array();
  for (const Action& action : make_plan(before_it, after_it->units).actions) {
    actions.push_back(
        {{"verb", to_string(action.verb)}, {"service", action.unit}, {"reason", action.reason}});
  }
  return Json{{"from", from ? Json(from->hex()) : Json(nullptr)},
              {"to", to->hex()},
              {"node", node.name},
              {"actions", actions},
              {"guard", guard},
              {"warnings", diagnostics_json(after_it->warnings)}};
}

Result<Json> make(const Session& session, const Options& options) {
  if (options.repo.empty()) {
    RequestArguments args{.commit = options.revision, .from = options.from, .labels = options.node.labels};
    if (!options.node.name.empty()) args.node = options.node.name;
    // Both commits are read: more than a plain question, in a large repository.
    constexpr std::chrono::milliseconds patience = std::chrono::minutes(2);
    Result<Json> answer = session.ask({.command = RequestCommand::plan, .args = args}, patience);
    if (answer || answer.error().code != ErrorCode::unavailable) return answer;
  }
  return plan_offline(options);
}

Style style_of(const std::string& verb) {
  if (verb == "stop") return Style::red;
  if (verb == "start") return Style::green;
  return verb == "restart" ? Style::yellow : Style::plain;
}

void print(const Json& plan, Session& session) {
  Output& out = session.out;
  std::string from = text_of(plan, "from");
  out.line(for_terminal((from.empty() ? "nothing" : short_commit(from)) + " -> " +
                        short_commit(text_of(plan, "to")) + " on " + text_of(plan, "node")));
  std::vector<Json> actions = items_of(plan, "actions");
  std::size_t width = 0;
  for (const Json& action : actions)
    width = std::max(width, width_of(text_of(action, "service")));
  for (const Json& action : actions) {
    std::string verb = text_of(action, "verb");
    out.line("  " + out.paint(padded(for_terminal(verb), 8), style_of(verb)) +
             padded(for_terminal(text_of(action, "service")), width) + "  " +
             for_terminal(text_of(action, "reason")));
  }
  if (std::string guard = text_of(field(plan, "guard"), "message"); !guard.empty()) {
    out.line(out.paint("held: " + for_terminal(guard), Style::yellow));
  }
  out.line(actions.empty() ? "no changes" : counted(actions.size(), "change"));
}

ExitCode run(Session& session, const Options& options) {
  Result<Json> plan = make(session, options);
  if (!plan) {
    session.report(plan.error());
    return ExitCode::failed;
  }
  if (session.prints_json) {
    session.print_json(*plan);
  } else {
    print(*plan, session);
  }
  return items_of(*plan, "actions").empty() ? ExitCode::done : has_changes;
}

}  // namespace

void add_plan(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("plan", "Show what applying a commit would do; exit code 2: there are changes");
  command->add_option("revision", options->revision, "Default: the tip of the branch")->type_name("REVISION");
  command
      ->add_option("--from", options->from, "What to compare with (default: the applied commit, or nothing)")
      ->type_name("REVISION");
  command->add_option("--repo", options->repo, "Work it out here, from this repository")->type_name("DIR");
  add_node_options(*command, options->node);
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, options] { session.exit_code = run(session, *options); });
}

}  // namespace gitproc
