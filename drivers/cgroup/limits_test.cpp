#include "drivers/cgroup/limits.h"

#include "reconcile/unit/loader.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

using Lines = std::vector<std::string>;
constexpr CgroupVersion v1 = CgroupVersion::v1, v2 = CgroupVersion::v2;

const ControllerVersions all_v2 = {{"cpu", v2}, {"cpuset", v2}, {"io", v2}, {"memory", v2}, {"pids", v2}};
const ControllerVersions all_v1 = {{"cpu", v1}, {"cpuset", v1}, {"io", v1}, {"memory", v1}, {"pids", v1}};
const LimitFacts facts = {
    .memory_bytes = 8ull << 30, .tasks = 30'000, .page_bytes = 4096, .devices = {{"/dev/sda", "8:0"}}};

ResourceControl resources_of(const std::string& text) {
  UnitLoad loaded =
      load_unit("x", {{.path = "x.service", .blob = {}, .text = "[Service]\nExecStart=/x\n" + text}}, {});
  REQUIRE(loaded.unit);
  return *loaded.unit->resources;
}

Lines lines_of(const std::vector<LimitWrite>& writes) {
  Lines lines;
  for (const LimitWrite& write : writes)
    lines.push_back(write.file + ": " + write.text());
  return lines;
}

Lines plan(const std::string& text, const ControllerVersions& controllers) {
  LimitPlan made = plan_limits(resources_of(text), controllers, facts);
  Lines lines = lines_of(made.writes);
  for (const LimitPlan::Lack& lack : made.lacks)
    lines.push_back("not " + lack.directive + " (" + lack.why + ")");
  return lines;
}

TEST_CASE("each directive has its file in either version") {
  std::string cpu = "CPUWeight=200\nCPUQuota=150%\nAllowedCPUs=0-1,3\nAllowedMemoryNodes=0\n";
  CHECK(plan(cpu, all_v2) ==
        Lines{"cpu.weight: 200", "cpu.max: 150000 100000", "cpuset.cpus: 0-1,3", "cpuset.mems: 0"});
  CHECK(plan(cpu, all_v1) == Lines{"cpu.shares: 2048", "cpu.cfs_period_us: 100000",
                                   "cpu.cfs_quota_us: 150000", "cpuset.cpus: 0-1,3", "cpuset.mems: 0"});
  CHECK(plan("CPUWeight=idle", all_v2) == Lines{"cpu.idle: 1"});

  std::string memory =
      "MemoryMin=1M\nMemoryLow=2M\nMemoryHigh=3M\nMemoryMax=4M\nMemorySwapMax=0\nOOMPolicy=kill\n";
  CHECK(plan(memory, all_v2) == Lines{"memory.min: 1048576", "memory.low: 2097152", "memory.high: 3145728",
                                      "memory.max: 4194304", "memory.swap.max: 0", "memory.oom.group: 1"});
  CHECK(plan(memory, all_v1) ==
        Lines{"memory.limit_in_bytes: 4194304", "memory.memsw.limit_in_bytes: 4194304",
              "not MemoryMin= (no such limit in cgroup v1)", "not MemoryLow= (no such limit in cgroup v1)",
              "not MemoryHigh= (no such limit in cgroup v1)",
              "not OOMPolicy=kill (no such limit in cgroup v1)"});
  CHECK(plan("MemorySwapMax=1M", all_v1) ==
        Lines{"not MemorySwapMax= (cgroup v1 has it only together with MemoryMax=)"});

  CHECK(plan("TasksMax=7", all_v2) == Lines{"pids.max: 7"});
  CHECK(plan("TasksMax=7", all_v1) == Lines{"pids.max: 7"});

  std::string io =
      "IOWeight=1000\nIODeviceWeight=/dev/sda 50\nIOReadBandwidthMax=/dev/sda 5M\nIOWriteIOPSMax=/dev/sda "
      "10\n";
  CHECK(plan(io, all_v2) == Lines{"io.weight: default 1000", "io.bfq.weight: default 181",
                                  "io.weight: 8:0 50", "io.bfq.weight: 8:0 50", "io.max: 8:0 rbps=5000000",
                                  "io.max: 8:0 wiops=10"});
  CHECK(plan(io, all_v1) == Lines{"blkio.bfq.weight: 181", "blkio.bfq.weight_device: 8:0 50",
                                  "blkio.throttle.read_bps_device: 8:0 5000000",
                                  "blkio.throttle.write_iops_device: 8:0 10"});
}

TEST_CASE("amounts: shares of the machine, whole pages, and no limit") {
  CHECK(plan("MemoryMax=50%\nTasksMax=50%", all_v2) == Lines{"memory.max: 4294967296", "pids.max: 15000"});
  CHECK(plan("MemoryMax=12.5%\nTasksMax=0.01%", all_v2) == Lines{"memory.max: 1073741824", "pids.max: 3"});
  CHECK(plan("MemoryMax=10000", all_v2) == Lines{"memory.max: 8192"});
  CHECK(plan("MemoryMax=infinity\nTasksMax=infinity", all_v2) == Lines{"memory.max: max", "pids.max: max"});
  CHECK(plan("MemoryMax=infinity", all_v1) == Lines{"memory.limit_in_bytes: -1"});
}

TEST_CASE("a quota below a millisecond gets a longer period, within what the kernel takes") {
  CHECK(plan("CPUQuota=20%", all_v2) == Lines{"cpu.max: 20000 100000"});
  CHECK(plan("CPUQuota=0.5%", all_v2) == Lines{"cpu.max: 1000 200000"});
  CHECK(plan("CPUQuota=0.01%", all_v2) == Lines{"cpu.max: 1000 1000000"});
  CHECK(plan("CPUQuota=200%\nCPUQuotaPeriodSec=10ms", all_v2) == Lines{"cpu.max: 20000 10000"});
  CHECK(plan("CPUQuota=50%\nCPUQuotaPeriodSec=1us", all_v2) == Lines{"cpu.max: 1000 2000"});
  CHECK(plan("CPUQuota=50%\nCPUQuotaPeriodSec=1min", all_v2) == Lines{"cpu.max: 500000 1000000"});
}

TEST_CASE("what has no controller or no device is told, the rest is done") {
  CHECK(plan("CPUQuota=20%\nTasksMax=7\nIOWeight=5\nIOReadBandwidthMax=/dev/sda 5M", {{"pids", v2}}) ==
        Lines{"pids.max: 7", "not CPUQuota= (no such controller)", "not IOWeight= (no such controller)",
              "not IOReadBandwidthMax= (no such controller)"});
  CHECK(plan("IOReadBandwidthMax=/nowhere 5M", all_v2) ==
        Lines{"not IOReadBandwidthMax= (no block device is behind '/nowhere')"});
}

TEST_CASE("what is no longer limited is taken back first") {
  auto changes = [](const std::string& from, const std::string& to, const ControllerVersions& controllers) {
    return lines_of(limit_changes(plan_limits(resources_of(from), controllers, facts),
                                  plan_limits(resources_of(to), controllers, facts)));
  };
  CHECK(changes("MemoryMax=4M\nTasksMax=7\nCPUWeight=5", "TasksMax=8", all_v2) ==
        Lines{"cpu.weight: 100", "memory.max: max", "pids.max: 8"});
  CHECK(changes("CPUWeight=idle", "CPUWeight=5", all_v2) == Lines{"cpu.idle: 0", "cpu.weight: 5"});
  CHECK(changes("IOReadIOPSMax=/dev/sda 5\nIOWriteIOPSMax=/dev/sda 6", "IOWriteIOPSMax=/dev/sda 7", all_v2) ==
        Lines{"io.max: 8:0 riops=max", "io.max: 8:0 wiops=7"});
  CHECK(changes("CPUQuota=20%\nAllowedCPUs=0", "", all_v1) ==
        Lines{"cpu.cfs_period_us: 100000", "cpu.cfs_quota_us: -1", "cpuset.cpus: @parent"});
  CHECK(changes("", "", all_v2).empty());
}

TEST_CASE("only the controllers that a unit uses or is given are enabled, where v2 has them") {
  auto needed = [](const std::string& text, const ControllerVersions& controllers) {
    return needed_controllers(resources_of(text), controllers);
  };
  CHECK(needed("", all_v2).empty());
  CHECK(needed("OOMPolicy=continue", all_v2).empty());
  CHECK(needed("MemoryHigh=1G\nCPUQuota=5%", all_v2) == Lines{"cpu", "memory"});
  CHECK(needed("MemoryHigh=1G\nCPUQuota=5%", all_v1).empty());
  CHECK(needed("Delegate=yes", all_v2) == Lines{"cpu", "cpuset", "io", "memory", "pids"});
  CHECK(needed("Delegate=pids\nTasksMax=5", all_v2) == Lines{"pids"});
}

}  // namespace
}  // namespace gitproc
