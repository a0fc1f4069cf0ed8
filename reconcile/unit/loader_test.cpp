// Whole units: drop-ins, structure, diagnostics, and what a change of a unit means.
#include "reconcile/unit/change.h"
#include "reconcile/unit/testing.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

std::string errors_of(std::string_view text, std::string_view name = "web") {
  UnitLoad load = load_text(text, name);
  CHECK((load.unit == nullptr) == has_errors(load.diagnostics));
  return listing(load.diagnostics);
}

UnitLoad load_with_drop_ins(std::vector<std::string> texts) {
  std::vector<SourceText> sources;
  for (std::string& text : texts) {
    sources.push_back({.path = sources.empty() ? "web.service"
                                               : "web.service.d/" + std::to_string(sources.size()) + ".conf",
                       .blob = {},
                       .text = std::move(text)});
  }
  return load_unit("web", sources, test_machine());
}

UnitPtr unit_of(std::string_view lines) {
  UnitLoad load = load_service(lines);
  INFO(listing(load.diagnostics));
  REQUIRE(load.unit);
  return load.unit;
}

}  // namespace

TEST_CASE("a plain unit: what is written is there, and all else is at its default") {
  UnitLoad load = load_text(
      "[Unit]\nDescription=The %p of %H\nDocumentation=man:x\nAfter=network.target db.service web.service "
      "db.service\n"
      "[Service]\nExecStart=/usr/bin/web --port "
      "$PORT\nUser=www\n[Install]\nWantedBy=multi-user.target\nAlias=www.service\n");
  CHECK(listing(load.diagnostics).empty());
  Unit expected;
  expected.name = "web";
  expected.description = "The web of node1.example.org";
  expected.dependencies.edit().after = {"db"};
  expected.start = {{.path = "/usr/bin/web", .arguments = {"/usr/bin/web", "--port", "$PORT"}}};
  expected.exec.edit().user = "www";
  expected.sources = {{.path = "web.service", .blob = {}}};
  REQUIRE(load.unit);
  CHECK(*load.unit == expected);
  CHECK(load.aliases == std::vector<std::string>{"www"});
}

TEST_CASE("all prefixes of a command") {
  UnitPtr unit =
      unit_of("ExecStartPre=-@:/bin/a zero one\nExecStartPre=+/bin/b ; !/bin/c \\; x; ; !!d\nExecStop=");
  using Commands = std::vector<ExecCommand>;
  CHECK(unit->auxiliary->start_pre ==
        Commands{{.path = "/bin/a",
                  .arguments = {"zero", "one"},
                  .ignores_failure = true,
                  .expands_environment = false},
                 {.path = "/bin/b", .arguments = {"/bin/b"}, .is_privileged = true},
                 {.path = "/bin/c", .arguments = {"/bin/c", ";", "x;"}, .keeps_user = true},
                 {.path = "d", .arguments = {"d"}}});
}

TEST_CASE("commands that cannot be are errors with their place") {
  CHECK(errors_of("[Service]\nExecStart=./x\nExecStartPre=a \\\n  "
                  "\"b\nExecStop=-\nExecStopPost=+!/x\nExecReload=/bin/\nExecCondition=@/x\n"
                  "ExecStartPost=/x %Z\n") ==
        "2:11: error: ExecStart=: './x' is neither an absolute path nor a bare name\n"
        "4:3: error: ExecStartPre=: 'a    \"b' has an unbalanced quote \"\n"
        "5:10: error: ExecStop=: '-' has no command after its prefixes\n"
        "6:14: error: ExecStopPost=: '+!/x' repeats a prefix, or mixes + and !\n"
        "7:12: error: ExecReload=: '/bin/' is a folder and not a command\n"
        "8:15: error: ExecCondition=: '@/x' begins with '@' and no argv[0] follows\n"
        "9:18: error: ExecStartPost=: '%Z' holds an unknown specifier '%Z' ('%' itself is '%%')\n");
}

TEST_CASE("drop-ins add to lists, take them back when empty, and never take back relations") {
  UnitLoad load = load_with_drop_ins(
      {"[Unit]\nAfter=a.service\nConditionPathExists=/a\nAssertPathExists=/b\n"
       "[Service]\nExecStart=/one\nEnvironment=A=1 B=2\nLimitNOFILE=5\n",
       "[Unit]\nAfter=\nAfter=b.service\nConditionVirtualization=\nConditionFileNotEmpty=|!/c\n"
       "[Service]\nExecStart=\nExecStart=/two\nEnvironment=A=3\nLimitNOFILE=6\n"});
  CHECK(listing(load.diagnostics).empty());
  REQUIRE(load.unit);
  CHECK(print_unit(*load.unit) ==
        "[Unit]\nAfter=a.service b.service\nConditionFileNotEmpty=|!/c\nAssertPathExists=/b\n\n"
        "[Service]\nExecStart=/two\nEnvironment=B=2\nEnvironment=A=3\nLimitNOFILE=6\n");
  CHECK(load.unit->sources.size() == 2);
}

