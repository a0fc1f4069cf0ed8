#include "agent/configuration.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/notice.h"
#include "agent/protocol/json.h"
#include "drivers/base/system_call.h"
#include "drivers/git/remote_url.h"
#include "drivers/git/signatures.h"
#include "drivers/health/probe_address.h"
#include "reconcile/base/strings.h"
#include "reconcile/unit/values.h"

namespace gitproc {
namespace {

// Of remote.poll_interval and remote.timeout.
constexpr Duration shortest_remote_span = std::chrono::seconds(1);
constexpr Duration longest_remote_span = std::chrono::hours(24 * 7);

// One key: how its value is read, and how it is told apart from another configuration's.
struct Key {
  std::string_view name;
  bool is_reloadable;
  Result<void> (*set)(Configuration&, const Json&);
  Json (*get)(const Configuration&);
};

Result<std::string> text_of(const Json& value) {
  if (!value.is_string()) return fail("must be text", ErrorCode::invalid);
  return value.get<std::string>();
}

Result<bool> flag_of(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  // Given by --set, everything is text.
  if (value == "true" || value == "on") return true;
  if (value == "false" || value == "off") return false;
  return fail("must be true or false", ErrorCode::invalid);
}

Result<Duration> span_of(const Json& value) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() < 1'000'000'000)
    return std::chrono::seconds(value.get<std::uint64_t>());
  Result<std::string> text = text_of(value);
  if (!text) return fail("must be a time span like \"30s\"", ErrorCode::invalid);
  Result<Duration> span = parse_time_span(*text);
  return span ? span
              : fail("must be a time span like \"30s\", not '" + printable(*text) + "'", ErrorCode::invalid);
}

Result<std::string> absolute_path_of(const Json& value) {
  Result<std::string> text = text_of(value);
  if (text && !text->starts_with('/'))
    return fail("must be an absolute path, not '" + *text + "'", ErrorCode::invalid);
  return text;
}

template <auto member>
Result<void> set_path(Configuration& configuration, const Json& value) {
  Result<std::string> path = absolute_path_of(value);
  if (!path) return std::unexpected(path.error());
  configuration.*member = *path;
  return {};
}

template <auto member>
Result<void> set_text(Configuration& configuration, const Json& value) {
  Result<std::string> text = text_of(value);
  if (!text) return std::unexpected(text.error());
  configuration.*member = *text;
  return {};
}

template <auto member>
Result<void> set_span(Configuration& configuration, const Json& value) {
  Result<Duration> span = span_of(value);
  if (!span) return std::unexpected(span.error());
  configuration.*member = *span;
  return {};
}

template <auto member>
Result<void> set_flag(Configuration& configuration, const Json& value) {
  Result<bool> flag = flag_of(value);
  if (!flag) return std::unexpected(flag.error());
  configuration.*member = *flag;
  return {};
}

Result<void> set_labels(Configuration& configuration, const Json& value) {
  if (!value.is_object()) return fail("must be an object of texts", ErrorCode::invalid);
  configuration.labels.clear();
  for (const auto& [name, label] : value.items()) {
    if (!label.is_string()) return fail("label '" + name + "' must be text", ErrorCode::invalid);
    configuration.labels.emplace(name, label.get<std::string>());
  }
  return {};
}

// A name that nodes/ could hold a folder of; "" for the host's.
Result<void> set_node(Configuration& configuration, const Json& value) {
  Result<std::string> text = text_of(value);
  if (!text) return std::unexpected(text.error());
  if (text->find('/') != std::string::npos || text->starts_with('.'))
    return fail("must be a name without '/' that begins with no dot, not '" + printable(*text) + "'",
                ErrorCode::invalid);
  configuration.node = *std::move(text);
  return {};
}

Result<void> set_word(const Json& value, std::initializer_list<std::string_view> words, std::size_t& index) {
  Result<std::string> text = text_of(value);
  std::string choices;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words.begin()[i];
    if (text && *text == word) {
      index = i;
      return {};
    }
    choices += (i == 0 ? "\"" : ", \"") + std::string(word) + "\"";
  }
  return fail("must be one of " + choices, ErrorCode::invalid);
}

