#include "drivers/process/inotify_watches.h"

#include <sys/inotify.h>

#include <algorithm>
#include <set>

#include "drivers/base/system_call.h"

namespace gitproc {

InotifyWatches::InotifyWatches() : inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}

bool InotifyWatches::add(ServiceId service, const std::string& path, std::uint32_t mask) {
  int watch = ::inotify_add_watch(inotify_.get(), path.c_str(), mask);
  if (watch < 0) return false;
  std::vector<int>& watches = watches_[index_of(service)];
  if (std::ranges::find(watches, watch) != watches.end()) return true;
  watches.push_back(watch);
  services_[watch].push_back(service);
  return true;
}

void InotifyWatches::remove(ServiceId service) {
  auto watches = watches_.find(index_of(service));
  if (watches == watches_.end()) return;
  for (int watch : watches->second) {
    std::vector<ServiceId>& services = services_[watch];
    std::erase(services, service);
    if (!services.empty()) continue;
    services_.erase(watch);
    ::inotify_rm_watch(inotify_.get(), watch);  // fails where the directory is gone, and the watch with it
  }
  watches_.erase(watches);
}

std::vector<ServiceId> InotifyWatches::read() {
  static constexpr int reads_at_once = 64;
  std::set<ServiceId> touched;
  alignas(inotify_event) char buffer[16 * 1024];
  for (int i = 0; i < reads_at_once; ++i) {
    ssize_t length = retry_on_interrupt([&] { return ::read(inotify_.get(), buffer, sizeof buffer); });
    if (length <= 0) break;
    for (char* at = buffer; at < buffer + length;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        for (const auto& [watch, services] : services_)
          touched.insert(services.begin(), services.end());
      } else if (auto found = services_.find(event->wd); found != services_.end()) {
        touched.insert(found->second.begin(), found->second.end());
        if ((event->mask & IN_IGNORED) != 0) {
          for (ServiceId service : found->second)
            std::erase(watches_[index_of(service)], event->wd);
          services_.erase(found);
        }
      }
    }
  }
  return {touched.begin(), touched.end()};
}

}  // namespace gitproc
