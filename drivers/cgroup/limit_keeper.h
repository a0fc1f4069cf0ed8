// Brings services' groups to the limits of their units and keeps them there: in the v2 tree where that has the
// controller, in <v1 mount>/<parent>/NAME else, made only for limits that are set. What was written is read back, so
// that a value changed by hand is told from one that the kernel wrote down in its own way.
//
// A service without limits is none of its business: it costs nothing here.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "drivers/cgroup/layout.h"
#include "drivers/cgroup/limits.h"
#include "drivers/cgroup/oom_notice.h"
#include "drivers/cgroup/tree.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

class LimitKeeper {
 public:
  // `tree` outlives it. `parent` is the directory's name in v1 hierarchies.
  LimitKeeper(CgroupTree& tree, const V1Mounts& v1_mounts, std::string parent);
  ~LimitKeeper();

  // Nothing is to be written for it, now or to take back.
  bool is_idle(const Unit& unit) const;

  // For a process about to be spawned: writes what differs from what the group was brought to before.
  // `is_new`: the v2 group was made anew. Returns the v1 groups that the process has to enter by itself, opened for
  // writing. `owner`: who gets a delegated group.
  struct Owner {
    uid_t uid = 0;
    gid_t gid = 0;
  };
  std::vector<UniqueFd> prepare(const Unit& unit, bool is_new, std::optional<Owner> owner);

  // For a service that runs: writes all of it anew, and takes its processes along to v1 groups.
  void adjust(const Unit& unit);

  // Of the last prepare() or adjust(): what could not be had, in words ("cgroup io: IOWeight= is not enforced: ..."), and
  // whether anything was written, so that the service's directories have to be watched anew.
  const std::vector<std::string>& lacks() const { return lacks_; }
  bool has_written() const { return has_written_; }

  // What is not as it was left.
  struct Drift {
    std::string file;  // "memory.max"
    std::string wanted;
    std::string found;  // "" where the file is gone
  };
  std::optional<Drift> find_drift(const std::string& service) const;

  // The directories in which the service's values are, for inotify(7).
  std::vector<std::string> watched_directories(const std::string& service) const;
  // memory.events of a service whose memory is accounted for in v2; "" else.
  std::string oom_events_path(const std::string& service) const;

  // How often the kernel's OOM killer struck in the service's v1 group; nullopt where it has none.
  std::optional<std::uint64_t> v1_oom_kills(const std::string& service) const;
  // Readable when the counters of v1 groups may have changed; -1 where nothing tells.
  int oom_notice_fd() const { return oom_notice_ ? oom_notice_->fd() : -1; }
  bool take_oom_notice() { return oom_notice_ && oom_notice_->take(); }
  // The v1 group of a controller, for figures; "" where the service has none.
  std::string v1_directory(const std::string& service, std::string_view controller) const;

  // Removes the service's v1 groups; one that still holds a process stays.
  void remove(const std::string& service);

 private:
  struct Held {
    std::string path;
    std::string content;
  };
  struct Kept {
    ResourceControl resources;
    LimitPlan plan;
    std::vector<Held> held;
    std::vector<std::string> lacks;
    std::vector<std::string> v1_controllers;  // of which the service has a group
  };

  void bring(const Unit& unit, Kept& kept, bool is_known);
  bool write(const std::string& directory, const LimitWrite& write, std::string& why) const;
  Result<std::string> directory_for(const std::string& service, Kept& kept, const std::string& controller);
  Result<void> make_v1_parent(const std::string& controller);
  void read_facts(const ResourceControl& resources);
  void lack(std::string_view controller, std::string_view directive, std::string_view why);
  std::string v1_path(const std::string& service, std::string_view controller) const;

  CgroupTree& tree_;
  const V1Mounts v1_mounts_;
  const std::string parent_;
  ControllerVersions controllers_;
  LimitFacts facts_;
  std::vector<std::string> v1_parents_;  // controllers whose parent directory is ready
  std::unordered_map<std::string, Kept> kept_;
  std::optional<OomNotice> oom_notice_;  // where v1 accounts for memory
  std::vector<std::string> lacks_;
  bool has_written_ = false;
};

}  // namespace gitproc
