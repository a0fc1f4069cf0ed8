#include "e2e/network.h"

#include <unistd.h>

#include "e2e/harness.h"
#include "e2e/servers.h"

namespace e2e {
namespace {

// In namespaces only, so it is in nobody's way.
const std::string subnet = "10.211.0.";
const std::string host_device = "eth0";

// ip, within a namespace; "" or what it complains of.
std::string ip(const std::string& space, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"ip", "-n", space});
  Outcome outcome = run(arguments);
  return outcome.exit_code == 0 ? "" : "ip: " + outcome.err.substr(0, outcome.err.find('\n'));
}

std::vector<std::string> entering(const std::string& space) {
  // Unlike 'ip netns exec' it leaves /sys as it is, and so the cgroups.
  return {"nsenter", "--net=/run/netns/" + space, "--"};
}

}  // namespace

Network::Network(unsigned hosts) : prefix_("gitproc-e2e-" + std::to_string(::getpid()) + "-") {
  if (::geteuid() != 0) {
    missing_ = "network namespaces need root";
    return;
  }
  for (const char* program : {"ip", "nsenter"}) {
    if (!has_program(program)) {
      missing_ = std::string("network namespaces need ") + program;
      return;
    }
  }
  std::vector<std::string> names = {"server"};
  for (unsigned host = 0; host < hosts; ++host)
    names.push_back(std::to_string(host));
  for (const std::string& name : names) {
    Outcome added = run({"ip", "netns", "add", space(name)});
    if (added.exit_code != 0) {
      missing_ = "ip netns: " + added.err.substr(0, added.err.find('\n'));
      return;
    }
    made_.push_back(space(name));
    missing_ = ip(space(name), {"link", "set", "lo", "up"});
    if (!missing_.empty()) return;
  }
  for (const std::vector<std::string>& step :
       {std::vector<std::string>{"link", "add", "shared", "type", "bridge"},
        {"addr", "add", subnet + "1/24", "dev", "shared"},
        {"link", "set", "shared", "up"}}) {
    missing_ = ip(space("server"), step);
    if (!missing_.empty()) return;
  }
  for (unsigned host = 0; host < hosts && missing_.empty(); ++host)
    missing_ = join(host);
}

std::string Network::join(unsigned host) {
  std::string number = std::to_string(host);
  std::string failed = ip(space("server"), {"link", "add", "host" + number, "master", "shared", "type",
                                            "veth", "peer", "name", host_device, "netns", space(number)});
  if (failed.empty()) failed = ip(space("server"), {"link", "set", "host" + number, "up"});
  if (failed.empty())
    failed =
        ip(space(number), {"addr", "add", subnet + std::to_string(host + 10) + "/24", "dev", host_device});
  if (failed.empty()) failed = ip(space(number), {"link", "set", host_device, "up"});
  return failed;
}

Network::~Network() {
  for (const std::string& name : made_)
    run({"ip", "netns", "delete", name});
}

std::vector<std::string> Network::on_host(unsigned host) const {
  return missing_.empty() ? entering(space(std::to_string(host))) : std::vector<std::string>{};
}

std::vector<std::string> Network::on_server() const {
  return missing_.empty() ? entering(space("server")) : std::vector<std::string>{};
}

std::string Network::server_address() const { return missing_.empty() ? subnet + "1" : "127.0.0.1"; }

void Network::set_link(unsigned host, bool is_up) {
  REQUIRE(ip(space("server"), {"link", "set", "host" + std::to_string(host), is_up ? "up" : "down"}) == "");
}

}  // namespace e2e
