#include "e2e/remote_box.h"

#include <unistd.h>

#include <filesystem>

namespace e2e {

RemoteBox::RemoteBox(uid_t user) : Sandbox(user) {
  std::filesystem::create_directories(path("served"));
  if (user != 0) (void)!::chown(path("served").c_str(), user, user);
  run({"git", "init", "-q", "--bare", "-b", "main", served()}, "", user);
  git({"remote", "add", "origin", served()});
  write("web.service", sleeper);
  first_ = push("first");
}

std::string RemoteBox::push(const std::string& message, bool is_forced) {
  std::string id = commit(message);
  if (is_forced) {
    git({"push", "-q", "--force", "origin", "main"});
  } else {
    git({"push", "-q", "origin", "main"});
  }
  return id;
}

std::string RemoteBox::change(const std::string& seconds) {
  write("web.service", "[Service]\nExecStart=/bin/sleep " + seconds + "\n");
  return push("sleep " + seconds);
}

void RemoteBox::start(const std::string& url, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"--set", "repo=" + clone(), "--remote",
                                        url,     "--set",           "remote.poll_interval=1h"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  start_agent(arguments);
}

void RemoteBox::expect_remote_error(const std::string& words) {
  std::string last;
  bool has_come = wait_until([&] { return (last = remote_error()).find(words) != std::string::npos; });
  INFO("the remote's error is: " << last);
  CHECK(has_come);
}

std::string RemoteBox::in_clone(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"git", "-c", "safe.directory=*", "-C", clone()});
  std::string out = run(arguments).out;
  return out.substr(0, out.find('\n'));
}

}  // namespace e2e
