// What services print, from outside: every line once and in order, whatever happens to the files.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "e2e/harness.h"

using namespace e2e;

namespace {

// The archives from the oldest to the newest, then the live file.
std::vector<std::string> files_of(const Sandbox& box, const std::string& service) {
  std::vector<std::string> files;
  const std::string live = box.path("log/" + service + ".log");
  for (int number = 1; std::filesystem::exists(live + "." + std::to_string(number)); ++number)
    files.insert(files.begin(), live + "." + std::to_string(number));
  files.push_back(live);
  return files;
}

// A hole at the beginning of a file reads as zeros: on file systems that cannot collapse.
struct Lines {
  std::uint64_t count = 0;
  std::uint64_t first_wrong = 0;  // 0: none
};
Lines check_numbered_lines(const std::vector<std::string>& files) {
  Lines lines;
  std::string rest;
  std::vector<char> piece(1 << 20);
  for (const std::string& file : files) {
    std::ifstream stream(file, std::ios::binary);
    while (stream.read(piece.data(), static_cast<std::streamsize>(piece.size())), stream.gcount() > 0) {
      std::string text = rest;
      for (std::streamsize i = 0; i < stream.gcount(); ++i) {
        if (piece[static_cast<std::size_t>(i)] != '\0') text += piece[static_cast<std::size_t>(i)];
      }
      std::size_t at = 0;
      for (std::size_t end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
        ++lines.count;
        bool is_right = std::strtoull(text.c_str() + at, nullptr, 10) == lines.count;
        if (!is_right && lines.first_wrong == 0) lines.first_wrong = lines.count;
      }
      rest = text.substr(at);
    }
  }
  return lines;
}

// `megabytes` of numbered lines of 64 bytes through rotations of a tenth of that.
void full_speed(unsigned megabytes) {
  if (run({"perl", "-e", "1"}).exit_code != 0) GITPROC_SKIP("perl is not installed");
  Sandbox box;
  const std::uint64_t lines = std::uint64_t{megabytes} * 1024 * 1024 / 64;
  write_text(
      box.path("writer.pl"),
      "my $n = " + std::to_string(lines) +
          "; my $b = ''; for my $i (1..$n) { $b .= sprintf(\"%015d %s\\n\", $i, 'x' x 47); if (length $b "
          "> 60000 || $i == $n) { syswrite STDOUT, $b or die; $b = '' } }\nopen my $d, '>', '" +
          box.path("done") + "';\n");
  box.write("loud.service", "[Service]\nType=oneshot\nExecStart=/usr/bin/perl " + box.path("writer.pl") +
                                "\n[X-GitProc]\nLogMaxSize=" + std::to_string(megabytes * 1024 / 10) +
                                "K\nLogMaxFiles=20\n");
  std::string commit = box.commit();
  box.start_agent();
  double before = cpu_seconds(box.agent_pid());
  // Without asking the agent, whose time is measured.
  REQUIRE(wait_until([&] { return std::filesystem::exists(box.path("done")); }, std::chrono::minutes(5)));
  const auto limit = static_cast<std::uintmax_t>(megabytes) * 1024 * 1024 / 10;
  const std::string live = box.path("log/loud.log");
  box.expect("the last rotation", [&] {
    struct stat status{};
    // The size stays where the file system cannot collapse, with a hole; the note is there while one is under way.
    if (::stat(live.c_str(), &status) != 0) return false;
    std::uintmax_t held = std::min<std::uintmax_t>(static_cast<std::uintmax_t>(status.st_size),
                                                   static_cast<std::uintmax_t>(status.st_blocks) * 512);
    return held <= limit && ::lstat((live + ".cut").c_str(), &status) != 0;
  });
  double used = cpu_seconds(box.agent_pid()) - before;
  std::vector<std::string> files = files_of(box, "loud");
  Lines found = check_numbered_lines(files);
  CHECK(found.first_wrong == 0);
  CHECK(found.count == lines);
  CHECK(files.size() >= 9);
  // The promise, in the long form alone: a short one is mostly the agent's other work.
  if (megabytes >= 1024) CHECK(used <= 0.5 * megabytes / 1024);
  std::cout << megabytes << " MiB, " << files.size() - 1 << " archives, agent CPU " << used << " s\n";
}

}  // namespace

TEST_CASE("lines written at full speed through ten rotations are all there, once and in order") {
  const char* wanted = std::getenv("GITPROC_LOG_MEGABYTES");
  full_speed(wanted != nullptr ? static_cast<unsigned>(std::atoi(wanted)) : 64);
}

TEST_CASE("the last line is one line, however fast others follow it") {
  Sandbox box;
  box.write("loud.service",
            "[Service]\nExecStart=/usr/bin/yes a line that is written again and again\n"
            "[X-GitProc]\nLogMaxSize=4M\nLogMaxFiles=1\n");
  std::string commit = box.commit();
  box.start_agent();
  box.expect_applied(commit);
  box.expect("output", [&] { return !box.cli({"logs", "loud", "-n", "1"}).out.empty(); });
  for (int i = 0; i < 20; ++i)
    CHECK(box.cli_json({"logs", "loud", "-n", "1"})["lines"].size() == 1);
}

TEST_CASE("logs are rotated for services that an agent adopted, and by a policy that changed") {
  Sandbox box;
  auto unit = [&](const std::string& size) {
    return "[Service]\nExecStart=/bin/sh -c 'while :; do if [ -e " + box.path("go") + " ]; then rm " +
           box.path("go") + "; head -c 300000 /dev/zero | tr \"\\\\\\\\0\" x; echo; fi; sleep 0.05; done'\n" +
           "[X-GitProc]\nLogMaxSize=" + size + "\n";
  };
  box.write("web.service", unit("100M"));
  box.expect_applied((box.commit(), box.start_agent(), box.head()));
  pid_t web = box.pid("web");
  box.kill_agent();
  box.start_agent();
  box.expect("its adoption", [&] { return box.pid("web") == web; });
  box.write("web.service", unit("64K"));
  box.expect_applied(box.commit());
  CHECK(box.pid("web") == web);
  write_text(box.path("go"), "");
  box.expect("a rotation", [&] { return std::filesystem::exists(box.path("log/web.log.1")); });

  box.kill_agent();
  box.start_agent();
  box.expect("its adoption", [&] { return box.pid("web") == web; });
  std::filesystem::remove(box.path("log/web.log.1"));
  write_text(box.path("go"), "");
  box.expect("a rotation after the adoption",
             [&] { return std::filesystem::exists(box.path("log/web.log.1")); });
  CHECK(box.pid("web") == web);
}
