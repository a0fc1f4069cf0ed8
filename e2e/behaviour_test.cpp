// What systemd 252 was seen to do with 73 services: how a start, stop, reload or restart ends, the state, result and exit
// code after it, and which commands ran and signals arrived (testdata/systemd-behaviour.json, a scenario a line). Where
// GitProc differs on purpose the scenario says what GitProc does:
//   - ExecCondition= that says no is the result "condition" (systemd: success);
//   - a start of Type=simple fails where the program is missing (systemd only sees it later);
//   - an operator's start or restart counts in no start limit and waits for no RestartSec=: those three are left out.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "e2e/harness.h"

using namespace e2e;

namespace {

using Lines = std::vector<std::string>;

constexpr std::string_view place_holder = "@T@";  // stands for the scenario's folder

std::string placed(std::string text, const std::string& folder) {
  for (std::size_t at = 0; (at = text.find(place_holder)) != std::string::npos;)
    text.replace(at, place_holder.size(), folder);
  return text;
}

void write_script(const std::string& path, const std::string& body) {
  write_text(path, "#!/bin/bash\nd=$(dirname \"$0\")\n" + body + "while :; do sleep 0.05; done\n");
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
}

// The programs that the scenarios run: they write down what reaches them.
void write_programs(const std::string& folder) {
  write_script(folder + "/ign.sh",
               "trap '' TERM INT HUP USR1\ntrap 'echo '$1'-CONT >> '$d'/log' CONT\necho $1-up >> $d/log\n");
  write_script(folder + "/sess.sh",
               "trap 'echo sess-TERM >> '$d'/log' TERM\ntrap 'echo sess-CONT >> '$d'/log' CONT\necho sess-up "
               ">> $d/log\n");
  write_script(folder + "/tree.sh",
               "trap 'echo main-TERM >> '$d'/log; exit 0' TERM\n$d/ign.sh child &\nsetsid $d/sess.sh &\n"
               "echo main-up >> $d/log\n");
  write_script(folder + "/sig.py",
               "for s in HUP INT QUIT ABRT USR1 TERM CONT; do trap \"echo $1-SIG$s >> $d/log\" $s; done\n"
               "echo $1-up >> $d/log\n");
  write_text(folder + "/noshebang.sh", "echo x\n");
  REQUIRE(::chmod((folder + "/noshebang.sh").c_str(), 0755) == 0);
}

// Sorted: two processes write at once. The number of a process is not the same twice.
Lines log_of(const std::string& folder) {
  std::istringstream text(read_text(folder + "/log"));
  Lines lines;
  for (std::string line; std::getline(text, line);) {
    std::size_t number = line.find("MAINPID=");
    if (number != std::string::npos) number += std::string_view("MAINPID=").size();
    if (number < line.size() && std::isdigit(static_cast<unsigned char>(line[number])) != 0)
      line = line.substr(0, number) + "PID";
    lines.push_back(std::move(line));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

bool catches_term(pid_t pid) {
  std::istringstream status(read_text("/proc/" + std::to_string(pid) + "/status"));
  for (std::string key, value; status >> key;) {
    if (key != "SigCgt:") continue;
    status >> value;
    constexpr unsigned long long term = 1ull << 14;
    return (std::stoull(value, nullptr, 16) & term) != 0;
  }
  return false;
}

// What a shell is to do with signals it says a moment after it is running.
void wait_for_traps(Sandbox& box, const std::string& name, const std::string& unit,
                    const std::string& folder) {
  bool is_running = box.state(name) == "running";
  if (!is_running) return;
  std::size_t programs = unit.find("tree.sh") != unit.npos                                      ? 3
                         : unit.find("ign.sh") != unit.npos || unit.find("sig.py") != unit.npos ? 1
                                                                                                : 0;
  box.expect("its programs", [&] {
    Lines log = log_of(folder);
    return std::count_if(log.begin(), log.end(), [](const std::string& line) {
             return line.ends_with("-up");
           }) >= static_cast<std::ptrdiff_t>(programs);
  });
  if (unit.find("trap ") != unit.npos) box.expect("its trap", [&] { return catches_term(box.pid(name)); });
}

// "" when the service is as the step says.
std::string difference(const Json& service, const Json& step) {
  const std::string state = service["state"];
  Json wanted = step.value("state", Json::array({state}));
  if (std::find(wanted.begin(), wanted.end(), state) == wanted.end())
    return "state " + state + ", not " + wanted.dump();
  for (const char* key : {"result", "exit_code", "restarts"}) {
    if (step.contains(key) && service[key] != step[key])
      return std::string(key) + " " + service[key].dump() + ", not " + step[key].dump();
  }
  return "";
}

}  // namespace

TEST_CASE("services behave as they were seen to behave under systemd 252") {
  Sandbox box;
  std::ifstream file(GITPROC_SOURCE_DIR "/e2e/testdata/systemd-behaviour.json");
  const Json scenarios = Json::parse(file);
  REQUIRE(scenarios.size() == 73);
  auto name_of = [](std::size_t index) { return "s" + std::to_string(index); };
  auto folder_of = [&](std::size_t index) { return box.path(name_of(index)); };
  auto unit_of = [&](std::size_t index) {
    std::string text;
    for (const Json& line : scenarios[index]["unit"])
      text += placed(line, folder_of(index)) + "\n";
    return text;
  };
  for (std::size_t i = 0; i < scenarios.size(); ++i) {
    std::filesystem::create_directories(folder_of(i));
    write_programs(folder_of(i));
    box.write(name_of(i) + ".service", unit_of(i) + "[X-GitProc]\nDesiredState=stopped\n");
  }
  box.start_agent();
  box.expect_applied(box.commit());

  bool has_notify = std::filesystem::exists("/usr/bin/systemd-notify");
  for (std::size_t i = 0; i < scenarios.size(); ++i) {
    const std::string name = name_of(i), unit = unit_of(i);
    INFO(scenarios[i]["title"] << "\n" << unit);
    if (!has_notify && unit.find("systemd-notify") != unit.npos) {
      std::cout << "left out without systemd-notify: " << scenarios[i]["title"] << "\n";
      continue;
    }
    for (const Json& step : scenarios[i]["steps"]) {
      INFO(step.dump());
      wait_for_traps(box, name, unit, folder_of(i));
      Outcome done = box.cli({step["do"], name});
      INFO(done.out << done.err);
      CHECK((done.exit_code != 0) == step["fails"].get<bool>());
      std::string found;
      (void)wait_until([&] { return (found = difference(box.service(name), step)).empty(); });
      CHECK(found == "");
    }
    if (!scenarios[i].contains("log")) continue;
    const Lines wanted = scenarios[i]["log"];
    (void)wait_until([&] { return log_of(folder_of(i)) == wanted; }, std::chrono::seconds(5));
    CHECK(log_of(folder_of(i)) == wanted);
  }
}
