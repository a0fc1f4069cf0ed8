// A small network for tests of many hosts: a namespace for each host and one for what they share, joined by a bridge.
// Nothing of it is on the machine's own network. Where namespaces cannot be had the hosts share the loopback interface.
#pragma once

#include <string>
#include <vector>

namespace e2e {

class Network {
 public:
  // With `hosts` hosts, numbered from 0.
  explicit Network(unsigned hosts);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // "" when each host has a namespace of its own; else why not.
  const std::string& missing() const { return missing_; }

  // What is put before a command so that it runs there; nothing without namespaces.
  std::vector<std::string> on_host(unsigned host) const;
  std::vector<std::string> on_server() const;
  // The server's address, as the hosts see it.
  std::string server_address() const;

  // Takes a host off the bridge, or puts it back. Needs namespaces.
  void set_link(unsigned host, bool is_up);

 private:
  std::string space(const std::string& name) const { return prefix_ + name; }
  std::string join(unsigned host);

  std::string prefix_;
  std::string missing_;
  std::vector<std::string> made_;
};

}  // namespace e2e
