#include "agent/configuration.h"

#include "testing/catch.h"

using namespace gitproc;

namespace {

const Paths defaults{
    .config = "/c", .repo = "/r", .state_dir = "/s", .log_dir = "/l", .run_dir = "/u", .socket = "/k"};

std::string error_of(const std::string& text) {
  Result<Configuration> configuration = parse_configuration(text, "config.json", defaults);
  return configuration ? "" : configuration.error().message;
}

}  // namespace

TEST_CASE("a configuration file goes over the defaults, and flags over the file") {
  Result<Configuration> configuration = parse_configuration(
      R"({"branch": "live", "labels": {"role": "web"}, "rollout": {"min_healthy_time": "2s"}, "on_exit": "stop"})",
      "f", defaults);
  REQUIRE(configuration);
  AgentArguments arguments;
  arguments.branch = "testing";
  arguments.labels = {"zone=b"};
  arguments.sets = {"rollout.deadline=1min", "socket_read_all=true"};
  Result<Configuration> with_flags = apply_arguments(*configuration, arguments);
  REQUIRE(with_flags);
  Configuration expected = *parse_configuration("", "f", defaults);
  expected.branch = "testing";
  expected.labels = {{"role", "web"}, {"zone", "b"}};
  expected.min_healthy_time = std::chrono::seconds(2);
  expected.rollout_deadline = std::chrono::minutes(1);
  expected.on_exit = OnExit::stop;
  expected.socket_read_all = true;
  CHECK(*with_flags == expected);
}

TEST_CASE("a mistake in the configuration names its key") {
  CHECK(error_of(R"({"brnach": "x"})") == "config.json: unknown key 'brnach'");
  CHECK(error_of(R"({"rollout": {"dead_line": "x"}})") == "config.json: unknown key 'rollout.dead_line'");
  CHECK(error_of(R"({"state_dir": "here"})") ==
        "config.json: 'state_dir' must be an absolute path, not 'here'");
  CHECK(error_of(R"({"on_exit": "never"})") ==
        R"(config.json: 'on_exit' must be one of "auto", "leave", "stop")");
  CHECK(error_of(R"({"socket_read_all": 1})") == "config.json: 'socket_read_all' must be true or false");
  CHECK(error_of(R"({"remote": "x"})") == "config.json: 'remote' must be an object");
  CHECK(error_of(R"({"rollout": {"deadline": "5x"}})") ==
        R"(config.json: 'rollout.deadline' must be a time span like "30s", not '5x')");
  CHECK(error_of(R"({"node": "../x"})") ==
        "config.json: 'node' must be a name without '/' that begins with no dot, not '../x'");
  CHECK(error_of(R"([1])") == "config.json: must be a JSON object");
  CHECK(error_of("{\n  \"branch\": main\n}") ==
        "config.json: malformed JSON at line 2, column 13, near '\"branch\": m'");
}

TEST_CASE("HTTP, webhooks and notices are off unless they are set, and what is set is checked") {
  Configuration none = *parse_configuration("", "f", defaults);
  CHECK_FALSE(none.http_listen);
  Result<Configuration> set = parse_configuration(
      R"({"http": {"listen": ":9100", "tls_cert": "/c.pem", "tls_key": "/k.pem"}, "webhook": {"secret_file": "/s"},
          "notify": {"exec": "/bin/logger -t deploy", "url": "https://hooks.example/x"}})",
      "f", defaults);
  REQUIRE(set);
  Configuration expected = none;
  expected.http_listen = ListenAddress{"127.0.0.1", 9100};
  expected.http_tls_cert = "/c.pem";
  expected.http_tls_key = "/k.pem";
  expected.webhook_secret_file = "/s";
  expected.notify_exec = "/bin/logger -t deploy";
  expected.notify_url = "https://hooks.example/x";
  CHECK(*set == expected);

  CHECK(error_of(R"({"http": {"listen": "example"}})") ==
        "config.json: 'http.listen' must be ADDR:PORT, not 'example'");
  CHECK(error_of(R"({"http": {"tls_cert": "c.pem"}})") ==
        "config.json: 'http.tls_cert' must be an absolute path, not 'c.pem'");
  CHECK(error_of(R"({"notify": {"url": "ftp://secret@x/"}})") ==
        "config.json: 'notify.url' must be an http:// or https:// URL");
  CHECK(error_of(R"({"notify": {"exec": "logger"}})") ==
        "config.json: 'notify.exec' must begin with an absolute path, not 'logger'");
}

