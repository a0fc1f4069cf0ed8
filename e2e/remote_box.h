// What the tests of remotes begin with: an author, what is served, and a node that clones it.
#pragma once

#include <string>
#include <vector>

#include "e2e/harness.h"

namespace e2e {

// The sandbox's repository is the author's here; the agent has a clone of its own, and between them a bare one.
class RemoteBox : public Sandbox {
 public:
  explicit RemoteBox(uid_t user = 0);

  std::string served() const { return path("served/units.git"); }
  std::string clone() const { return path("clone"); }
  const std::string& first() const { return first_; }

  // Commits what is there and pushes it; the commit.
  std::string push(const std::string& message = "change", bool is_forced = false);
  // A push that restarts `web`.
  std::string change(const std::string& seconds);

  // Starts an agent that follows `url` and asks it by itself once an hour, unless `more` says otherwise.
  void start(const std::string& url, std::vector<std::string> more = {});

  std::string remote_error() { return status()["remote"]["error"]; }
  void expect_remote_error(const std::string& words);
  // The first line of what git says in the node's clone.
  std::string in_clone(std::vector<std::string> arguments);

 private:
  std::string first_;
};

}  // namespace e2e
