// What systemd 252 made of 108 unit files: the arguments and the environment that the program really got.
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "reconcile/unit/environment_file.h"
#include "reconcile/unit/quoting.h"
#include "reconcile/unit/testing.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

using nlohmann::json;

constexpr std::string_view folder = "/t";  // stands for the folder "@T@" of the observations

// systemd drops these values silently; GitProc refuses the unit, so that nobody runs with less than they wrote.
const std::set<std::string> refused_on_purpose = {
    "Environment: digit start", "Environment: dot name",          "Environment: unbalanced",
    "syntax: invalid bool",     "syntax: invalid user-type enum",
};

std::string place(std::string text) {
  for (std::size_t at; (at = text.find("@T@")) != std::string::npos;)
    text.replace(at, 3, folder);
  return text;
}

// The two cases with bytes beyond ASCII were written down with each byte as a code point of its own.
std::string bytes_of_latin1(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0xC2 || byte == 0xC3) {
      bytes += static_cast<char>((byte & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3F));
    } else {
      bytes += text[i];
    }
  }
  return bytes;
}

std::string unit_text(const json& example) {
  std::string service = place(example["service"]);
  const std::string name = example["case"];
  if (name == "syntax: BOM" || name == "syntax: invalid utf8 in value") return bytes_of_latin1(service);
  if (service.starts_with("[")) return service;
  return "[Service]\nType=oneshot\n" + service + "\n";
}

SpecifierContext machine_of_observations() {
  SpecifierContext machine = test_machine();
  machine.short_host_name = "vm";
  machine.kernel_release = "6.18.44-fc-v595";
  machine.home = place("@T@/home");
  machine.runtime_directory = place("@T@/xdg");
  machine.cache_directory = place("@T@/home/.cache");
  machine.configuration_directory = place("@T@/home/.config");
  machine.tree = place("@T@/units");
  return machine;
}

using Environment = std::map<std::string, std::string>;

// What the unit's own settings add to the environment; an error where the service could not be started.
Result<Environment> environment_of(const Unit& unit, const json& files) {
  Environment environment;
  for (const auto& [name, value] : unit.exec->environment)
    environment[name] = value;
  for (const EnvironmentFile& file : unit.exec->environment_files) {
    std::string content;
    bool exists = false;
    for (const auto& [path, text] : files.items()) {
      if (place(path) != file.path) continue;
      content = text;
      exists = true;
    }
    if (!exists && !file.is_optional) return fail("missing");
    auto variables = parse_environment_file(content);
    if (!variables) return std::unexpected(variables.error());
    for (const auto& [name, value] : *variables)
      environment[name] = value;
  }
  return environment;
}

void check_example(const json& example) {
  const std::string name = example["case"];
  INFO(name);
  std::string unit_name = example["unit"];
  unit_name.resize(unit_name.size() - std::string_view(".service").size());
  const std::size_t at = unit_name.find('@');
  const std::string file = (at == std::string::npos ? unit_name : unit_name.substr(0, at + 1)) + ".service";
  UnitLoad load = load_unit(unit_name, {{.path = file, .blob = {}, .text = unit_text(example)}},
                            machine_of_observations());
  INFO(listing(load.diagnostics));

  const bool was_loaded = example["load"] == "loaded";
  REQUIRE((load.unit != nullptr) == (was_loaded && !refused_on_purpose.contains(name)));
  if (!load.unit) return;
  auto environment = environment_of(*load.unit, example["files"]);
  REQUIRE(environment.has_value() == (example["result"] != "resources"));
  if (!environment || example["runs"].is_null()) return;
  Environment noted = *environment;
  noted.erase("FOUR");  // not among the variables that the helper wrote down

  json runs = json::array();
  for (const ExecCommand& command : load.unit->start) {
    if (command.program() == "/bin/false") continue;  // the helper that noted its arguments did not run
    auto arguments = !command.expands_environment
                         ? command.arguments.unpacked()
                         : expand_environment(command.arguments, [&](std::string_view variable) {
                             auto found = environment->find(std::string(variable));
                             return found == environment->end() ? std::nullopt : std::optional(found->second);
                           });
    // The helper is a script: it sees its path as argv[0], whatever was asked for with "@".
    arguments.front() = command.program();
    runs.push_back({{"argv", arguments}, {"env", noted}});
  }
  json expected = json::parse(place(example["runs"].dump()));
  CHECK(runs == expected);
}

}  // namespace

TEST_CASE("every unit that was tried on systemd 252 gives the same arguments and environment") {
  std::ifstream file(GITPROC_SOURCE_DIR "/reconcile/unit/testdata/systemd-syntax-cases.json");
  REQUIRE(file.good());
  const json examples = json::parse(file);
  REQUIRE(examples.size() == 108);
  for (const json& example : examples)
    check_example(example);
}

}  // namespace gitproc
