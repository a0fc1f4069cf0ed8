// The least of a git server over http: it says which branches a repository has, over and over, as `git http-backend`
// would. That is all that a poll without news asks for.
#pragma once

#include <string>
#include <thread>

namespace gitproc::bench {

class Advertisement {
 public:
  // Of the repository as it is now, on a port of the loopback interface; throws std::runtime_error.
  explicit Advertisement(const std::string& repository);
  ~Advertisement();
  Advertisement(const Advertisement&) = delete;
  Advertisement& operator=(const Advertisement&) = delete;

  const std::string& url() const { return url_; }

 private:
  void serve();

  std::string answer_;
  std::string url_;
  int listener_ = -1;
  std::thread thread_;
};

}  // namespace gitproc::bench