TEST_CASE("the structure of a service") {
  CHECK(errors_of("") == "0:0: error: the unit is masked: its file is empty\n");
  const std::string no_start =
      "0:0: error: there is no ExecStart=, which only a Type=oneshot unit with RemainAfterExit=yes and "
      "ExecStop= may leave out\n";
  CHECK(errors_of("\n") == no_start);
  CHECK(errors_of("[Service]\nExecStop=/x\n") == no_start);
  CHECK(errors_of("[Service]\nExecStop=/x\nRemainAfterExit=yes\n").empty());
  CHECK(errors_of("[Service]\nExecStart=/a\nExecStart=/b\n") ==
        "3:1: error: there is more than one ExecStart=, which only a Type=oneshot unit may have\n");
  CHECK(errors_of("[Service]\nType=oneshot\nExecStart=/a\nExecStart=/b\n").empty());
  CHECK(errors_of("[Service]\nType=oneshot\nExecStart=/a\nRestart=always\n") ==
        "4:1: error: Restart=always and on-success cannot be combined with Type=oneshot\n");
  CHECK(errors_of("[Service]\nExecStart=/a\nBusName=org.x\n") ==
        "0:0: warning: Type=dbus is treated like Type=simple: GitProc does not wait for a bus name\n");
  CHECK(errors_of("[Service]\nExecStart=/a\n", "worker@") ==
        "0:0: error: a template cannot run: it needs an instance's name after the '@'\n");
  CHECK(errors_of("[Service]\nExecStart=/a\n", "daemon") ==
        "0:0: error: 'daemon' is not a valid service name\n");
}

TEST_CASE("every mistake of a file is told in one pass, in order") {
  CHECK(
      errors_of("[Unit]\nRequires=db "
                "net.target\nPartOf=a@.service\n[Service]\nExecStart=/x\nTimeoutStopSec=5x\nRestart=allways\n"
                "KillMode=bogus\nExecStrat=/"
                "x\nProtectSystem=full\nX-Mine=1\nMemoryMax=1G\n[Servce]\nA=b\n[X-Other]\nA=b\n"
                "[X-GitProc]\nHealthCheckUrl=x\n[Service]\nEnvironment=A=1 2=3\n") ==
      "2:10: error: Requires=: 'db' is not the name of a unit: it has no type such as '.service'\n"
      "6:16: error: TimeoutStopSec=: '5x' is not a time span, such as 30s, 1min 30s, 1.5h or infinity\n"
      "7:9: error: Restart=: 'allways' is none of no, always, on-success, on-failure, on-abnormal, on-abort, "
      "on-watchdog "
      "(did you mean 'always'?)\n"
      "8:10: error: KillMode=: 'bogus' is none of control-group, mixed, process, none\n"
      "9:1: warning: unknown directive ExecStrat= in [Service] (did you mean 'ExecStart'?)\n"
      "10:1: warning: ProtectSystem= has no effect: GitProc does not act on it\n"
      "13:1: warning: unknown section [Servce] (did you mean 'Service'?)\n"
      "18:1: warning: unknown directive HealthCheckUrl= in [X-GitProc] (did you mean 'HealthCheckURL'?)\n"
      "20:17: error: Environment=: '2=3' does not begin with the name of a variable\n");
}

TEST_CASE("what says nothing to a service here is accepted without a word") {
  CHECK(errors_of(
            "[Unit]\nDocumentation=man:x\nDefaultDependencies=no\nIgnoreOnIsolate=yes\n[Service]\nExecStart=/"
            "x\nType=idle\n"
            "TTYPath=/dev/"
            "tty1\nSyslogIdentifier=x\nStandardOutput=journal\n[Install]\nWantedBy=a.target\nAlso=b.socket\n")
            .empty());
}