Result<void> set_on_exit(Configuration& configuration, const Json& value) {
  std::size_t index = 0;
  Result<void> found = set_word(value, {"auto", "leave", "stop"}, index);
  if (found) configuration.on_exit = static_cast<OnExit>(index);
  return found;
}

Result<void> set_on_invalid(Configuration& configuration, const Json& value) {
  std::size_t index = 0;
  Result<void> found = set_word(value, {"reject", "skip"}, index);
  if (found) configuration.skips_invalid = index == 1;
  return found;
}

Result<void> set_unenforceable(Configuration& configuration, const Json& value) {
  std::size_t index = 0;
  Result<void> found = set_word(value, {"warn", "refuse"}, index);
  if (found) configuration.refuses_unenforceable = index == 1;
  return found;
}

Result<void> set_pid_namespace(Configuration& configuration, const Json& value) {
  Result<bool> flag = flag_of(value);
  if (!flag) return std::unexpected(flag.error());
  configuration.has_pid_namespaces = *flag;
  return {};
}

Result<void> set_log_level(Configuration& configuration, const Json& value) {
  std::size_t index = 0;
  Result<void> found = set_word(value, {"error", "warning", "info", "debug"}, index);
  if (found) configuration.log_level = value.get<std::string>();
  return found;
}

Result<void> set_branch(Configuration& configuration, const Json& value) {
  Result<std::string> text = text_of(value);
  if (!text) return std::unexpected(text.error());
  configuration.branch = text->empty() ? std::nullopt : std::optional(*text);
  return {};
}

Result<void> set_cgroup_parent(Configuration& configuration, const Json& value) {
  Result<std::string> text = text_of(value);
  if (!text) return std::unexpected(text.error());
  if (text->empty() || text->starts_with('.') || text->find('/') != std::string::npos) {
    return fail("must be the name of one cgroup, not '" + *text + "'", ErrorCode::invalid);
  }
  configuration.cgroup_parent = *text;
  return {};
}

Result<void> set_http_listen(Configuration& configuration, const Json& value) {
  Result<std::string> text = text_of(value);
  if (!text) return std::unexpected(text.error());
  configuration.http_listen.reset();
  if (text->empty()) return {};
  Result<ListenAddress> address = parse_listen_address(*text);
  if (!address) return std::unexpected(address.error());
  configuration.http_listen = *std::move(address);
  return {};
}

// A path, or "" for none.
template <auto member>
Result<void> set_optional_path(Configuration& configuration, const Json& value) {
  if (value == "") {
    (configuration.*member).clear();
    return {};
  }
  return set_path<member>(configuration, value);
}

Result<void> set_notify_exec(Configuration& configuration, const Json& value) {
  Result<std::string> text = text_of(value);
  if (!text) return std::unexpected(text.error());
  if (!text->empty()) {
    if (Result<std::vector<std::string>> command = parse_notice_command(*text); !command)
      return std::unexpected(command.error());
  }
  configuration.notify_exec = *std::move(text);
  return {};
}

Result<void> set_notify_url(Configuration& configuration, const Json& value) {
  Result<std::string> text = text_of(value);
  if (!text) return std::unexpected(text.error());
  if (!text->empty()) {
    // Not told what it was instead: such URLs are secrets.
    if (Result<void> checked = check_http_url(*text); !checked)
      return fail("must be an http:// or https:// URL", ErrorCode::invalid);
  }
  configuration.notify_url = *std::move(text);
  return {};
}

template <auto member>
Result<void> set_key_file(Configuration& configuration, const Json& value) {
  Result<std::string> path = text_of(value);
  if (path && !path->empty()) path = absolute_path_of(value);
  if (!path) return std::unexpected(path.error());
  configuration.signatures.*member = *path;
  return {};
}

