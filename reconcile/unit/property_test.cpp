// Seeded properties of the loader, and the replay of the fuzzer's corpus.
#include <ctime>
#include <random>

#include "reconcile/unit/directives.h"
#include "reconcile/unit/round_trip.h"
#include "testing/catch.h"
#include "testing/corpus.h"

namespace gitproc {
namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t end) { return static_cast<std::size_t>(random() % end); }

// Values that some directive takes, and some that none does.
constexpr const char* values[] = {"invisible",
                                  "pid",
                                  "",
                                  "5",
                                  "0",
                                  "yes",
                                  "no",
                                  "1min 30s",
                                  "infinity",
                                  "1.5G",
                                  "50%",
                                  "12.5%",
                                  "0755",
                                  "SIGINT",
                                  "RTMIN+3",
                                  "143 SIGKILL",
                                  "/bin/true",
                                  "-/bin/sh -c 'echo \"$A\" ${B}' ; +/bin/b \\; c",
                                  "@/bin/x y",
                                  "!/bin/a",
                                  ":/bin/e $X",
                                  "/bin/%p %% %i \\x41\\n",
                                  "A=1 \"B=x y\" 'C=%%'",
                                  "A=\\x0a\\xff",
                                  "-/etc/%n",
                                  "/a//b/../c/ ",
                                  "| ! /x/ /",
                                  "|/x y\\",
                                  "~",
                                  "a b/c %i",
                                  "a:b c",
                                  "www-data",
                                  "a.service b@.service c.target",
                                  "web.service d.service d.service",
                                  "\"q r.service\"",
                                  "always",
                                  "on-failure",
                                  "oneshot",
                                  "notify",
                                  "main",
                                  "none",
                                  "mixed",
                                  "append:/x\\ ",
                                  "null",
                                  "inherit",
                                  "journal",
                                  "file:/a/ /",
                                  "1024:2048",
                                  "-5",
                                  "idle",
                                  "0-3,5",
                                  "abort",
                                  "restart",
                                  "stopped",
                                  "http://x:$PORT/%p",
                                  "tcp://[::1]:80",
                                  "200-299,404",
                                  "conf/x \"y z\"",
                                  "recreate",
                                  "overlap",
                                  "role in (a,b)",
                                  "10M",
                                  "\\",
                                  "a\\\\",
                                  "'",
                                  "%Z",
                                  "\u00e9\u00e9",
                                  "x \\\n y",
                                  "kill",
                                  "memory cpu",
                                  "/dev/sda 500",
                                  "\"/a %% b\" 5M",
                                  "99999999999999999999",
                                  "-1"};

constexpr std::string_view base =
    "[Service]\nType=oneshot\nExecStart=/bin/true\nRuntimeDirectory=a\nStateDirectory=a\nCacheDirectory=a\n"
    "LogsDirectory=a\nConfigurationDirectory=a\n";

std::string line_of(const Directive& directive, std::string_view value) {
  return "[" + std::string(directive.section) + "]\n" + std::string(directive.key) + "=" +
         std::string(value) + "\n";
}

// For each directive of the table those of the values that it takes.
std::vector<std::vector<const char*>> find_taken_values() {
  std::vector<std::vector<const char*>> taken;
  for (const Directive* directive : all_directives()) {
    taken.emplace_back();
    for (const char* value : values) {
      if (load_text(std::string(base) + line_of(*directive, value)).unit) taken.back().push_back(value);
    }
  }
  return taken;
}

std::string random_unit(Random& random, const std::vector<std::vector<const char*>>& taken) {
  const auto& directives = all_directives();
  std::string text = "[Service]\nExecStart=/bin/true\n";
  if (below(random, 3) == 0) text += "Type=oneshot\n";
  std::size_t lines = below(random, 12);
  for (std::size_t i = 0; i < lines; ++i) {
    std::size_t at = below(random, directives.size());
    const bool is_any = taken[at].empty() || below(random, 30) == 0;
    text += line_of(*directives[at], is_any ? values[below(random, std::size(values))]
                                            : taken[at][below(random, taken[at].size())]);
  }
  return text;
}

