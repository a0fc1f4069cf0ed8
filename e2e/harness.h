// What the black-box tests are written in: a folder of its own for each test, a git repository in it, an agent that
// can be killed, and the command line. Nothing sleeps: a condition is waited for with a deadline, and when it does
// not come, the last thing seen is shown.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "testing/catch.h"

namespace e2e {

using Json = nlohmann::json;

inline constexpr std::chrono::seconds patience{30};

struct Outcome {
  int exit_code = -1;  // 128 + signal where one ended it
  std::string out;
  std::string err;
};

// Runs a program to its end; `input` goes to its standard input. As `user` (uid) where that is not 0.
Outcome run(const std::vector<std::string>& command, const std::string& input = "", uid_t user = 0);

// True as soon as `condition` is; false after `limit`.
bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds limit = patience);

bool is_alive(pid_t pid);  // not a zombie, either
// CPU time of a process so far, in seconds (proc(5)).
double cpu_seconds(pid_t pid);
std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);

class Sandbox {
 public:
  // `user`: the uid that agent, git and services run as; 0 is who runs the tests.
  explicit Sandbox(uid_t user = 0);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string repo() const { return path("repo"); }

  // --- git ---
  Outcome git(std::vector<std::string> arguments);
  void write(const std::string& file, const std::string& text) { write_text(repo() + "/" + file, text); }
  void remove(const std::string& file);
  // Adds everything and commits; the new commit's hash.
  std::string commit(const std::string& message = "change");
  std::string head();  // the hash of what is checked out

  // --- the agent; it takes its services along when it ends, but for `on_exit=leave` and a SIGKILL ---
  void start_agent(std::vector<std::string> more = {});
  // From now on the agent is started by that command, which becomes what it is given: nsenter, say.
  void set_launcher(std::vector<std::string> command) { launcher_ = std::move(command); }
  // Starts it without waiting for its socket; for agents that are to fail.
  Outcome run_agent_to_its_end(std::vector<std::string> more = {});
  void kill_agent(int signal = 9);  // and waits for its end
  int stop_agent(int signal = 15);  // its exit code
  pid_t agent_pid() const { return agent_; }
  bool is_agent_alive() const { return agent_ > 0 && is_alive(agent_); }
  std::string agent_log() const { return read_text(path("log/daemon.log")); }

  // --- the command line ---
  Outcome cli(std::vector<std::string> arguments);
  Json cli_json(std::vector<std::string> arguments);  // with --json; fails the test unless it is one document
  Json status() { return cli_json({"status"}); }
  // A service of `list`; null when there is none.
  Json service(const std::string& name);
  std::string state(const std::string& name);
  pid_t pid(const std::string& name);  // 0 when it has none
  // A connection to the control socket; the caller closes it.
  int connect();
  // Sends one line to the socket and returns the answer's line.
  std::string ask(const std::string& line);

  // Waits until the service has that state; fails the test with what it was instead.
  void expect_state(const std::string& name, const std::string& state);
  void expect_sync(const std::string& sync);
  // Waits until the applied commit is `commit` and nothing moves any more.
  void expect_applied(const std::string& commit);
  void expect(const std::string& what, const std::function<bool()>& condition);

 private:
  std::vector<std::string> agent_command(std::vector<std::string> more) const;

  std::string folder_;
  std::vector<std::string> launcher_;
  uid_t user_ = 0;
  pid_t agent_ = -1;
};

// A unit that does nothing, for long.
inline const std::string sleeper = "[Service]\nExecStart=/bin/sleep 1000\n";

// A unit that appends "ARGUMENT PID" to `file` at each start and then sleeps; in no PID namespace, so that the PID means
// the same here.
std::string counting_unit(const std::string& file, const std::string& argument = "1",
                          const std::string& more = "");

}  // namespace e2e
