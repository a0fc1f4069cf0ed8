#include "agent/machine.h"

#include <pwd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "drivers/base/system_call.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::size_t max_fact_bytes = 64u << 10;

std::string first_line(const char* path) {
  Result<std::string> text = read_file(path, max_fact_bytes);
  return text ? std::string(trim(split(*text, '\n').front())) : "";
}

// os-release(5), as far as its values need no shell: NAME=value or NAME="value".
std::map<std::string, std::string, std::less<>> os_release() {
  std::map<std::string, std::string, std::less<>> values;
  Result<std::string> text = read_file("/etc/os-release", max_fact_bytes);
  if (!text) text = read_file("/usr/lib/os-release", max_fact_bytes);
  if (!text) return values;
  for (std::string_view line : split(*text, '\n')) {
    std::size_t equals = line.find('=');
    if (equals == std::string_view::npos || line.starts_with('#')) continue;
    std::string_view value = trim(line.substr(equals + 1));
    bool is_quoted =
        value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front();
    if (is_quoted) value = value.substr(1, value.size() - 2);
    values.insert_or_assign(std::string(line.substr(0, equals)), std::string(value));
  }
  return values;
}

// The names that systemd has for uname(2)'s machine (systemd.unit(5), ConditionArchitecture=).
std::string architecture(std::string_view machine) {
  if (machine == "x86_64") return "x86-64";
  if (machine == "aarch64") return "arm64";
  if (machine == "i686" || machine == "i586" || machine == "i486" || machine == "i386") return "x86";
  return std::string(machine);
}

// The start of PID 1 as this process sees it tells one container from the next; outside of containers it is the
// same for a whole boot.
std::string start_of_init() {
  Result<std::string> stat = read_file("/proc/1/stat", max_fact_bytes);
  if (!stat) return "";
  std::size_t after_name = stat->rfind(')');
  if (after_name == std::string::npos) return "";
  std::vector<std::string_view> fields = split(std::string_view(*stat).substr(after_name + 2), ' ');
  constexpr std::size_t start_time = 22 - 3;  // proc(5), counted from the field behind the name
  return fields.size() > start_time ? std::string(fields[start_time]) : "";
}

std::string variable_or(const char* name, std::string otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && value[0] == '/' ? value : std::move(otherwise);
}

}  // namespace

Machine read_machine(const std::string& tree) {
  Machine machine;
  SpecifierContext& facts = machine.specifiers;
  utsname names{};
  ::uname(&names);
  facts.host_name = names.nodename;
  facts.short_host_name = facts.host_name.substr(0, facts.host_name.find('.'));
  facts.kernel_release = names.release;
  facts.architecture = architecture(names.machine);
  facts.machine_id = first_line("/etc/machine-id");
  for (char digit : first_line("/proc/sys/kernel/random/boot_id")) {
    if (digit != '-') facts.boot_id += digit;
  }
  machine.boot_id = facts.boot_id + "-" + start_of_init();

  auto os = os_release();
  facts.os_id = os["ID"];
  facts.os_version_id = os["VERSION_ID"];
  facts.os_build_id = os["BUILD_ID"];
  facts.os_variant_id = os["VARIANT_ID"];
  facts.os_image_id = os["IMAGE_ID"];
  facts.os_image_version = os["IMAGE_VERSION"];

  facts.user_id = std::to_string(::getuid());
  facts.group_id = std::to_string(::getgid());
  facts.home = variable_or("HOME", "/");
  facts.shell = variable_or("SHELL", "/bin/sh");
  if (const passwd* user = ::getpwuid(::getuid())) {
    facts.user_name = user->pw_name;
    if (user->pw_dir != nullptr && user->pw_dir[0] == '/') facts.home = variable_or("HOME", user->pw_dir);
  }
  if (::geteuid() != 0) {
    facts.runtime_directory = variable_or("XDG_RUNTIME_DIR", "/run/user/" + facts.user_id);
    facts.state_directory = variable_or("XDG_STATE_HOME", facts.home + "/.local/state");
    facts.cache_directory = variable_or("XDG_CACHE_HOME", facts.home + "/.cache");
    facts.logs_directory = facts.state_directory + "/log";
    facts.configuration_directory = variable_or("XDG_CONFIG_HOME", facts.home + "/.config");
  }
  facts.tree = tree;
  return machine;
}

}  // namespace gitproc