Result<void> set_verify_mode(Configuration& configuration, const Json& value) {
  std::size_t index = 0;
  Result<void> found = set_word(value, {"range", "tip"}, index);
  if (found) configuration.signatures.judges_only_the_tip = index == 1;
  return found;
}

Result<void> set_verify_since(Configuration& configuration, const Json& value) {
  Result<std::string> text = text_of(value);
  if (!text) return std::unexpected(text.error());
  configuration.signatures.since = ObjectId::parse(*text);
  // Anything shorter, or a tag, could come to mean another commit.
  bool is_good = text->empty() || configuration.signatures.since;
  return is_good ? Result<void>{} : fail("must be the full hash of a commit", ErrorCode::invalid);
}

// --- the remote ---

template <auto member>
Result<void> set_remote_text(Configuration& configuration, const Json& value) {
  Result<std::string> text = text_of(value);
  if (!text) return std::unexpected(text.error());
  configuration.remote.*member = *text;
  return {};
}

template <auto member>
Result<void> set_remote_path(Configuration& configuration, const Json& value) {
  Result<std::string> path = absolute_path_of(value);
  if (!path) return std::unexpected(path.error());
  configuration.remote.*member = *path;
  return {};
}

Result<void> set_remote_url(Configuration& configuration, const Json& value) {
  Result<std::string> text = text_of(value);
  if (!text) return std::unexpected(text.error());
  if (!text->empty()) {
    if (Result<RemoteUrl> url = parse_remote_url(*text); !url)
      return fail("is no address of a remote: " + url.error().message, ErrorCode::invalid);
  }
  configuration.remote.url = *text;
  return {};
}

template <auto member>
Result<void> set_remote_span(Configuration& configuration, const Json& value) {
  Result<Duration> span = span_of(value);
  if (!span) return std::unexpected(span.error());
  if (*span < shortest_remote_span || *span > longest_remote_span)
    return fail("must be from 1s to 1 week", ErrorCode::invalid);
  configuration.remote.*member = *span;
  return {};
}

Result<void> set_force_push(Configuration& configuration, const Json& value) {
  std::size_t index = 0;
  Result<void> found = set_word(value, {"hold", "follow"}, index);
  if (found) configuration.remote.follows_force_push = index == 1;
  return found;
}

Result<void> set_insecure(Configuration& configuration, const Json& value) {
  Result<bool> flag = flag_of(value);
  if (!flag) return std::unexpected(flag.error());
  configuration.remote.is_insecure = *flag;
  return {};
}

// What anybody on the way could change is not obeyed, unless somebody says so.
Result<void> check_remote(const Configuration& configuration) {
  const RemoteSettings& remote = configuration.remote;
  bool is_signed = configuration.signatures.is_set();
  if (remote.url.empty() || remote.is_insecure || is_signed) return {};
  Result<RemoteUrl> url = parse_remote_url(remote.url);
  if (!url || url->is_protected() || url->is_loopback()) return {};
  return fail("'remote.url' is refused: whoever is on the way could change what '" + url->shown() +
                  "' sends; use https or ssh, verify signatures, or set remote.insecure",
              ErrorCode::invalid);
}

