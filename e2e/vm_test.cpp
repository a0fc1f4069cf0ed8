// The stories of limits_test.cpp in a small virtual machine of pure cgroup v2, where the tool for it is beside the
// project.
#include <unistd.h>

#include <filesystem>
#include <string>

#include "e2e/harness.h"

using namespace e2e;

namespace {

std::string vm_tool() { return std::string(GITPROC_SOURCE_DIR) + "/../shared/vm/run-in-vm"; }

void run_limits_in(const std::string& kind) {
  if (::access(vm_tool().c_str(), X_OK) != 0)
    GITPROC_SKIP("no tool for virtual machines at ../shared/vm beside the project");
  std::string self = std::filesystem::read_symlink("/proc/self/exe");
  // A disk, so that there is a device whose limits can hold.
  Sandbox box;
  Outcome outcome = run({vm_tool(), "--cgroup", kind, "--mem", "2000", "--timeout", "500", "--disk",
                         box.path("disk"), "--env", "TMPDIR=/data", "--", self, "[limits]"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find("All tests passed") != std::string::npos);  // and there were some
}

}  // namespace

TEST_CASE("limits hold on a machine of cgroup v2 alone", "[vm]") { run_limits_in("v2"); }
