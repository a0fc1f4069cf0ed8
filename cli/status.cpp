// gitproc status: the node, or one service of it.
#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/human_time.h"
#include "cli/service_text.h"
#include "cli/text.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::size_t shown_diagnostics = 20;
constexpr unsigned shown_log_lines = 10;

// `0123456789ab "Add web"`; "" where there is no such commit.
std::string commit_text(const Json& status, const std::string& hash) {
  if (hash.empty()) return "";
  std::string subject = text_of(field(status, "subjects"), hash.c_str());
  std::string text = for_terminal(short_commit(hash));
  return subject.empty() ? text : text + " \"" + for_terminal(subject) + "\"";
}

std::string pin_text(const Json& status, const Session& session) {
  const Json& pin = field(status, "pinned");
  if (!pin.is_object()) return "";
  std::string text = commit_text(status, text_of(pin, "commit"));
  if (auto at = time_of(pin, "at")) text += ", " + session.shown_time(*at);
  if (std::string by = text_of(pin, "by"); !by.empty()) text += " by " + for_terminal(by);
  if (auto until = time_of(pin, "until")) text += ", until " + human_time(*until);
  if (std::string reason = text_of(pin, "reason"); !reason.empty()) text += ": " + for_terminal(reason);
  return text;
}

std::string branch_text(const Json& status) {
  std::string text = for_terminal(text_of(status, "branch"));
  std::string tip = commit_text(status, text_of(status, "branch_commit"));
  text += tip.empty() ? " (no commit)" : " at " + tip;
  const Json& override_ = field(status, "branch_override");
  if (override_.is_object()) {
    text += ", switched to";
    if (auto until = time_of(override_, "until")) text += " until " + human_time(*until);
  }
  return text;
}

// "3 services: 1 running, 2 failed"
std::string services_text(const Json& status, const Output& out) {
  const Json& counts = field(status, "services");
  std::string text;
  for (const char* state : {"running", "failed", "completed", "waiting", "transient", "stopped"}) {
    auto count = integer_of(counts, state).value_or(0);
    if (count == 0) continue;
    std::string word = std::string(state) == "transient" ? "in transition" : state;
    Style style = std::string(state) == "failed" ? Style::red : Style::plain;
    text += (text.empty() ? "" : ", ") + out.paint(std::to_string(count) + " " + word, style);
  }
  auto total = static_cast<std::uint64_t>(integer_of(counts, "total").value_or(0));
  return text.empty() ? std::to_string(total) : text + " (" + std::to_string(total) + " in all)";
}

bool is_error(const Json& diagnostic) { return text_of(diagnostic, "severity") == "error"; }

std::string diagnostic_text(const Json& diagnostic, const std::string& severity) {
  std::string file = for_terminal(text_of(diagnostic, "file"));
  auto line = integer_of(diagnostic, "line").value_or(0);
  std::string place = line > 0 ? file + ":" + std::to_string(line) : file;
  return (place.empty() ? "" : place + ": ") + severity + ": " + for_terminal(text_of(diagnostic, "message"));
}

std::vector<std::string> bounded(std::vector<std::string> lines) {
  if (lines.size() <= shown_diagnostics) return lines;
  std::size_t more = lines.size() - shown_diagnostics;
  lines.resize(shown_diagnostics);
  lines.push_back("and " + std::to_string(more) + " more");
  return lines;
}

// The node's error, which for a rejected commit is its first mistake, and the other mistakes.
std::vector<std::string> error_lines(const Json& status, const Output& out) {
  std::string error = for_terminal(text_of(status, "error"));
  std::vector<std::string> lines;
  if (!error.empty()) lines.push_back(out.paint(error, Style::red));
  for (const Json& diagnostic : items_of(status, "warnings")) {
    if (!is_error(diagnostic)) continue;
    if (std::string text = diagnostic_text(diagnostic, "error"); text != error)
      lines.push_back(out.paint(text, Style::red));
  }
  return bounded(std::move(lines));
}

std::vector<std::string> warning_lines(const Json& status, const Output& out) {
  std::vector<std::string> lines;
  for (const Json& diagnostic : items_of(status, "warnings")) {
    if (!is_error(diagnostic))
      lines.push_back(diagnostic_text(diagnostic, out.paint("warning", Style::yellow)));
  }
  return bounded(std::move(lines));
}

std::vector<std::string> failed_lines(const Json& status, const Output& out) {
  std::vector<std::string> lines;
  for (const Json& service : items_of(status, "failed_services")) {
    std::string reason = for_terminal(text_of(service, "reason"));
    lines.push_back(for_terminal(text_of(service, "name")) + "  " +
                    out.paint(for_terminal(state_text(service)), style_of_service(service)) +
                    (reason.empty() ? "" : "  " + reason));
  }
  return lines;
}