TEST_CASE("who gets a PID namespace: by the node's default unless the unit means the machine's numbers") {
  auto wants = [](std::string_view lines, bool is_node_default) {
    UnitPtr unit = load_service(lines).unit;
    REQUIRE(unit);
    return unit->wants_pid_namespace(is_node_default);
  };
  for (const char* type : {"simple", "exec", "notify", "idle"}) {
    CHECK(wants(std::string("Type=") + type, true));
    CHECK_FALSE(wants(std::string("Type=") + type, false));
    CHECK(wants(std::string("PrivatePIDs=yes\nType=") + type, false));
    CHECK_FALSE(wants(std::string("PrivatePIDs=no\nType=") + type, true));
  }
  for (const char* lines : {"Type=forking", "Type=oneshot", "Type=dbus\nBusName=a.b", "PIDFile=/run/x.pid",
                            "ProtectProc=invisible", "ProcSubset=pid"}) {
    CHECK_FALSE(wants(lines, true));
    CHECK(wants(std::string("PrivatePIDs=yes\n") + lines, true));
  }
  CHECK(wants("PrivatePIDs=no\nPrivatePIDs=", true));
  CHECK(errors_of("[Service]\nExecStart=/x\nPrivatePIDs=perhaps\nProtectProc=some\n").find("PrivatePIDs=") !=
        std::string::npos);
}

TEST_CASE("an instance of a template") {
  UnitLoad load = load_unit("worker@a-b",
                            {{.path = "worker@.service",
                              .blob = {},
                              .text = "[Unit]\nRequires=db@.service\n[Service]\nExecStart=/x %i %I %f\n"
                                      "RuntimeDirectory=w/%i\n"}},
                            test_machine());
  REQUIRE(load.unit);
  CHECK(load.unit->dependencies->requires_ == std::vector<std::string>{"db@a-b"});
  CHECK(load.unit->start[0].arguments == PackedStrings{"/x", "a-b", "a/b", "/a/b"});
  CHECK(load.unit->exec->directories[0].path == "w/a-b");
}

TEST_CASE("PermissionsStartOnly= is a plus on all commands but ExecStart=") {
  UnitPtr unit = unit_of("PermissionsStartOnly=yes\nExecStartPre=!/a\nUser=www");
  CHECK(print_unit(*unit) == "[Service]\nExecStartPre=+/a\nExecStart=/bin/true\nUser=www\n");
}

TEST_CASE("a hostile file is refused before it costs anything") {
  CHECK(errors_of(std::string(max_unit_file_bytes + 1, 'x'))
            .starts_with("0:0: error: the file is larger than 1 MiB\n"));
  CHECK(errors_of(std::string(max_unit_file_lines + 1, '\n'))
            .starts_with("0:0: error: the file has more than 20000 lines\n"));
  std::string bomb = "[Service]\nExecStart=/x\n";
  for (int i = 0; i < 9000; ++i)
    bomb += "Environment=A=%n%n%n%n%n%n%n%n%n%n%n%n\n";
  UnitLoad load = load_text(bomb, std::string(240, 'n'));
  CHECK(load.unit == nullptr);
  CHECK(load.diagnostics.size() <= 1001);
}

TEST_CASE("a change of a unit weighs as much as its weightiest directive") {
  auto change = [](std::string_view from, std::string_view to) {
    return difference(*unit_of(from), *unit_of(to));
  };
  using Directives = std::vector<std::string>;
  CHECK(change("Nice=5", "Nice=5") == UnitDifference{});
  CHECK(change("", "Restart=always\nTimeoutStopSec=5") ==
        UnitDifference{ChangeEffect::later, Directives{"Restart", "TimeoutStopSec"}});
  CHECK(change("MemoryMax=1G", "Restart=always\nMemoryMax=2G") ==
        UnitDifference{ChangeEffect::adjust, Directives{"Restart", "MemoryMax"}});
  CHECK(change("MemoryMax=1G", "ExecStart=\nExecStart=/bin/false") ==
        UnitDifference{ChangeEffect::restart, Directives{"ExecStart", "MemoryMax"}});
  CHECK(change("ExecReload=/a", "ExecReload=/b") ==
        UnitDifference{ChangeEffect::later, Directives{"ExecReload"}});
  CHECK(change("Environment=A=1", "Environment=A=2") ==
        UnitDifference{ChangeEffect::restart, Directives{"Environment"}});

  Unit before = *unit_of("[X-GitProc]\nRestartOn=a b\nReloadOn=c");
  Unit after = before;
  after.watched.edit()[2].content = ObjectId{};
  CHECK(difference(before, after) == UnitDifference{ChangeEffect::reload, Directives{"ReloadOn=c"}});
  after.watched.edit()[1].content = ObjectId{};
  CHECK(difference(before, after) ==
        UnitDifference{ChangeEffect::restart, Directives{"RestartOn=b", "ReloadOn=c"}});
}

}  // namespace gitproc