TEST_CASE("keys that need each other are refused alone") {
  auto error = [](std::vector<std::string> sets) {
    AgentArguments arguments;
    arguments.sets = std::move(sets);
    Result<Configuration> configuration = load_configuration(arguments, defaults);
    return configuration ? "" : configuration.error().message;
  };
  CHECK(error({"http.listen=9100", "http.tls_cert=/c"}) ==
        "'http.tls_cert' and 'http.tls_key' need each other");
  CHECK(error({"http.tls_cert=/c", "http.tls_key=/k"}) == "'http.tls_cert' needs 'http.listen'");
  CHECK(error({"webhook.secret_file=/s"}) == "'webhook.secret_file' needs 'http.listen'");
  CHECK(error({"http.listen=9100", "webhook.secret_file=/s"}).empty());
}

TEST_CASE("the signature policy is read, and has no meaning without keys") {
  std::string hash(40, 'a');
  Configuration read = *parse_configuration(
      R"({"verify": {"mode": "tip", "allowed_signers": "/s", "keyring": "/k", "since": ")" + hash + R"("}})",
      "f", defaults);
  CHECK(read.signatures == SignaturePolicy{.allowed_signers = "/s",
                                           .keyring = "/k",
                                           .since = ObjectId::parse(hash),
                                           .judges_only_the_tip = true});
  CHECK(error_of(R"({"verify": {"since": "abcdef"}})") ==
        "config.json: 'verify.since' must be the full hash of a commit");
  CHECK(error_of(R"({"verify": {"mode": "none"}})") ==
        R"(config.json: 'verify.mode' must be one of "range", "tip")");
  CHECK(error_of(R"({"verify": {"keyring": "k"}})") ==
        "config.json: 'verify.keyring' must be an absolute path, not 'k'");

  AgentArguments arguments;
  arguments.config = "/dev/null";
  arguments.sets = {"verify.mode=tip"};
  CHECK(load_configuration(arguments, defaults).error().message ==
        "'verify' needs the keys to verify by: verify.allowed_signers (SSH) or verify.keyring (OpenPGP)");
  arguments.sets = {"verify.keyring=/nonexistent/keyring"};
  CHECK(load_configuration(arguments, defaults).error().message ==
        "'verify.keyring': cannot open '/nonexistent/keyring': no such file or directory");
}

TEST_CASE("the guard is on and the automatic rollback off unless said otherwise") {
  Configuration plain = *parse_configuration("", "f", defaults);
  CHECK(plain.prune_guard);
  CHECK_FALSE(plain.auto_rollback);
  Configuration other =
      *parse_configuration(R"({"prune_guard": "off", "rollout": {"auto_rollback": true}})", "f", defaults);
  CHECK_FALSE(other.prune_guard);
  CHECK(other.auto_rollback);
  CHECK(changed_keys(plain, other) == std::vector<std::string>{"prune_guard", "rollout.auto_rollback"});
}

TEST_CASE("what changed between two configurations is told by key") {
  Configuration from = *parse_configuration("", "f", defaults);
  Configuration to = from;
  to.log_level = "debug";
  to.socket = "/other";
  CHECK(changed_keys(from, to) == std::vector<std::string>{"socket", "log_level"});
  CHECK(is_reloadable("log_level"));
  CHECK(is_reloadable("verify.keyring"));
  CHECK_FALSE(is_reloadable("socket"));
}
