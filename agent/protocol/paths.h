// Where GitProc's files are unless somebody says otherwise: root's places of the Filesystem Hierarchy Standard,
// or those of the XDG Base Directory Specification for everybody else. Agent and command line both ask here.
#pragma once

#include <string>

namespace gitproc {

// What the places depend on; an XDG variable that is unset or, against the specification, relative, is "".
struct PathEnvironment {
  bool is_root = false;
  std::string home;  // absolute
  std::string config_home;
  std::string state_home;
  std::string runtime_dir;

  bool operator==(const PathEnvironment&) const = default;
};

// Of this process: geteuid(2), $HOME (or the user database) and the $XDG_... variables.
PathEnvironment path_environment();

struct Paths {
  std::string config;  // the configuration file
  std::string repo;
  std::string state_dir;
  std::string log_dir;
  std::string run_dir;
  std::string socket;

  bool operator==(const Paths&) const = default;
};

Paths default_paths(const PathEnvironment& environment);

// Where the command line looks for an agent: the user's own, and the system's where the user runs none, so that
// members of its socket_group need no option.
std::string default_client_socket(const PathEnvironment& environment);

}  // namespace gitproc
