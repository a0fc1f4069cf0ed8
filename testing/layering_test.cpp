// The walls of the house, held by a test: who may include whom, and what the decisions may never name. It
// reads the sources as text, so a broken wall is reported as file:line before anything is linked.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "testing/catch.h"

namespace gitproc {
namespace {

// The rooms of reconcile/ from the ground up: each may use itself and those below. The vocabulary is the few
// files at the top of reconcile/ that say what happens and what is to be done.
constexpr std::string_view storeys[] = {"reconcile/base/",   "reconcile/trust/",      "reconcile/unit/",
                                        "reconcile/actual/", "reconcile/graph/",      "reconcile/desired/",
                                        "reconcile/plan/",   "reconcile/ vocabulary", "reconcile/lifecycle/",
                                        "reconcile/",        "reconcile/sim/"};
constexpr std::size_t vocabulary_storey = 7;
constexpr std::size_t reconciler_storey = 9;

// Heavy headers belong into .cpp files; these are the headers that exist to share them within one room.
struct HeavyHeader {
  std::string_view header;  // as the beginning of what is included
  std::string_view folder;  // where a header may include it; empty: nowhere
};
constexpr HeavyHeader heavy_headers[] = {
    {"asio", "agent/"},
    {"asio", "drivers/health/"},
    {"nlohmann/json.hpp", "agent/"},
    {"nlohmann/json.hpp", "e2e/"},
    {"httplib.h", ""},
    {"openssl/", ""},
    {"prometheus/", ""},
    {"spdlog/", ""},
    {"git2", "drivers/git/"},
    {"CLI/", "cli/"},
    {"curl/", "drivers/health/"},
};

constexpr std::string_view impure_headers[] = {
    "atomic", "condition_variable", "ctime",  "filesystem",    "fstream",      "future", "iostream", "mutex",
    "random", "stop_token",         "thread", "unordered_map", "unordered_set"};
constexpr std::string_view impure_names[] = {"system_clock", "steady_clock",  "high_resolution_clock",
                                             "::now(",       "random_device", "unordered_",
                                             "getenv("};

bool in(std::string_view path, std::string_view folder) { return path.starts_with(folder); }

bool is_test(std::string_view path) { return path.ends_with("_test.cpp") || path.ends_with("_fuzz.cpp"); }

std::string_view folder_of(std::string_view path) { return path.substr(0, path.rfind('/') + 1); }

std::size_t storey_of(std::string_view path) {
  for (std::string_view stem : {"reconcile/event.", "reconcile/command.", "reconcile/durable."}) {
    if (path.starts_with(stem)) return vocabulary_storey;
  }
  const auto* found = std::find(std::begin(storeys), std::end(storeys), folder_of(path));
  return static_cast<std::size_t>(found - std::begin(storeys));
}

bool may_use_reconcile(std::string_view included, std::size_t highest) {
  return in(included, "reconcile/") && storey_of(included) <= highest;
}

bool may_include(std::string_view path, std::string_view included) {
  if (is_test(path) && in(included, "testing/")) return true;
  if (in(path, "reconcile/")) return may_use_reconcile(included, storey_of(path));
  if (in(path, "drivers/")) {
    return in(included, folder_of(path)) || in(included, "drivers/base/") ||
           (in(path, "drivers/process/") && in(included, "drivers/cgroup/")) ||
           (in(path, "drivers/health/") && in(included, "drivers/web/")) ||
           may_use_reconcile(included, vocabulary_storey);
  }
  if (in(path, "agent/protocol/")) {
    return in(included, "agent/protocol/") || in(included, "reconcile/base/") ||
           included == "drivers/base/json_reader.h";
  }
  if (in(path, "agent/")) {
    return in(included, "agent/") || in(included, "drivers/") ||
           may_use_reconcile(included, reconciler_storey);
  }
  if (in(path, "cli/")) {
    // Tests stand in for main.
    const bool starts_agent = in(path, "cli/main.") || in(path, "cli/agent") || is_test(path);
    return in(included, "cli/") || in(included, "agent/protocol/") || in(included, "drivers/base/") ||
           in(included, "drivers/git/") || in(included, "drivers/logs/") ||
           may_use_reconcile(included, reconciler_storey) || (starts_agent && included == "agent/agent.h");
  }
  if (in(path, "e2e/")) return in(included, "e2e/") || in(included, "testing/");
  if (in(path, "bench/")) return in(included, "bench/");
  return in(path, "testing/") && in(included, "testing/");
}

// Deciding code is everything in reconcile/ but its tests and the program around the simulation.
bool decides(std::string_view path) {
  return in(path, "reconcile/") && !is_test(path) && path != "reconcile/sim/main.cpp";
}

// What is wrong with including a header of a library or the system, or nothing.
std::string fault_of_library(std::string_view path, std::string_view header) {
  const bool is_heavy_here = [&] {
    bool heavy = false;
    for (const HeavyHeader& rule : heavy_headers) {
      if (!header.starts_with(rule.header)) continue;
      if (!rule.folder.empty() && in(path, rule.folder)) return false;
      heavy = true;
    }
    return heavy;
  }();
  if (path.ends_with(".h") && is_heavy_here)
    return "a heavy header belongs into a .cpp file: <" + std::string(header) + ">";
  if (!decides(path)) return "";
  // Values that are shared, as by std::shared_ptr, are counted; no decision can see the count.
  if (path == "reconcile/base/defaulted.h" && header == "atomic") return "";
  const bool is_standard = header.find_first_of("/.") == std::string_view::npos;
  if (!is_standard || std::ranges::find(impure_headers, header) != std::end(impure_headers)) {
    return "a decision cannot use <" + std::string(header) + ">";
  }
  return "";
}

std::string fault_of_line(std::string_view path, const std::string& line) {
  static const std::regex include_line(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::smatch match;
  if (std::regex_search(line, match, include_line)) {
    const std::string included = match[2];
    if (match[1] == "<") return fault_of_library(path, included);
    return may_include(path, included)
               ? ""
               : std::string(folder_of(path)) + " may not include \"" + included + "\"";
  }
  if (!decides(path)) return "";
  const std::string code = line.substr(0, line.find("//"));
  for (std::string_view name : impure_names) {
    if (code.find(name) != std::string::npos) return "a decision cannot name " + std::string(name);
  }
  return "";
}

std::vector<std::string> broken_walls(const std::string& path, const std::string& text) {
  std::vector<std::string> broken;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string fault = fault_of_line(path, line);
    if (!fault.empty()) broken.push_back(path + ":" + std::to_string(number) + ": " + fault);
  }
  return broken;
}

using Walls = std::vector<std::string>;

TEST_CASE("the house keeps its walls", "[layering]") {
  const std::filesystem::path root = GITPROC_SOURCE_DIR;
  std::string report;
  int files = 0;
  for (const char* folder : {"reconcile", "drivers", "agent", "cli", "e2e", "testing", "bench"}) {
    if (!std::filesystem::is_directory(root / folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension();
      if (!entry.is_regular_file() || (extension != ".h" && extension != ".cpp")) continue;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      for (const std::string& fault : broken_walls(entry.path().lexically_relative(root), text.str())) {
        report += fault + "\n";
      }
      ++files;
    }
  }
  INFO(report);
  CHECK(report.empty());
  CHECK(files > 0);
}

TEST_CASE("a wall is broken by an include that points the wrong way", "[layering]") {
  CHECK(broken_walls("reconcile/unit/unit.h", "#pragma once\n#include \"reconcile/plan/plan.h\"\n") ==
        Walls{"reconcile/unit/unit.h:2: reconcile/unit/ may not include \"reconcile/plan/plan.h\""});
  CHECK(broken_walls("drivers/git/watcher.cpp", "#include \"drivers/process/spawner.h\"") ==
        Walls{"drivers/git/watcher.cpp:1: drivers/git/ may not include \"drivers/process/spawner.h\""});
  CHECK(broken_walls("drivers/process/spawner.cpp", "#include \"drivers/cgroup/layout.h\"").empty());
  CHECK(broken_walls("drivers/store/store.cpp", "#include \"reconcile/reconciler.h\"").size() == 1);
  CHECK(broken_walls("drivers/store/store.cpp", "#include \"reconcile/durable.h\"").empty());
  CHECK(broken_walls("agent/protocol/frame.cpp", "#include \"agent/agent.h\"").size() == 1);
  CHECK(broken_walls("agent/protocol/frame.cpp", "#include \"drivers/base/clock.h\"").size() == 1);
  CHECK(broken_walls("cli/list.cpp", "#include \"agent/agent.h\"").size() == 1);
  CHECK(broken_walls("cli/main.cpp", "#include \"agent/agent.h\"").empty());
  CHECK(broken_walls("e2e/loop_test.cpp", "#include \"reconcile/base/strings.h\"").size() == 1);
}

TEST_CASE("a decision names no clock, no chance and no order of addresses", "[layering]") {
  CHECK(broken_walls("reconcile/plan/plan.cpp",
                     "#include <random>\n#include <vector>\n#include <sys/wait.h>\n") ==
        Walls{"reconcile/plan/plan.cpp:1: a decision cannot use <random>",
              "reconcile/plan/plan.cpp:3: a decision cannot use <sys/wait.h>"});
  CHECK(broken_walls("reconcile/plan/plan.cpp", "auto t = std::chrono::steady_clock::now();").size() == 1);
  CHECK(broken_walls("reconcile/plan/plan.cpp", "int i;  // never steady_clock").empty());
  CHECK(broken_walls("reconcile/plan/plan_test.cpp", "#include <fstream>").empty());
}

TEST_CASE("a heavy header stays out of headers", "[layering]") {
  CHECK(broken_walls("drivers/store/store.h", "#include <nlohmann/json.hpp>") ==
        Walls{"drivers/store/store.h:1: a heavy header belongs into a .cpp file: <nlohmann/json.hpp>"});
  CHECK(broken_walls("drivers/store/store.cpp", "#include <nlohmann/json.hpp>").empty());
  CHECK(broken_walls("agent/protocol/message.h", "#include <nlohmann/json.hpp>").empty());
}

}  // namespace
}  // namespace gitproc
