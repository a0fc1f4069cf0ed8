#include "drivers/process/exec_spec.h"

#include <fcntl.h>

#include "testing/catch.h"

namespace gitproc {
namespace {

using Texts = std::vector<std::string>;

InvocationId invocation() { return *InvocationId::parse("000102030405060708090a0b0c0d0e0f"); }

ExecFacts facts() {
  ExecFacts facts;
  facts.tree = "/var/lib/gitproc/tree";
  facts.notify_socket = "/run/gitproc/notify";
  facts.log_directory = "/var/log/gitproc";
  facts.default_environment = {{"LANG", "C.UTF-8"}};
  facts.agent_environment = {{"LANG", "C.UTF-8"}, {"TOKEN", "abc"}, {"SECRET", "x"}};
  return facts;
}

Unit web() {
  Unit unit;
  unit.name = "web";
  unit.start.push_back({.path = "/usr/bin/web", .arguments = {"/usr/bin/web", "--port", "80"}});
  return unit;
}

ExecSpec spec_of(Unit unit, Spawn spawn = {}, const std::optional<Account>& account = {},
                 const std::vector<EnvironmentVariable>& files = {}) {
  spawn.unit = std::make_shared<const Unit>(std::move(unit));
  spawn.invocation = invocation();
  return make_exec_spec(spawn, facts(), account, files);
}

const Account www{.uid = 33,
                  .gid = 34,
                  .groups = {34, 7},
                  .name = "www-data",
                  .home = "/var/www",
                  .shell = "/usr/sbin/nologin"};

TEST_CASE("a plain unit gets its arguments, a small environment and its log file") {
  ExecSpec expected;
  expected.service = "web";
  expected.path = "/usr/bin/web";
  expected.argv = {"/usr/bin/web", "--port", "80"};
  expected.envp = {"GITPROC_TREE=/var/lib/gitproc/tree", "INVOCATION_ID=000102030405060708090a0b0c0d0e0f",
                   "LANG=C.UTF-8", std::string("PATH=") + default_path_variable};
  expected.working_directory = "/";
  expected.output = {.kind = StreamTarget::Kind::file,
                     .path = "/var/log/gitproc/web.log",
                     .flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW,
                     .mode = 0640};
  expected.error = {.kind = StreamTarget::Kind::duplicate};
  CHECK(spec_of(web()) == expected);
}

TEST_CASE("variables: files beat Environment=, which beats what the agent sets, UnsetEnvironment= is last") {
  Unit unit = web();
  unit.exec.edit().pass_environment = {"TOKEN", "MISSING"};
  unit.exec.edit().environment = {{"A", "1"}, {"B", "1"},    {"PATH", "/opt"},
                                  {"A", "2"}, {"GONE", "1"}, {"KEPT", "1"}};
  unit.exec.edit().unset_environment = {"GONE", "KEPT=2", "INVOCATION_ID", "GITPROC_TREE", "LANG"};
  CHECK(spec_of(unit, {}, {}, {{"B", "2"}, {"C", "3"}}).envp ==
        Texts{"A=2", "B=2", "C=3", "KEPT=1", "PATH=/opt", "TOKEN=abc"});
}

TEST_CASE("User= sets who it runs as and the login variables, '+' and '!' stay root but keep the variables") {
  Unit unit = web();
  unit.exec.edit().user = "www-data";
  unit.exec.edit().unset_environment = {"PATH", "LANG", "INVOCATION_ID", "GITPROC_TREE"};
  unit.exec.edit().no_new_privileges = true;
  unit.exec.edit().working_directory.path = "~";
  ExecSpec spec = spec_of(unit, {}, www);
  CHECK(spec.account == www);
  CHECK(spec.no_new_privileges);
  CHECK(spec.working_directory == "/var/www");
  CHECK(spec.envp == Texts{"HOME=/var/www", "LOGNAME=www-data", "USER=www-data"});

  unit.start[0].is_privileged = true;
  spec = spec_of(unit, {}, www);
  CHECK(spec.account == std::nullopt);
  CHECK_FALSE(spec.no_new_privileges);
  CHECK(spec.envp == Texts{"HOME=/var/www", "LOGNAME=www-data", "USER=www-data"});
}

TEST_CASE("what a stop command is told of the main process") {
  Unit unit = web();
  unit.exec.edit().unset_environment = {"PATH", "LANG", "INVOCATION_ID", "GITPROC_TREE"};
  unit.auxiliary.edit().stop_post = {
      {.path = "/bin/x", .arguments = {"/bin/x", "$MAINPID", "${SERVICE_RESULT}"}}};
  Spawn spawn{.phase = ExecPhase::stop_post,
              .main_pid = 17,
              .result = ServiceResult::signal,
              .main_exit = ExitStatus{.kind = ExitStatus::Kind::killed, .value = 15}};
  ExecSpec spec = spec_of(unit, spawn);
  CHECK(spec.argv == Texts{"/bin/x", "17", "signal"});
  CHECK(spec.envp == Texts{"EXIT_CODE=killed", "EXIT_STATUS=TERM", "MAINPID=17", "SERVICE_RESULT=signal"});
  spawn.result = ServiceResult::condition;
  CHECK(spec_of(unit, spawn).argv.back() == "exec-condition");
}

TEST_CASE("notify, watchdog and directory variables are there when the unit asks for them") {
  Unit unit = web();
  unit.notify_access = NotifyAccess::main;
  unit.timeouts.edit().watchdog = std::chrono::seconds(3);
  unit.exec.edit().unset_environment = {"PATH", "LANG", "INVOCATION_ID", "GITPROC_TREE"};
  unit.exec.edit().directories = {
      {DirectoryKind::runtime, "web"}, {DirectoryKind::state, "web"}, {DirectoryKind::runtime, "web/sub"}};
  CHECK(spec_of(unit).envp == Texts{"NOTIFY_SOCKET=/run/gitproc/notify",
                                    "RUNTIME_DIRECTORY=/run/web:/run/web/sub", "STATE_DIRECTORY=/var/lib/web",
                                    watchdog_pid_variable, "WATCHDOG_USEC=3000000"});
}

TEST_CASE("':' leaves dollars alone") {
  Unit unit = web();
  unit.start[0].arguments = {"x", "$PATH", "$$"};
  unit.start[0].expands_environment = false;
  CHECK(spec_of(unit).argv == Texts{"x", "$PATH", "$$"});
}

TEST_CASE("standard output and error go where they are told, and the same target is opened once") {
  Unit unit = web();
  unit.exec.edit().standard_output = {.kind = OutputKind::inherit, .path = ""};
  CHECK(spec_of(unit).output == StreamTarget{.kind = StreamTarget::Kind::null});
  unit.exec.edit().standard_input_file = "/dev/tty9";
  CHECK(spec_of(unit).output == StreamTarget{.kind = StreamTarget::Kind::duplicate});
  unit.exec.edit().standard_output = {.kind = OutputKind::truncate, .path = "/tmp/out"};
  unit.exec.edit().standard_error = {.kind = OutputKind::truncate, .path = "/tmp/out"};
  CHECK(spec_of(unit).output == StreamTarget{.kind = StreamTarget::Kind::file,
                                             .path = "/tmp/out",
                                             .flags = O_WRONLY | O_CREAT | O_TRUNC,
                                             .mode = 0644});
  CHECK(spec_of(unit).error == StreamTarget{.kind = StreamTarget::Kind::duplicate});
}

}  // namespace
}  // namespace gitproc
