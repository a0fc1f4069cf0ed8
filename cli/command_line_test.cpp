// Whole commands against an agent that says what the story wants.
#include "cli/command_line.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "agent/agent.h"
#include "drivers/base/temporary_directory.h"
#include "reconcile/base/civil.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

using Answers = std::function<std::string(const Request&)>;

// Answers each request on each connection until it goes; one thread, one connection at a time.
class FakeAgent {
 public:
  explicit FakeAgent(Answers answers) : answers_(std::move(answers)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 8) != 0) {
      std::abort();
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeAgent() {
    ::shutdown(listener_, SHUT_RDWR);  // ends accept(2)
    thread_.join();
    ::close(listener_);
  }
  FakeAgent(const FakeAgent&) = delete;
  FakeAgent& operator=(const FakeAgent&) = delete;

  std::string path() const { return directory_ / "s"; }

 private:
  void serve() {
    for (int fd = ::accept(listener_, nullptr, nullptr); fd >= 0;
         fd = ::accept(listener_, nullptr, nullptr)) {
      LineFramer framer;
      bool is_open = true;
      while (is_open) {
        char bytes[4096];
        ssize_t count = ::read(fd, bytes, sizeof bytes);
        if (count <= 0) break;
        framer.feed({bytes, static_cast<std::size_t>(count)});
        while (auto line = framer.next()) {
          auto request = parse_request(*line);
          std::string answer = request ? answers_(*request) : error_response({}, request.error().error);
          is_open = ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) > 0 &&
                    !(request && request->args.follow);
        }
      }
      ::close(fd);
    }
  }

  Answers answers_;
  TemporaryDirectory directory_;
  int listener_ = -1;
  std::thread thread_;
};

struct Outcome {
  int exit_code = 0;
  std::string out;
  std::string err;

  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& stream, const Outcome& outcome) {
  return stream << "exit code " << outcome.exit_code << "\n--- out\n"
                << outcome.out << "--- err\n"
                << outcome.err;
}

Outcome run(std::vector<std::string> arguments, const std::string& socket = "/nonexistent/s",
            bool is_terminal = false) {
  std::ostringstream out, err;
  Session session{.out = Output(out, is_terminal, false),
                  .err = Output(err, false, false),
                  .now = *parse_rfc3339("2026-11-22T12:00:00Z"),
                  .run_agent = [](const AgentArguments&) { return 0; }};
  session.socket = socket;
  int exit_code = run_command_line(arguments, session);
  return {exit_code, out.str(), err.str()};
}

Json service(const std::string& name, const std::string& state) {
  return {{"name", name},
          {"state", state},
          {"result", state == "failed" ? "exit-code" : "success"},
          {"pid", nullptr},
          {"restarts", 0},
          {"health", "none"},
          {"description", "A " + name},
          {"since", "2026-11-22T11:57:00Z"},
          {"reason", "it " + state}};
}

Answers always(const Json& data) {
  return [data](const Request& request) { return success_response(request.id, data); };
}

}  // namespace

TEST_CASE("mistakes of usage end with 2 and a hint") {
  CHECK(run({"stauts"}) ==
        Outcome{2, "", "gitproc: unknown command 'stauts'; did you mean 'status'?\nTry 'gitproc --help'.\n"});
  CHECK(run({"stauts", "--help"}) == run({"stauts"}));
  CHECK(run({"stauts", "web"}) == run({"stauts"}));
  CHECK(run({"--socket", "/none"}).err.find("unknown command") == std::string::npos);
  CHECK(run({"start"}).exit_code == 2);
  CHECK(run({"start"}).err.ends_with("Try 'gitproc start --help'.\n"));
  CHECK(run({"logs", "web", "-n", "-1"}).exit_code == 2);
  CHECK(run({"logs", "web", "-n", "many"}).exit_code == 2);
  CHECK(run({"rollback", "--until", "yesterday"}).exit_code == 2);
  CHECK(run({"rollback", "--until", "2020-01-01"}).exit_code == 2);
  CHECK(run({"list", "--colour"}).exit_code == 2);
  CHECK(run({"completion", "tcsh"}).exit_code == 2);
  CHECK(run({}).exit_code == 2);
}

TEST_CASE("help is no mistake, for each command") {
  Outcome whole = run({"--help"});
  CHECK(run({"--socket", "/none", "--help"}) == whole);
  CHECK(whole.exit_code == 0);
  for (const char* command :
       {"agent",   "status", "list",     "start",   "stop",       "restart",      "reload",
        "logs",    "sync",   "rollback", "init",    "switch",     "plan",         "why",
        "history", "events", "verify",   "version", "completion", "agent-reload", "approve"}) {
    INFO(command);
    CHECK(whole.out.find(std::string("  ") + command) != std::string::npos);
    Outcome help = run({command, "--help"});
    CHECK(help.exit_code == 0);
    CHECK(help.out.find("Usage: gitproc " + std::string(command)) != std::string::npos);
  }
}