constexpr Key keys[] = {
    {"repo", false, set_path<&Configuration::repo>, [](const Configuration& c) { return Json(c.repo); }},
    {"branch", false, set_branch, [](const Configuration& c) { return Json(c.branch.value_or("")); }},
    {"node", false, set_node, [](const Configuration& c) { return Json(c.node); }},
    {"labels", false, set_labels, [](const Configuration& c) { return Json(c.labels); }},
    {"state_dir", false, set_path<&Configuration::state_dir>,
     [](const Configuration& c) { return Json(c.state_dir); }},
    {"log_dir", false, set_path<&Configuration::log_dir>,
     [](const Configuration& c) { return Json(c.log_dir); }},
    {"run_dir", false, set_path<&Configuration::run_dir>,
     [](const Configuration& c) { return Json(c.run_dir); }},
    {"socket", false, set_path<&Configuration::socket>,
     [](const Configuration& c) { return Json(c.socket); }},
    {"socket_group", false, set_text<&Configuration::socket_group>,
     [](const Configuration& c) { return Json(c.socket_group); }},
    {"socket_read_all", false, set_flag<&Configuration::socket_read_all>,
     [](const Configuration& c) { return Json(c.socket_read_all); }},
    {"log_level", true, set_log_level, [](const Configuration& c) { return Json(c.log_level); }},
    {"on_exit", true, set_on_exit, [](const Configuration& c) { return Json(static_cast<int>(c.on_exit)); }},
    {"on_invalid", false, set_on_invalid, [](const Configuration& c) { return Json(c.skips_invalid); }},
    {"prune_guard", true, set_flag<&Configuration::prune_guard>,
     [](const Configuration& c) { return Json(c.prune_guard); }},
    {"rollout.auto_rollback", true, set_flag<&Configuration::auto_rollback>,
     [](const Configuration& c) { return Json(c.auto_rollback); }},
    {"rollout.min_healthy_time", true, set_span<&Configuration::min_healthy_time>,
     [](const Configuration& c) { return Json(c.min_healthy_time.count()); }},
    {"rollout.deadline", true, set_span<&Configuration::rollout_deadline>,
     [](const Configuration& c) { return Json(c.rollout_deadline.count()); }},
    {"verify.mode", true, set_verify_mode,
     [](const Configuration& c) { return Json(c.signatures.judges_only_the_tip); }},
    {"verify.allowed_signers", true, set_key_file<&SignaturePolicy::allowed_signers>,
     [](const Configuration& c) { return Json(c.signatures.allowed_signers); }},
    {"verify.keyring", true, set_key_file<&SignaturePolicy::keyring>,
     [](const Configuration& c) { return Json(c.signatures.keyring); }},
    {"verify.since", true, set_verify_since,
     [](const Configuration& c) {
       return Json(c.signatures.since ? c.signatures.since->hex() : std::string());
     }},
    {"cgroup.parent", false, set_cgroup_parent, [](const Configuration& c) { return Json(c.cgroup_parent); }},
    {"http.listen", false, set_http_listen,
     [](const Configuration& c) { return Json(c.http_listen ? to_string(*c.http_listen) : ""); }},
    {"http.tls_cert", false, set_optional_path<&Configuration::http_tls_cert>,
     [](const Configuration& c) { return Json(c.http_tls_cert); }},
    {"http.tls_key", false, set_optional_path<&Configuration::http_tls_key>,
     [](const Configuration& c) { return Json(c.http_tls_key); }},
    {"webhook.secret_file", false, set_optional_path<&Configuration::webhook_secret_file>,
     [](const Configuration& c) { return Json(c.webhook_secret_file); }},
    {"notify.exec", false, set_notify_exec, [](const Configuration& c) { return Json(c.notify_exec); }},
    {"notify.url", false, set_notify_url, [](const Configuration& c) { return Json(c.notify_url); }},
    {"isolation.pid_namespace", false, set_pid_namespace,
     [](const Configuration& c) { return c.has_pid_namespaces ? Json(*c.has_pid_namespaces) : Json(); }},
    {"isolation.unenforceable", false, set_unenforceable,
     [](const Configuration& c) { return Json(c.refuses_unenforceable); }},
    {"remote.url", false, set_remote_url, [](const Configuration& c) { return Json(c.remote.url); }},
    {"remote.poll_interval", false, set_remote_span<&RemoteSettings::poll_interval>,
     [](const Configuration& c) { return Json(c.remote.poll_interval.count()); }},
    {"remote.timeout", false, set_remote_span<&RemoteSettings::timeout>,
     [](const Configuration& c) { return Json(c.remote.timeout.count()); }},
    {"remote.ssh_key", false, set_remote_path<&RemoteSettings::ssh_key>,
     [](const Configuration& c) { return Json(c.remote.ssh_key); }},
    {"remote.known_hosts", false, set_remote_path<&RemoteSettings::known_hosts>,
     [](const Configuration& c) { return Json(c.remote.known_hosts); }},
    {"remote.ca_file", false, set_remote_path<&RemoteSettings::ca_file>,
     [](const Configuration& c) { return Json(c.remote.ca_file); }},
    {"remote.username", false, set_remote_text<&RemoteSettings::username>,
     [](const Configuration& c) { return Json(c.remote.username); }},
    {"remote.password_file", false, set_remote_path<&RemoteSettings::password_file>,
     [](const Configuration& c) { return Json(c.remote.password_file); }},
    {"remote.force_push", false, set_force_push,
     [](const Configuration& c) { return Json(c.remote.follows_force_push); }},
    {"remote.insecure", false, set_insecure,
     [](const Configuration& c) { return Json(c.remote.is_insecure); }},
};

