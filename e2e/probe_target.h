// What 1,000 services' health probes are sent to: one HTTP server for all of them that notes when each was asked, and
// of some endpoints takes the question and never answers.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace e2e {

class ProbeTarget {
 public:
  using Clock = std::chrono::steady_clock;

  ProbeTarget();
  ~ProbeTarget();
  ProbeTarget(const ProbeTarget&) = delete;
  ProbeTarget& operator=(const ProbeTarget&) = delete;

  std::string url(unsigned endpoint) const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/" + std::to_string(endpoint);
  }
  // From now on endpoints below this number hang.
  void hang_below(unsigned endpoint) { hanging_ = endpoint; }
  // When each endpoint was asked since the last call of this.
  std::map<unsigned, std::vector<Clock::time_point>> take_questions();

 private:
  void run();
  void accept_all();
  void answer(int client);

  int listener_ = -1;
  int epoll_ = -1;
  int port_ = 0;
  std::atomic<unsigned> hanging_ = 0;
  std::atomic<bool> is_stopped_ = false;
  std::mutex mutex_;
  std::map<unsigned, std::vector<Clock::time_point>> questions_;
  std::thread thread_;
};

}  // namespace e2e
