// gitproc version: what this binary is made of.
#include <curl/curl.h>
#include <git2/common.h>
#include <spdlog/version.h>

#include <CLI/App.hpp>
#include <CLI/Version.hpp>
#include <nlohmann/json.hpp>

#include "agent/protocol/version.h"
#include "cli/commands.h"
#include "drivers/base/lazy_library.h"

namespace gitproc {
namespace {

std::string dotted(int major, int minor, int patch) {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

// What is loaded when it is needed first is asked itself: this host's may be another than the one of the build.
std::string curl_version() {
  return libcurl.load() ? ::curl_version_info(CURLVERSION_NOW)->version : "missing";
}

std::string git_library_version() {
  if (!libgit2.load()) return "missing";
  int major = 0, minor = 0, patch = 0;
  git_libgit2_version(&major, &minor, &patch);
  return dotted(major, minor, patch);
}

// How this build can reach a remote; local paths and git:// always work.
std::vector<std::string> features() {
  if (!libgit2.load()) return {};
  std::vector<std::string> names;
  int built_in = git_libgit2_features();
  if ((built_in & GIT_FEATURE_HTTPS) != 0) names.emplace_back("https");
  if ((built_in & GIT_FEATURE_SSH) != 0) names.emplace_back("ssh");
  return names;
}

ExitCode run(Session& session) {
  Json libraries = {
      {"CLI11", CLI11_VERSION},
      {"OpenSSL", GITPROC_OPENSSL_VERSION},
      {"cpp-httplib", GITPROC_HTTPLIB_VERSION},
      {"libcurl", curl_version()},
      {"libgit2", git_library_version()},
      {"nlohmann-json",
       dotted(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
      {"prometheus-cpp", GITPROC_PROMETHEUS_VERSION},
      {"spdlog", dotted(SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH)},
  };
  if (session.prints_json) {
    session.print_json({{"version", program_version}, {"features", features()}, {"libraries", libraries}});
    return ExitCode::done;
  }
  session.out.line("gitproc " + std::string(program_version));
  std::string line = "features:";
  for (const std::string& feature : features())
    line += " " + feature;
  session.out.line(line);
  line = "libraries:";
  for (const auto& [name, number] : libraries.items())
    line += " " + name + " " + number.get<std::string>() + ",";
  line.pop_back();
  session.out.line(line);
  return ExitCode::done;
}

}  // namespace

void add_version(CLI::App& app, Session& session) {
  CLI::App* command =
      app.add_subcommand("version", "Print the version, the features and the libraries built in");
  command->add_flag("--json", session.prints_json, "Print the data as JSON");
  command->callback([&session] { session.exit_code = run(session); });
}

}  // namespace gitproc
