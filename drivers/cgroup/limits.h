// What a unit's resource control comes to in the kernel's files: a list of values to write, for each controller in
// the version of cgroups where it lives on this machine. Pure: the machine's figures come in as facts.
//
// Values follow systemd.resource-control(5) of version 252 and the kernel's admin-guide/cgroup-v2 and cgroup-v1:
//
//     directive            v2                        v1
//     CPUWeight=           cpu.weight, cpu.idle      cpu.shares, cpu.idle
//     CPUQuota=            cpu.max                   cpu.cfs_quota_us, cpu.cfs_period_us
//     AllowedCPUs=         cpuset.cpus               cpuset.cpus
//     AllowedMemoryNodes=  cpuset.mems               cpuset.mems
//     MemoryMax=           memory.max                memory.limit_in_bytes
//     MemorySwapMax=       memory.swap.max           memory.memsw.limit_in_bytes, which is both together
//     MemoryMin=, Low=     memory.min, memory.low    (nothing)
//     MemoryHigh=          memory.high               (nothing)
//     TasksMax=            pids.max                  pids.max
//     IOWeight=            io.weight, io.bfq.weight  blkio.bfq.weight
//     IO...Max=            io.max                    blkio.throttle.*_device
//     OOMPolicy=kill       memory.oom.group          (nothing)
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/unit/unit.h"

namespace gitproc {

enum class CgroupVersion { v1, v2 };

struct LimitFacts {
  std::uint64_t memory_bytes = 0;   // what a share of the memory is of
  std::uint64_t tasks = 0;          // what a share of the tasks is of
  std::uint64_t page_bytes = 4096;  // the kernel keeps limits of memory in whole pages
  std::uint64_t online_cpus = 1;
  std::map<std::string, std::string> devices;  // "MAJOR:MINOR" by path, for those that are backed by a device
};

struct LimitWrite {
  std::string controller;  // as the directory of v1 and the file's prefix of v2 have it: "cpu", "blkio"
  std::string file;
  std::string key;    // of files with a line for each device: "8:0 " or "8:0 rbps="; "" for plain files
  std::string value;  // without the key
  std::string reset;  // what takes the limit back; "@parent" what the parent group has
  std::string directive;
  // Each block scheduler has a file of its own, and not every kernel has all of them: one of those of the same
  // directive and device is enough.
  bool is_one_of_several = false;

  std::string text() const { return key + value; }
  bool operator==(const LimitWrite&) const = default;
};

inline constexpr std::string_view value_of_parent = "@parent";

struct LimitPlan {
  std::vector<LimitWrite> writes;  // in the order in which they are to be made
  // What no file can hold: "MemoryHigh= (no such limit in cgroup v1)".
  struct Lack {
    std::string controller;
    std::string directive;
    std::string why;

    bool operator==(const Lack&) const = default;
  };
  std::vector<Lack> lacks;

  bool operator==(const LimitPlan&) const = default;
};

// Where the controllers live, by their v2 name: "cpu", "cpuset", "io", "memory", "pids"; one that is not in the map is
// nowhere.
using ControllerVersions = std::map<std::string, CgroupVersion, std::less<>>;

LimitPlan plan_limits(const ResourceControl& resources, const ControllerVersions& controllers,
                      const LimitFacts& facts);

// What brings a group that was made by `from` to `to`: what is no longer limited is taken back first.
std::vector<LimitWrite> limit_changes(const LimitPlan& from, const LimitPlan& to);

// The controllers of v2 that the plan or a delegation needs, sorted.
std::vector<std::string> needed_controllers(const ResourceControl& resources,
                                            const ControllerVersions& controllers);

// All paths whose device has to be known.
std::vector<std::string> device_paths(const ResourceControl& resources);

}  // namespace gitproc