Result<void> set_key(Configuration& configuration, std::string_view name, const Json& value) {
  for (const Key& key : keys) {
    if (key.name != name) continue;
    Result<void> set = key.set(configuration, value);
    return set ? set : fail("'" + std::string(name) + "' " + set.error().message, ErrorCode::invalid);
  }
  std::string group = std::string(name) + ".";
  bool is_group = std::ranges::any_of(keys, [&](const Key& key) { return key.name.starts_with(group); });
  if (is_group) return fail("'" + std::string(name) + "' must be an object", ErrorCode::invalid);
  return fail("unknown key '" + printable(name) + "'", ErrorCode::invalid);
}

// {"rollout": {"deadline": ...}} is the key "rollout.deadline"; labels are an object of their own.
Result<void> set_all(Configuration& configuration, const std::string& prefix, const Json& object) {
  for (const auto& [name, value] : object.items()) {
    std::string key = prefix + name;
    bool is_group = value.is_object() && key != "labels";
    Result<void> set =
        is_group ? set_all(configuration, key + ".", value) : set_key(configuration, key, value);
    if (!set) return set;
  }
  return {};
}

// What only all keys together can tell.
Result<void> check_together(const Configuration& configuration) {
  if (configuration.http_tls_cert.empty() != configuration.http_tls_key.empty())
    return fail("'http.tls_cert' and 'http.tls_key' need each other", ErrorCode::invalid);
  bool has_http = configuration.http_listen.has_value();
  if (!has_http && !configuration.http_tls_cert.empty())
    return fail("'http.tls_cert' needs 'http.listen'", ErrorCode::invalid);
  if (!has_http && !configuration.webhook_secret_file.empty())
    return fail("'webhook.secret_file' needs 'http.listen'", ErrorCode::invalid);
  return {};
}

Result<std::string> absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  char* directory = ::realpath(".", nullptr);
  if (directory == nullptr) return fail_with_errno("cannot tell the working directory");
  std::string full = std::string(directory) + "/" + path;
  ::free(directory);
  return full;
}

// What one key by itself cannot tell.
Result<void> check_signatures(const SignaturePolicy& signatures) {
  bool says_how = signatures.since || signatures.judges_only_the_tip;
  if (says_how && !signatures.is_set()) {
    return fail(
        "'verify' needs the keys to verify by: verify.allowed_signers (SSH) or verify.keyring (OpenPGP)",
        ErrorCode::invalid);
  }
  for (const auto& [key, path] : {std::pair("verify.allowed_signers", signatures.allowed_signers),
                                  std::pair("verify.keyring", signatures.keyring)}) {
    if (path.empty()) continue;
    if (Result<void> checked = check_key_file(path); !checked)
      return fail("'" + std::string(key) + "': " + checked.error().message, ErrorCode::invalid);
  }
  return {};
}

}  // namespace

