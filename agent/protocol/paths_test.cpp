#include "agent/protocol/paths.h"

#include "testing/catch.h"

using namespace gitproc;

TEST_CASE("root's files are where the Filesystem Hierarchy Standard puts them") {
  CHECK(default_paths({.is_root = true, .home = "/root", .runtime_dir = "/run/user/0"}) ==
        Paths{"/etc/gitproc/config.json", "/etc/gitproc/services", "/var/lib/gitproc", "/var/log/gitproc",
              "/run/gitproc", "/run/gitproc.sock"});
}

TEST_CASE("a user's files follow the XDG variables") {
  CHECK(default_paths({.home = "/home/u", .config_home = "/c", .state_home = "/s", .runtime_dir = "/r"}) ==
        Paths{"/c/gitproc/config.json", "/c/gitproc/services", "/s/gitproc", "/s/gitproc/log", "/r/gitproc",
              "/r/gitproc.sock"});
}

TEST_CASE("without the XDG variables a user's files are below the home directory") {
  CHECK(default_paths({.home = "/home/u"}) ==
        Paths{"/home/u/.config/gitproc/config.json", "/home/u/.config/gitproc/services",
              "/home/u/.local/state/gitproc", "/home/u/.local/state/gitproc/log",
              "/home/u/.local/state/gitproc/run", "/home/u/.local/state/gitproc/run/gitproc.sock"});
}
