// Real git servers for the tests of remotes, each on a port of its own of the loopback interface, and a proxy that
// does to a connection what bad networks and bad servers do. What a machine lacks is said by missing_*().
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace e2e {

class Network;

// A program that runs until the object goes.
class Child {
 public:
  explicit Child(const std::vector<std::string>& command, const std::string& log = "/dev/null");
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

// A port that was free a moment ago.
int free_port();
// Waits until somebody listens there; fails the test otherwise.
void await_port(int port);
// Whether the program is there, in PATH or the folders of daemons.
bool has_program(const std::string& name);

// git http-backend behind nginx: /open/NAME for everybody, /closed/NAME for user ada with `password`.
class HttpServer {
 public:
  // "" when nginx and fcgiwrap are there.
  static std::string missing();
  // Serves the repositories of `root`; with `is_tls` by a certificate of its own authority, ca_file().
  HttpServer(const std::string& folder, const std::string& root, const std::string& password,
             bool is_tls = false);

  std::string url(const std::string& path) const;
  // Of a TLS server: plain http, and redirected to url(path).
  std::string redirecting_url(const std::string& path) const;
  int port() const { return port_; }
  std::string ca_file() const { return folder_ + "/ca.pem"; }

 private:
  std::string folder_;
  bool is_tls_;
  int port_;
  int redirecting_port_;
  std::vector<std::unique_ptr<Child>> children_;
};

class GitDaemon {
 public:
  explicit GitDaemon(const std::string& root);
  // At the server of `network`.
  GitDaemon(const std::string& root, const Network& network);
  std::string url(const std::string& name) const {
    return "git://" + address_ + ":" + std::to_string(port_) + "/" + name;
  }
  int port() const { return port_; }

 private:
  std::string address_ = "127.0.0.1";
  int port_;
  std::unique_ptr<Child> child_;
};

// sshd for one user (whoever runs the tests) with one client key; known_hosts() is right until the host key changes.
class SshServer {
 public:
  static std::string missing();
  // `key_type` of the client's key: "ed25519", "rsa", "ecdsa".
  explicit SshServer(const std::string& folder, const std::string& key_type = "ed25519");

  std::string url(const std::string& path) const;
  std::string client_key() const { return folder_ + "/client"; }
  std::string known_hosts() const { return folder_ + "/known_hosts"; }
  // Ends the server and starts it again with another host key.
  void change_host_key();

 private:
  void start();
  void write_known_hosts();

  std::string folder_;
  int port_;
  std::unique_ptr<Child> child_;
};

// Stands before a server. Each new connection is treated by the mode that is set then.
class FaultyProxy {
 public:
  enum class Mode {
    pass,
    silent,   // takes the connection and says nothing
    cut,      // closes after `limit` bytes of the server
    hang,     // says no more after `limit` bytes of the server
    garbage,  // answers noise
  };

  explicit FaultyProxy(int server_port);
  ~FaultyProxy();
  FaultyProxy(const FaultyProxy&) = delete;
  FaultyProxy& operator=(const FaultyProxy&) = delete;

  void set(Mode mode, std::size_t limit = 0);
  int port() const { return port_; }
  unsigned connections() const { return connections_; }

 private:
  struct Connection {
    int client = -1, server = -1;
    Mode mode = Mode::pass;
    std::size_t limit = 0, sent = 0;
  };
  void run();
  void accept_one();
  bool pass_on(Connection& connection, bool from_server);

  const int server_port_;
  int port_ = 0;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  std::atomic<Mode> mode_{Mode::pass};
  std::atomic<std::size_t> limit_{0};
  std::atomic<unsigned> connections_{0};
  std::vector<Connection> open_;
  std::thread thread_;
};

}  // namespace e2e
