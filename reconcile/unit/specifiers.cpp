#include "reconcile/unit/specifiers.h"

#include <optional>

#include "reconcile/base/strings.h"
#include "reconcile/unit/names.h"

namespace gitproc {
namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// What follows the last '-' of the prefix: "foo-bar@x" -> "bar".
std::string_view last_part(std::string_view name) {
  std::string_view prefix = prefix_of(name);
  std::size_t dash = prefix.rfind('-');
  return dash == std::string_view::npos ? prefix : prefix.substr(dash + 1);
}

// %f: the instance, or else the prefix, as an absolute path.
std::string as_path(std::string_view name) {
  std::string_view instance = instance_of(name);
  std::string path = unescape_name(instance.empty() ? prefix_of(name) : instance);
  return path.starts_with('/') ? path : "/" + path;
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::optional<std::string> value_of(char specifier, const UnitNameSpecifiers& unit,
                                    const SpecifierContext& machine) {
  switch (specifier) {
    case 'n': return unit.name + ".service";
    case 'N': return unit.name;
    case 'p': return std::string(prefix_of(unit.name));
    case 'P': return unescape_name(prefix_of(unit.name));
    case 'i': return std::string(instance_of(unit.name));
    case 'I': return unescape_name(instance_of(unit.name));
    case 'j': return std::string(last_part(unit.name));
    case 'J': return unescape_name(last_part(unit.name));
    case 'f': return as_path(unit.name);
    case 'y': return machine.tree + "/" + unit.fragment_path;
    case 'Y': return folder_of(machine.tree + "/" + unit.fragment_path);
    case 'd': return machine.runtime_directory + "/credentials/" + unit.name + ".service";
    case 'H':
    case 'q': return machine.host_name;
    case 'l': return machine.short_host_name;
    case 'm': return machine.machine_id;
    case 'b': return machine.boot_id;
    case 'v': return machine.kernel_release;
    case 'a': return machine.architecture;
    case 'o': return machine.os_id;
    case 'w': return machine.os_version_id;
    case 'B': return machine.os_build_id;
    case 'W': return machine.os_variant_id;
    case 'M': return machine.os_image_id;
    case 'A': return machine.os_image_version;
    case 'u': return machine.user_name;
    case 'U': return machine.user_id;
    case 'g': return machine.group_name;
    case 'G': return machine.group_id;
    case 'h': return machine.home;
    case 's': return machine.shell;
    case 't': return machine.runtime_directory;
    case 'S': return machine.state_directory;
    case 'C': return machine.cache_directory;
    case 'L': return machine.logs_directory;
    case 'E': return machine.configuration_directory;
    case 'T': return machine.temporary_directory;
    case 'V': return machine.var_temporary_directory;
    case 'R': return machine.tree;
    default: return std::nullopt;
  }
}

}  // namespace

Result<std::string> expand_specifiers(std::string_view text, const UnitNameSpecifiers& unit,
                                      const SpecifierContext& machine) {
  std::string expanded;
  expanded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || i + 1 == text.size()) {
      expanded += text[i];
      continue;
    }
    char specifier = text[++i];
    if (specifier == '%') {
      expanded += '%';
    } else if (auto value = value_of(specifier, unit, machine)) {
      expanded += *value;
    } else if (is_alphanumeric(specifier)) {
      return fail(std::string("unknown specifier '%") + specifier + "' ('%' itself is '%%')",
                  ErrorCode::invalid);
    } else {
      expanded += '%';
      expanded += specifier;
    }
  }
  return expanded;
}

}  // namespace gitproc
