#include "agent/protocol/paths.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace gitproc {
namespace {

constexpr const char* system_socket = "/run/gitproc.sock";

std::string absolute_or_empty(const char* value) { return value != nullptr && value[0] == '/' ? value : ""; }

std::string home_of_user_database() {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return "/";
  return absolute_or_empty(found->pw_dir);
}

}  // namespace

PathEnvironment path_environment() {
  PathEnvironment environment;
  environment.is_root = ::geteuid() == 0;
  environment.home = absolute_or_empty(std::getenv("HOME"));
  if (environment.home.empty()) environment.home = home_of_user_database();
  environment.config_home = absolute_or_empty(std::getenv("XDG_CONFIG_HOME"));
  environment.state_home = absolute_or_empty(std::getenv("XDG_STATE_HOME"));
  environment.runtime_dir = absolute_or_empty(std::getenv("XDG_RUNTIME_DIR"));
  return environment;
}

Paths default_paths(const PathEnvironment& environment) {
  if (environment.is_root) {
    return {.config = "/etc/gitproc/config.json",
            .repo = "/etc/gitproc/services",
            .state_dir = "/var/lib/gitproc",
            .log_dir = "/var/log/gitproc",
            .run_dir = "/run/gitproc",
            .socket = system_socket};
  }
  auto below = [](const std::string& base, const char* name) { return (base == "/" ? "" : base) + name; };
  std::string config_home =
      environment.config_home.empty() ? below(environment.home, "/.config") : environment.config_home;
  std::string state_home =
      environment.state_home.empty() ? below(environment.home, "/.local/state") : environment.state_home;
  Paths paths;
  paths.config = config_home + "/gitproc/config.json";
  paths.repo = config_home + "/gitproc/services";
  paths.state_dir = state_home + "/gitproc";
  paths.log_dir = paths.state_dir + "/log";
  if (environment.runtime_dir.empty()) {
    paths.run_dir = paths.state_dir + "/run";
    paths.socket = paths.run_dir + "/gitproc.sock";
  } else {
    paths.run_dir = environment.runtime_dir + "/gitproc";
    paths.socket = environment.runtime_dir + "/gitproc.sock";
  }
  return paths;
}

std::string default_client_socket(const PathEnvironment& environment) {
  std::string own = default_paths(environment).socket;
  if (::access(own.c_str(), F_OK) != 0 && ::access(system_socket, F_OK) == 0) return system_socket;
  return own;
}

}  // namespace gitproc
