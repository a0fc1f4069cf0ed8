// inotify(7) for the driver: some services wait for a file or a directory to change, several may wait for the same
// one. An event says no more than "look again".
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "reconcile/base/ids.h"

namespace gitproc {

class InotifyWatches {
 public:
  InotifyWatches();

  int fd() const { return inotify_.get(); }

  // False where it cannot be watched: it does not exist, or the user's watches are used up.
  bool add(ServiceId service, const std::string& path, std::uint32_t mask);
  void remove(ServiceId service);

  // The services to look at again, each once. Where the kernel lost events these are all.
  std::vector<ServiceId> read();

 private:
  std::unordered_map<int, std::vector<ServiceId>> services_;     // by watch descriptor
  std::unordered_map<std::uint32_t, std::vector<int>> watches_;  // by service
  UniqueFd inotify_;
};

}  // namespace gitproc
