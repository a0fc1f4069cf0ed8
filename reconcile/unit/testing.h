// What the tests of this room share: a machine to load on, and short ways to load a text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reconcile/unit/loader.h"

namespace gitproc {

inline SpecifierContext test_machine() {
  SpecifierContext machine;
  machine.host_name = "node1.example.org";
  machine.short_host_name = "node1";
  machine.machine_id = "3d1219c7c4c5404aaa1f6d2a48adfda4";
  machine.boot_id = "8c5ac45e418240c08790d7a85642c7b9";
  machine.kernel_release = "6.1.0-18-amd64";
  machine.architecture = "x86-64";
  machine.os_id = "debian";
  machine.os_version_id = "12";
  machine.user_name = machine.group_name = "root";
  machine.user_id = machine.group_id = "0";
  machine.home = "/root";
  machine.shell = "/bin/bash";
  machine.tree = "/var/lib/gitproc/tree";
  return machine;
}

inline UnitLoad load_text(std::string_view text, std::string_view name = "web",
                          const SpecifierContext& machine = test_machine()) {
  return load_unit(name, {{.path = std::string(name) + ".service", .blob = {}, .text = std::string(text)}},
                   machine);
}

// "line:column: severity: message", one a line.
inline std::string listing(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) {
    text += std::to_string(diagnostic.line) + ":" + std::to_string(diagnostic.column) +
            (diagnostic.severity == Severity::error ? ": error: " : ": warning: ") + diagnostic.message +
            "\n";
  }
  return text;
}

// The unit of a [Service] with a command and these lines; its diagnostics must be no errors.
inline UnitLoad load_service(std::string_view lines) {
  return load_text("[Service]\nExecStart=/bin/true\n" + std::string(lines) + "\n");
}

}  // namespace gitproc