TEST_CASE("an agent that cannot be reached is 5") {
  CHECK(run({"list"}) ==
        Outcome{5, "",
                "gitproc: cannot reach the agent at '/nonexistent/s': no such socket; is it running?\n"});
}

TEST_CASE("the agent's refusals have their exit codes") {
  auto refuse = [](Error error) {
    return [error](const Request& request) { return error_response(request.id, error); };
  };
  FakeAgent denying(refuse({"not for you", ErrorCode::denied}));
  CHECK(run({"start", "web"}, denying.path()) == Outcome{6, "", "gitproc: not for you\n"});
  CHECK(run({"list"}, denying.path()).exit_code == 6);
  FakeAgent missing(refuse({"no such thing", ErrorCode::not_found}));
  CHECK(run({"status", "web"}, missing.path()).exit_code == 4);
  CHECK(run({"stop", "web"}, missing.path()).exit_code == 4);
  CHECK(run({"logs", "web"}, missing.path()).exit_code == 4);
  CHECK(run({"rollback", "v9"}, missing.path()).exit_code == 1);
  CHECK(run({"switch", "nowhere"}, missing.path()).exit_code == 1);
  FakeAgent failing(refuse({"its executable is missing", ErrorCode::failed}));
  CHECK(run({"start", "web"}, failing.path()).exit_code == 1);
  CHECK(run({"sync"}, failing.path()).exit_code == 1);
}

TEST_CASE("status of a service tells by its exit code whether it is active") {
  for (const auto& [state, exit_code] : std::map<std::string, int>{{"running", 0},
                                                                   {"reloading", 0},
                                                                   {"completed", 0},
                                                                   {"failed", 3},
                                                                   {"stopped", 3},
                                                                   {"starting", 3},
                                                                   {"backoff", 3}}) {
    INFO(state);
    FakeAgent agent(always(service("web", state)));
    CHECK(run({"status", "web"}, agent.path()).exit_code == exit_code);
    CHECK(run({"status", "web", "--json"}, agent.path()) ==
          Outcome{exit_code, dump_json(service("web", state)) + "\n", ""});
  }
}

TEST_CASE("list is a table on a terminal and fields elsewhere") {
  FakeAgent agent(always({{"services", {service("db", "failed"), service("web", "running")}}}));
  CHECK(run({"list"}, agent.path(), true).out ==
        "NAME  STATE               PID  SINCE     RESTARTS  DESCRIPTION\n"
        "db    failed (exit-code)  -    3min ago  0         it failed\n"
        "web   running             -    3min ago  0         A web\n");
  CHECK(run({"list"}, agent.path()).out ==
        "db\tfailed (exit-code)\t-\t2026-11-22T11:57:00Z\t0\tit failed\n"
        "web\trunning\t-\t2026-11-22T11:57:00Z\t0\tA web\n");
  CHECK(run({"list", "--names"}, agent.path()).out == "db\nweb\n");
}

TEST_CASE("status of the node names what an operator must know") {
  Json status = {
      {"node", "n1"},
      {"branch", "main"},
      {"branch_commit", std::string(40, 'b')},
      {"desired_commit", std::string(40, 'a')},
      {"applied_commit", std::string(40, 'a')},
      {"subjects", {{std::string(40, 'a'), "Add \033web"}}},
      {"pinned",
       {{"commit", std::string(40, 'a')},
        {"by", "uid 0"},
        {"at", "2026-11-22T11:00:00Z"},
        {"reason", "too hot"}}},
      {"behind", 3},
      {"sync", "rejected"},
      {"error", "web.service:4: error: bad value"},
      {"warnings",
       {{{"file", "web.service"}, {"line", 4}, {"severity", "error"}, {"message", "bad value"}},
        {{"file", "web.service"}, {"line", 7}, {"severity", "error"}, {"message", "worse"}},
        {{"file", "db.service"}, {"line", 2}, {"severity", "warning"}, {"message", "unknown"}}}},
      {"services", {{"total", 2}, {"running", 1}, {"failed", 1}}},
      {"failed_services", {service("db", "failed")}},
      {"agent",
       {{"pid", 7}, {"version", "0.1.0"}, {"since", "2026-11-22T10:00:00Z"}, {"rss_bytes", 5 << 20}}}};
  FakeAgent agent(always(status));
  CHECK(run({"status"}, agent.path(), true) ==
        Outcome{0,
                "● n1: rejected\n"
                "     Error: web.service:4: error: bad value\n"
                "            web.service:7: error: worse\n"
                "    Branch: main at bbbbbbbbbbbb\n"
                "    Pinned: aaaaaaaaaaaa \"Add \\x1bweb\", 1h ago by uid 0: too hot\n"
                "   Applied: aaaaaaaaaaaa \"Add \\x1bweb\"\n"
                "    Behind: 3 commits\n"
                "  Services: 1 running, 1 failed (2 in all)\n"
                "    Failed: db  failed (exit-code)  it failed\n"
                "  Warnings: db.service:2: warning: unknown\n"
                "     Agent: PID 7, version 0.1.0, since 2h ago, 5.0M\n",
                ""});
}