constexpr const char* names[] = {"web", "foo-bar@a-b\\x2fc\\x0a\\xff", "worker@1", "a@-"};

}  // namespace

TEST_CASE("what loads is printed as a text that loads to the same unit") {
  Random random(20261122);
  const auto taken = find_taken_values();
  unsigned loaded = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = random_unit(random, taken);
    const char* name = names[below(random, std::size(names))];
    const std::string fault = round_trip_fault(text, name);
    INFO("unit " << i << " named " << name << ":\n" << text);
    REQUIRE(fault == "");
    loaded += load_text(text, name).unit != nullptr;
  }
  CHECK(loaded > 8000);
}

TEST_CASE("every directive of the table has one value that it takes and prints") {
  for (const Directive* directive : all_directives()) {
    INFO(directive->section << " " << directive->key);
    bool is_taken = directive->print == nullptr;
    for (const char* value : values) {
      UnitLoad load = load_text(std::string(base) + line_of(*directive, value));
      if (load.unit &&
          print_unit(*load.unit).find("\n" + std::string(directive->key) + "=") != std::string::npos)
        is_taken = true;
    }
    CHECK(is_taken);
  }
}

TEST_CASE("random bytes are refused or loaded, and quickly") {
  Random random(7);
  static constexpr std::string_view alphabet = "[]=\n\r\\\"' \t;#%$ASnixe5/.-@:+!|~\xC3\xA9\xFF";
  for (int i = 0; i < 20'000; ++i) {
    std::string text = below(random, 2) == 0 ? "[Service]\nExecStart=" : "";
    std::size_t size = below(random, 120);
    for (std::size_t k = 0; k < size; ++k) {
      text += below(random, 10) == 0 ? static_cast<char>(random()) : alphabet[below(random, alphabet.size())];
    }
    INFO(text);
    REQUIRE(round_trip_fault(text, "web") == "");
  }
}

TEST_CASE("files of the greatest size take no more than a moment") {
  auto repeated = [](std::string_view head, std::string_view piece) {
    std::string text(head);
    while (text.size() + piece.size() < max_unit_file_bytes)
      text += piece;
    return text;
  };
  const std::string lines_of_mistakes =
      repeated("[Service]\n", "ExecStrat=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n");
  const std::string texts[] = {
      repeated("[Service]\n", "\\\n"),
      repeated("[Service]\nExecStart=/x ", "\\x41"),
      repeated("[Service]\nExecStart=/x ", "\"'\""),
      repeated("[Service]\nType=oneshot\nExecStart=/x ", "; /x "),
      repeated("[Service]\nExecStart=/x\nEnvironment=", "A=1 B=2 "),
      repeated("[Service]\nExecStart=/x\nEnvironment=", "%i%%%n"),
      repeated("[Service]\nExecStart=/x\nTimeoutStopSec=", "1s "),
      repeated("[Service]\nExecStart=/x\nAllowedCPUs=", "1,3,"),
      repeated("[Service]\nExecStart=/x\n[Unit]\nAfter=", "a.service b.service "),
      repeated("[Service]\nExecStart=/x\n[X-GitProc]\nRestartOn=", "a/b/c d "),
      repeated("[Service]\nExecStart=/x\n[X-GitProc]\nNodeSelector=", "a in (b),"),
      repeated("[Service]\nExecStart=/x\n[Unit]\n",
               "ConditionPathExists=/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"),
      repeated("", "["),
      lines_of_mistakes,
  };
  for (const std::string& text : texts) {
    INFO(text.substr(0, 80));
    // Of this process's own: the machine may have others to serve.
    const std::clock_t start = std::clock();
    load_text(text);
    CHECK(std::clock() - start < 5 * CLOCKS_PER_SEC);
  }
}

TEST_CASE("the fuzzer's corpus") {
  auto corpus = corpus_of("reconcile/unit");
  CHECK(corpus.size() >= 5);
  for (const auto& [file, text] : corpus) {
    INFO(file);
    for (const char* name : names)
      REQUIRE(round_trip_fault(text, name) == "");
  }
}

}  // namespace gitproc
