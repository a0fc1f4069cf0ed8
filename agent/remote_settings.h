// What the configuration says of the remote: `remote.*`.
#pragma once

#include <string>

#include "reconcile/base/time.h"

namespace gitproc {

struct RemoteSettings {
  std::string url;  // secret; "": there is no remote
  std::string username;
  std::string password_file;
  std::string ssh_key;
  std::string known_hosts;
  std::string ca_file;
  Duration poll_interval = std::chrono::minutes(1);
  Duration timeout = std::chrono::seconds(30);
  bool follows_force_push = false;
  bool is_insecure = false;

  bool operator==(const RemoteSettings&) const = default;
};

}  // namespace gitproc