Result<Configuration> parse_configuration(std::string_view text, const std::string& file,
                                          const Paths& defaults) {
  Configuration configuration{.repo = defaults.repo,
                              .branch = std::nullopt,
                              .node = "",
                              .labels = {},
                              .state_dir = defaults.state_dir,
                              .log_dir = defaults.log_dir,
                              .run_dir = defaults.run_dir,
                              .socket = defaults.socket};
  if (text.empty()) return configuration;
  Result<Json> parsed = parse_json(text);
  if (!parsed) return fail(file + ": " + parsed.error().message, ErrorCode::invalid);
  if (!parsed->is_object()) return fail(file + ": must be a JSON object", ErrorCode::invalid);
  Result<void> set = set_all(configuration, "", *parsed);
  if (!set) return fail(file + ": " + set.error().message, ErrorCode::invalid);
  return configuration;
}

Result<Configuration> apply_arguments(Configuration configuration, const AgentArguments& arguments) {
  struct Flag {
    std::string_view name;
    std::string_view key;
    const std::optional<std::string>& value;
    bool is_path;
  };
  const Flag flags[] = {
      {"--repo", "repo", arguments.repo, true},
      {"--branch", "branch", arguments.branch, false},
      {"--remote", "remote.url", arguments.remote, false},
      {"--state-dir", "state_dir", arguments.state_dir, true},
      {"--log-dir", "log_dir", arguments.log_dir, true},
      {"--run-dir", "run_dir", arguments.run_dir, true},
      {"--socket", "socket", arguments.socket, true},
      {"--http", "http.listen", arguments.http, false},
      {"--node", "node", arguments.node, false},
  };
  for (const Flag& flag : flags) {
    if (!flag.value) continue;
    std::string text = *flag.value;
    if (flag.is_path && text.empty())
      return fail(std::string(flag.name) + ": must be a path, not ''", ErrorCode::invalid);
    if (flag.is_path) {
      Result<std::string> full = absolute(text);
      if (!full) return std::unexpected(full.error());
      text = *full;
    }
    Result<void> set = set_key(configuration, flag.key, Json(text));
    if (!set) return fail(std::string(flag.name) + ": " + set.error().message, ErrorCode::invalid);
  }
  for (const std::string& label : arguments.labels) {
    std::size_t equals = label.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return fail("--label: must be KEY=VALUE, not '" + printable(label) + "'", ErrorCode::invalid);
    }
    configuration.labels.insert_or_assign(label.substr(0, equals), label.substr(equals + 1));
  }
  for (const std::string& assignment : arguments.sets) {
    std::size_t equals = assignment.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return fail("--set: must be KEY=VALUE, not '" + printable(assignment) + "'", ErrorCode::invalid);
    }
    Result<void> set =
        set_key(configuration, assignment.substr(0, equals), Json(assignment.substr(equals + 1)));
    if (!set) return fail("--set: " + set.error().message, ErrorCode::invalid);
  }
  return configuration;
}

Result<Configuration> load_configuration(const AgentArguments& arguments, const Paths& defaults) {
  std::string file = arguments.config.value_or(defaults.config);
  Result<std::string> text = read_file(file, max_configuration_bytes);
  if (!text && (arguments.config || text.error().code != ErrorCode::not_found))
    return std::unexpected(text.error());
  Result<Configuration> configuration = parse_configuration(text ? *text : "", file, defaults);
  if (!configuration) return configuration;
  configuration = apply_arguments(*std::move(configuration), arguments);
  if (!configuration) return configuration;
  if (Result<void> checked = check_together(*configuration); !checked)
    return std::unexpected(checked.error());
  if (Result<void> checked = check_remote(*configuration); !checked) return std::unexpected(checked.error());
  if (Result<void> checked = check_signatures(configuration->signatures); !checked)
    return std::unexpected(checked.error());
  return configuration;
}

std::vector<std::string> changed_keys(const Configuration& from, const Configuration& to) {
  std::vector<std::string> changed;
  for (const Key& key : keys) {
    if (key.get(from) != key.get(to)) changed.emplace_back(key.name);
  }
  return changed;
}

bool is_reloadable(std::string_view key) {
  return std::ranges::any_of(keys,
                             [key](const Key& known) { return known.name == key && known.is_reloadable; });
}

}  // namespace gitproc
