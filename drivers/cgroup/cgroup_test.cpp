#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/base/system_call.h"
#include "drivers/cgroup/layout.h"
#include "drivers/cgroup/tree.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

TEST_CASE("the v2 tree is found on unified and hybrid hosts, and nowhere on v1 ones") {
  CHECK(find_cgroup2_mount(
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n") ==
        "/sys/fs/cgroup");
  CHECK(find_cgroup2_mount("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
                           "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                           "41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime - cgroup2 cgroup2 rw\n") ==
        "/sys/fs/cgroup/uni fied");
  CHECK(find_cgroup2_mount(
            "41 31 0:38 /a/b /mnt rw - cgroup2 x rw\n42 31 0:38 / /sys/fs/cgroup rw - cgroup2 x rw\n") ==
        "/sys/fs/cgroup");
  CHECK(find_cgroup2_mount("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n") == std::nullopt);
  CHECK(find_cgroup2_mount("x\n- - - - - - - - -\n\n") == std::nullopt);
}

TEST_CASE("each v1 controller is found where it is mounted, alone or with others") {
  CHECK(find_v1_mounts("32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                       "33 31 0:30 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory\n"
                       "34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
                       "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n") ==
        V1Mounts{{"cpu", "/sys/fs/cgroup/cpu,cpuacct"},
                 {"cpuacct", "/sys/fs/cgroup/cpu,cpuacct"},
                 {"memory", "/sys/fs/cgroup/memory"}});
}

TEST_CASE("the groups above the agent's own, from the top") {
  using Groups = std::vector<std::string>;
  CHECK(own_cgroups("9:name=systemd:/\n0::/\n") == Groups{""});
  CHECK(own_cgroups("0::/user.slice/user-7.slice/x.scope\n") ==
        Groups{"", "/user.slice", "/user.slice/user-7.slice", "/user.slice/user-7.slice/x.scope"});
  CHECK(own_cgroups("0::/../other\n").empty());
  CHECK(own_cgroups("4:memory:/\n").empty());
}

TEST_CASE("names that the kernel's own files could have are escaped") {
  CHECK(escape_cgroup_name("web") == "web");
  CHECK(escape_cgroup_name("worker@1") == "worker@1");
  CHECK(escape_cgroup_name("memory") == "memory");
  for (std::string name :
       {"tasks", "cgroup.procs", "memory.max", "_x", "release_agent", "notify_on_release", "pids.max"}) {
    CAPTURE(name);
    CHECK(escape_cgroup_name(name) == "_" + name);
    CHECK(unescape_cgroup_name(escape_cgroup_name(name)) == name);
  }
}

std::optional<std::string> usable_mount() {
  Result<std::string> mounts = read_file("/proc/self/mountinfo", 1 << 20);
  std::optional<std::string> mount = mounts ? find_cgroup2_mount(*mounts) : std::nullopt;
  return mount && ::access(mount->c_str(), W_OK) == 0 ? mount : std::nullopt;
}

TEST_CASE("a group holds its processes and those of the groups below it, is killed as one, and removed") {
  std::optional<std::string> mount = usable_mount();
  if (!mount) GITPROC_SKIP("no cgroup v2 tree that may be written to");
  std::string parent = "gitproc-test-" + std::to_string(::getpid());
  {
    Result<CgroupTree> tree = CgroupTree::open(*mount, parent);
    REQUIRE(tree);
    CHECK(CgroupTree::open(*mount, parent).error().code == ErrorCode::busy);
    CHECK_FALSE(tree->is_populated("web"));
    CHECK(tree->path_of("tasks") == "/" + parent + "/_tasks");
    CHECK(tree->service_of("/" + parent + "/_tasks/below") == "tasks");
    CHECK(tree->service_of("/" + parent + "x/web") == "");

    Result<CgroupTree::Entrance> entrance = tree->enter("web");
    REQUIRE(entrance);
    CHECK(entrance->is_new);
    CHECK_FALSE(tree->enter("web")->is_new);
    const UniqueFd& group = entrance->group;
    CHECK_FALSE(tree->is_populated("web"));
    pid_t child = ::fork();
    if (child == 0) {
      for (;;)
        ::pause();
    }
    REQUIRE(::mkdirat(group.get(), "below", 0755) == 0);
    Result<UniqueFd> procs = open_file_at(group.get(), "below/cgroup.procs", O_WRONLY);
    REQUIRE(write_all(procs->get(), std::to_string(child)) == 0);
    CHECK(tree->is_populated("web"));
    CHECK(tree->processes("web") == std::vector<Pid>{child});
    CHECK(tree->remove("web").error().code == ErrorCode::busy);
    CHECK_FALSE(tree->enter("web")->joins_after_birth);
    if (!tree->kill_all("web")) ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WTERMSIG(status) == SIGKILL);
    CHECK_FALSE(tree->is_populated("web"));
    CHECK(tree->enter("web")->is_new);
    CHECK(tree->remove("web"));
    CHECK(tree->remove("web"));
    CHECK(tree->kill_all("web"));
    CHECK(tree->processes("web").empty());
  }
  CHECK(::rmdir((*mount + "/" + parent).c_str()) == 0);
}

}  // namespace
}  // namespace gitproc