std::vector<std::string> texts_of(const Json& object, const char* key) {
  std::vector<std::string> texts;
  for (const Json& text : items_of(object, key)) {
    if (text.is_string()) texts.push_back(for_terminal(text.get<std::string>()));
  }
  return texts;
}

std::string remote_text(const Json& status, const Session& session) {
  const Json& remote = field(status, "remote");
  if (!remote.is_object()) return "";
  std::string text = for_terminal(text_of(remote, "url"));
  auto success = time_of(remote, "last_success");
  text += success ? ", fetched " + session.shown_time(*success) : ", not fetched yet";
  // The first clone may take minutes; later fetches are seldom seen.
  std::string progress = text_of(remote, "progress");
  if (!progress.empty()) text += "; now " + for_terminal(progress);
  std::string error = text_of(remote, "error");
  return error.empty() ? text : text + "; " + session.out.paint(for_terminal(error), Style::red);
}

std::string agent_text(const Json& status, const Session& session) {
  const Json& agent = field(status, "agent");
  std::string text = "PID " + std::to_string(integer_of(agent, "pid").value_or(0));
  if (std::string version = text_of(agent, "version"); !version.empty())
    text += ", version " + for_terminal(version);
  if (auto since = time_of(agent, "since")) text += ", since " + session.shown_time(*since);
  if (auto bytes = integer_of(agent, "rss_bytes"))
    text += ", " + human_bytes(static_cast<std::uint64_t>(*bytes));
  return text;
}

std::string hold_text(const Json& status) {
  const Json& hold = field(status, "hold");
  if (!hold.is_object()) return "";
  std::string text = for_terminal(text_of(hold, "message"));
  std::string commit = commit_text(status, text_of(hold, "commit"));
  return commit.empty() ? text : commit + ": " + text;
}

// ", would restart web": what the tip would do, were the node not pinned.
std::string pending_text(const Json& status) {
  const Json& pending = field(status, "pending");
  if (!pending.is_object()) return "";
  std::string summary = text_of(pending, "summary"), error = text_of(pending, "error");
  std::string text = summary.empty() ? "" : ", " + for_terminal(summary);
  return error.empty() ? text : text + " (" + for_terminal(error) + ")";
}

void print_node(const Json& status, Session& session) {
  Output& out = session.out;
  std::string sync = text_of(status, "sync");
  out.line(out.paint("●", style_of_sync(sync)) + " " +
           out.paint(for_terminal(text_of(status, "node")), Style::bold) + ": " +
           out.paint(for_terminal(sync), style_of_sync(sync)));
  Fields fields;
  fields.add("Error", error_lines(status, out));
  fields.add("Hold", out.paint(hold_text(status), Style::yellow));
  fields.add("Branch", branch_text(status));
  fields.add("Pinned", pin_text(status, session));
  std::string desired = text_of(status, "desired_commit");
  std::string applied = text_of(status, "applied_commit");
  if (desired != applied) fields.add("Desired", commit_text(status, desired));
  fields.add("Applied", applied.empty() ? "nothing yet" : commit_text(status, applied));
  auto behind = integer_of(status, "behind").value_or(0);
  if (behind > 0)
    fields.add("Behind", counted(static_cast<std::uint64_t>(behind), "commit") + pending_text(status));
  fields.add("Services", services_text(status, out));
  fields.add("Failed", failed_lines(status, out));
  fields.add("Held", join(texts_of(status, "held_services"), ", "));
  fields.add("Warnings", warning_lines(status, out));
  fields.add("Unavailable", texts_of(status, "unavailable"));
  fields.add("Remote", remote_text(status, session));
  fields.add("Agent", agent_text(status, session));
  fields.print(out);
}

std::string since_text(const Json& service, const Session& session) {
  auto since = time_of(service, "since");
  if (!since) return "";
  std::string text = " since " + human_time(*since);
  return session.out.is_terminal() ? text + ", " + relative_time(*since, session.now) : text;
}

// "status 3", "SIGKILL"
std::string exit_text(const Json& service) {
  if (auto code = integer_of(service, "exit_code")) return "status " + std::to_string(*code);
  return for_terminal(text_of(service, "exit_signal"));
}

std::string use_text(const Json& service) {
  std::vector<std::string> parts;
  if (auto memory = integer_of(service, "memory_bytes"))
    parts.push_back(human_bytes(static_cast<std::uint64_t>(*memory)) + " memory");
  if (auto cpu = integer_of(service, "cpu_usec")) parts.push_back(human_duration(Duration(*cpu)) + " CPU");
  if (auto tasks = integer_of(service, "tasks"))
    parts.push_back(counted(static_cast<std::uint64_t>(*tasks), "task"));
  return join(parts, ", ");
}