TEST_CASE("what a node does without is told a line each") {
  Json status = {{"node", "n1"}, {"unavailable", {"no cgroup: permission denied", "User=, Group="}}};
  FakeAgent agent(always(status));
  std::string out = run({"status"}, agent.path(), true).out;
  CHECK(out.find("  Unavailable: no cgroup: permission denied\n               User=, Group=\n") != out.npos);
}

TEST_CASE("an answer of unexpected types is shown as far as it goes") {
  FakeAgent agent(always(
      {{"node", 1}, {"services", "many"}, {"warnings", {1, "x"}}, {"pinned", {}}, {"agent", nullptr}}));
  CHECK(run({"status"}, agent.path()).exit_code == 0);
  CHECK(run({"list"}, agent.path()).exit_code == 0);
  CHECK(run({"history"}, agent.path()).exit_code == 0);
}

TEST_CASE("start prints the process, and one that fails does not hide the others") {
  FakeAgent agent([](const Request& request) {
    if (request.services.front() == "bad")
      return error_response(request.id, {"cannot start bad", ErrorCode::failed});
    return success_response(
        request.id,
        {{"service", request.services.front()}, {"state", "running"}, {"message", "running"}, {"pid", 42}});
  });
  CHECK(run({"start", "bad", "web.service"}, agent.path()) ==
        Outcome{1, "web: running, PID 42\n", "gitproc: cannot start bad\n"});
  CHECK(Json::parse(run({"start", "web", "--json"}, agent.path()).out) ==
        Json{{"service", "web"}, {"state", "running"}, {"message", "running"}, {"pid", 42}});
  CHECK(Json::parse(run({"start", "a", "b", "--json"}, agent.path()).out).size() == 2);
}

TEST_CASE("logs of several services are headed blocks, followed, each line is prefixed") {
  FakeAgent agent([](const Request& request) {
    if (!request.args.follow) {
      return success_response(
          {}, {{"lines", {{{"service", "a"}, {"line", "one"}}, {{"service", "web"}, {"line", "t\033wo"}}}}});
    }
    return success_response({}, {{"service", "a"}, {"line", "half"}, {"partial", true}}) +
           success_response({}, {{"service", "a"}, {"line", " whole"}}) +
           success_response({}, {{"service", "web"}, {"line", "two"}});
  });
  CHECK(run({"logs", "a"}, agent.path()).out == "one\n");
  CHECK(run({"logs", "a", "web.service"}, agent.path(), true).out ==
        "==> a <==\none\n\n==> web <==\nt\\x1bwo\n");
  CHECK(run({"logs", "-f", "a", "web"}, agent.path()) ==
        Outcome{5, "a   | half whole\nweb | two\n", "gitproc: the agent closed the connection\n"});
}

TEST_CASE("sync and rollback ask for what was said, and a bad end is a failure") {
  Request asked;
  FakeAgent agent([&](const Request& request) {
    asked = request;
    return success_response(
        {}, {{"commit", std::string(40, 'c')}, {"sync", "degraded"}, {"message", "db failed"}});
  });
  CHECK(run({"sync", "--no-wait", "--retry"}, agent.path()) ==
        Outcome{0, "degraded at cccccccccccc: db failed\n", ""});
  CHECK(asked == Request{.command = RequestCommand::sync, .args = {.wait = false, .retry = true}});
  CHECK(run({"rollback", "HEAD~1", "--reason", "hot", "--until", "2h"}, agent.path()).exit_code == 1);
  CHECK(
      asked ==
      Request{.command = RequestCommand::rollback,
              .args = {.commit = "HEAD~1", .reason = "hot", .until = parse_rfc3339("2026-11-22T14:00:00Z")}});
}

