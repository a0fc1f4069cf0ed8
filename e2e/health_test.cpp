// Health probes at scale: how punctual they are, what they cost, and whom endpoints that hang delay.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "e2e/harness.h"
#include "e2e/probe_target.h"

using namespace e2e;

namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::chrono::seconds window{5};

// How much later than a second after the one before a probe came, of all endpoints from `first` on, in order.
struct Lateness {
  std::vector<double> milliseconds;
  std::size_t endpoints = 0;

  double at(double share) const {
    return milliseconds.at(static_cast<std::size_t>(share * static_cast<double>(milliseconds.size() - 1)));
  }
};

Lateness measure(ProbeTarget& target, unsigned first) {
  target.take_questions();
  std::this_thread::sleep_for(window);  // what is measured is the time itself
  Lateness late;
  for (const auto& [endpoint, times] : target.take_questions()) {
    if (endpoint < first) continue;
    ++late.endpoints;
    for (std::size_t i = 1; i < times.size(); ++i)
      late.milliseconds.push_back(Milliseconds(times[i] - times[i - 1]).count() - 1000);
  }
  std::sort(late.milliseconds.begin(), late.milliseconds.end());
  return late;
}

void print(const std::string& what, const Lateness& late, double cpu) {
  std::cout << what << ": late by (ms) median " << late.at(0.5) << ", 99% " << late.at(0.99) << ", most "
            << late.at(1) << "; agent CPU " << cpu / static_cast<double>(window.count()) * 100 << "%\n";
}

}  // namespace

TEST_CASE("a thousand services are probed each second, and 100 that hang delay none of the others") {
  constexpr unsigned services = 1000, hanging = 100;
  ProbeTarget target;
  Sandbox box;
  for (unsigned i = 0; i < services; ++i)
    box.write("s" + std::to_string(i) + ".service",
              "[Service]\nExecStart=/bin/sleep infinity\n[X-GitProc]\nHealthCheckInterval=1s\n"
              "HealthCheckTimeout=3s\nHealthCheckAction=none\nHealthCheckURL=" +
                  target.url(i) + "\n");
  std::string commit = box.commit();
  box.start_agent();
  box.expect_applied(commit);

  double before = cpu_seconds(box.agent_pid());
  Lateness alone = measure(target, 0);
  print("1,000 probed each second", alone, cpu_seconds(box.agent_pid()) - before);
  CHECK(alone.endpoints == services);
  CHECK(alone.milliseconds.size() > services * (window.count() - 2));

  target.hang_below(hanging);
  box.expect("100 unhealthy services", [&] {
    Json list = box.cli_json({"list"})["services"];
    return std::ranges::count_if(
               list, [](const Json& service) { return service["health"] == "unhealthy"; }) == hanging;
  });
  before = cpu_seconds(box.agent_pid());
  Lateness beside = measure(target, hanging);
  print("beside 100 that hang", beside, cpu_seconds(box.agent_pid()) - before);
  CHECK(beside.endpoints == services - hanging);
  // A share of them, and a second for the worst: other work on this machine delays single probes.
  CHECK(beside.at(0.99) - alone.at(0.99) < 100);
  CHECK(beside.at(1) < 1000);
}