// "failed  2026-11-22T23:02:10Z, 5s ago, took 3ms: HTTP 503", the newest first.
std::vector<std::string> probe_lines(const Json& service, const Session& session) {
  std::vector<Json> probes = items_of(service, "probes");
  std::vector<std::string> lines;
  for (auto probe = probes.rbegin(); probe != probes.rend(); ++probe) {
    bool is_healthy = flag_of(*probe, "healthy");
    std::string line =
        session.out.paint(is_healthy ? "passed" : "failed", is_healthy ? Style::plain : Style::red);
    if (auto at = time_of(*probe, "at")) line += "  " + session.shown_time(*at);
    const Json& duration = field(*probe, "duration");
    if (duration.is_number()) {
      auto took = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(duration.get<double>()));
      line += ", took " + human_duration(took);
    }
    std::string detail = text_of(*probe, "detail");
    lines.push_back(detail.empty() ? line : line + ": " + for_terminal(detail));
  }
  return lines;
}

std::string file_text(const Json& service) {
  std::string text = for_terminal(text_of(service, "file"));
  std::string commit = for_terminal(short_commit(text_of(service, "commit")));
  return commit.empty() ? text : text + " of " + commit;
}

void print_service(const Json& service, Session& session) {
  Output& out = session.out;
  Style style = style_of_service(service);
  std::string description = for_terminal(text_of(service, "description"));
  out.line(out.paint("●", style) + " " + out.paint(for_terminal(text_of(service, "name")), Style::bold) +
           (description.empty() ? "" : " - " + description));
  Fields fields;
  fields.add("State", out.paint(for_terminal(state_text(service)), style) + since_text(service, session));
  fields.add("Reason", for_terminal(text_of(service, "reason")));
  if (auto at = time_of(service, "next_restart")) fields.add("Next start", session.shown_time(*at));
  if (auto pid = integer_of(service, "pid")) fields.add("Main PID", std::to_string(*pid));
  fields.add("Last exit", exit_text(service));
  auto restarts = integer_of(service, "restarts").value_or(0);
  if (restarts > 0) fields.add("Restarts", std::to_string(restarts));
  std::string health = text_of(service, "health");
  if (health != "none") fields.add("Health", for_terminal(health));
  fields.add("Probes", probe_lines(service, session));
  fields.add("Desired", for_terminal(text_of(service, "desired")) +
                            (flag_of(service, "held") ? ", but stopped by an operator" : ""));
  fields.add("File", file_text(service));
  fields.add("Uses", use_text(service));
  fields.add("Log", for_terminal(text_of(service, "log")));
  fields.add("Cgroup", for_terminal(text_of(service, "cgroup")));
  fields.print(out);
}

// The end of its log. Those who may read the status only go without it.
void print_last_lines(Client& client, const std::string& service, Session& session) {
  Result<Json> answer = client.call(
      {.command = RequestCommand::logs, .services = {service}, .args = {.lines = shown_log_lines}});
  if (!answer) return;
  std::vector<Json> lines = items_of(*answer, "lines");
  if (!lines.empty()) session.out.line("");
  for (const Json& line : lines)
    session.out.line(for_terminal(text_of(line, "line")));
}

ExitCode run_node(Session& session) {
  Result<Json> status = session.ask({.command = RequestCommand::status});
  if (!status) return session.report_failure(status.error());
  if (session.prints_json) {
    session.print_json(*status);
  } else {
    print_node(*status, session);
  }
  return ExitCode::done;
}

ExitCode run_service(Session& session, const std::string& name) {
  Result<Client> client = session.connect();
  if (!client) return session.report(client.error());
  Result<Json> service = client->call({.command = RequestCommand::status, .services = {name}});
  if (!service) return session.report(service.error());
  if (session.prints_json) {
    session.print_json(*service);
  } else {
    print_service(*service, session);
    print_last_lines(*client, name, session);
  }
  return is_active(*service) ? ExitCode::done : ExitCode::not_active;
}

}  // namespace

void add_status(CLI::App& app, Session& session) {
  auto service = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("status", "Show the state of the node, or of one service");
  command->add_option("service", *service, "Exit code 0: it is active, 3: it is not, 4: there is none")
      ->type_name("SERVICE");
  add_agent_options(*command, session, PrintsData::yes);
  command->callback([&session, service] {
    session.exit_code = service->empty() ? run_node(session) : run_service(session, *service);
  });
}

}  // namespace gitproc