TEST_CASE("approve asks for the commit that is meant, and fails when nothing is held") {
  Request asked;
  FakeAgent agent([&](const Request& request) {
    asked = request;
    if (!request.args.commit) return error_response({}, {"nothing is held"});
    return success_response({}, {{"commit", std::string(40, 'c')}, {"sync", "synced"}, {"message", ""}});
  });
  CHECK(run({"approve", "cccc"}, agent.path()) == Outcome{0, "synced at cccccccccccc\n", ""});
  CHECK(asked == Request{.command = RequestCommand::approve, .args = {.commit = "cccc"}});
  CHECK(run({"approve", "--no-wait"}, agent.path()) == Outcome{1, "", "gitproc: nothing is held\n"});
  CHECK(asked == Request{.command = RequestCommand::approve, .args = {.wait = false}});
}

TEST_CASE("a plan without changes is 0, with changes 2, with an error 1") {
  Json actions = Json::array();
  FakeAgent agent([&](const Request& request) {
    if (request.args.commit) return error_response({}, {"unknown revision", ErrorCode::not_found});
    return success_response(
        {}, {{"from", nullptr}, {"to", std::string(40, 'd')}, {"node", "n1"}, {"actions", actions}});
  });
  CHECK(run({"plan"}, agent.path()) == Outcome{0, "nothing -> dddddddddddd on n1\nno changes\n", ""});
  actions = {{{"verb", "restart"}, {"service", "web"}, {"reason", "ExecStart changed"}},
             {{"verb", "start"}, {"service", "a"}, {"reason", "new"}}};
  CHECK(
      run({"plan"}, agent.path()) ==
      Outcome{
          2,
          "nothing -> dddddddddddd on n1\n  restart web  ExecStart changed\n  start   a    new\n2 changes\n",
          ""});
  CHECK(run({"plan", "v9"}, agent.path()).exit_code == 1);
}

TEST_CASE("the agent is run with its arguments, the socket also from the environment's option") {
  std::optional<AgentArguments> given;
  std::ostringstream out;
  Session session{.out = Output(out, false, false),
                  .err = Output(out, false, false),
                  .now = {},
                  .run_agent = [&](const AgentArguments& arguments) {
                    given = arguments;
                    return 1;
                  }};
  int exit_code = run_command_line({"agent", "--repo", "/r", "--label", "a=b", "--label", "c=d", "--set",
                                    "http.listen=x", "--socket", "/s"},
                                   session);
  CHECK(exit_code == 1);
  CHECK(given ==
        AgentArguments{.repo = "/r", .socket = "/s", .labels = {"a=b", "c=d"}, .sets = {"http.listen=x"}});
}

TEST_CASE("the completion scripts know every command and are valid for the shells that are here") {
  for (std::string shell : {"bash", "zsh", "fish"}) {
    Outcome script = run({"completion", shell});
    CHECK(script.exit_code == 0);
    for (const char* word : {"agent-reload", "--follow", "gitproc list --names"}) {
      if (shell == "fish" && std::string_view(word) == "--follow") word = "-l follow";
      CHECK(script.out.find(word) != std::string::npos);
    }
    if (std::system(("command -v " + shell + " >/dev/null").c_str()) != 0) continue;
    TemporaryDirectory directory;
    std::ofstream(directory / "script") << script.out;
    CHECK(std::system((shell + " -n " + (directory / "script")).c_str()) == 0);
  }
}

TEST_CASE("bash completes commands, options and service names") {
  if (std::system("command -v bash >/dev/null") != 0) GITPROC_SKIP("there is no bash");
  TemporaryDirectory directory;
  std::ofstream(directory / "script")
      << run({"completion", "bash"}).out
      << "gitproc() { [[ \"$*\" == 'list --names' ]] && printf 'db\\nweb\\n'; }\n"
         "try() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _gitproc; echo \"${COMPREPLY[*]}\"; }\n"
         "try gitproc sta\ntry gitproc start w\ntry gitproc --socket status list --na\ntry gitproc "
         "completion f\n";
  CHECK(std::system(("bash " + (directory / "script") + " >" + (directory / "out")).c_str()) == 0);
  std::ifstream file(directory / "out");
  std::stringstream text;
  text << file.rdbuf();
  CHECK(text.str() == "status start\nweb\n--names\nfish\n");
}

TEST_CASE("version names itself and its libraries") {
  Outcome outcome = run({"version"});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.starts_with("gitproc 0."));
  for (const char* library :
       {"OpenSSL 3.", "cpp-httplib 0.", "libcurl ", "libgit2 1.", "prometheus-cpp 1."}) {
    CAPTURE(library, outcome.out);
    CHECK(outcome.out.find(library) != std::string::npos);
  }
  CHECK(outcome.out.find("missing") == std::string::npos);
}
