// Specifiers of systemd.unit(5): %n, %i, %H, ... What depends on the machine comes in as values.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "reconcile/base/error.h"

namespace gitproc {

// The machine's and manager's side of the specifiers; filled in by the agent, by `verify` and by tests.
struct SpecifierContext {
  std::string host_name;        // %H
  std::string short_host_name;  // %l
  std::string machine_id;       // %m
  std::string boot_id;          // %b
  std::string kernel_release;   // %v
  std::string architecture;     // %a
  std::string os_id, os_version_id, os_build_id, os_variant_id, os_image_id,
      os_image_version;                              // %o %w %B %W %M %A
  std::string user_name;                             // %u, of the agent
  std::string user_id;                               // %U
  std::string group_name;                            // %g
  std::string group_id;                              // %G
  std::string home;                                  // %h
  std::string shell;                                 // %s
  std::string runtime_directory = "/run";            // %t
  std::string state_directory = "/var/lib";          // %S
  std::string cache_directory = "/var/cache";        // %C
  std::string logs_directory = "/var/log";           // %L
  std::string configuration_directory = "/etc";      // %E
  std::string temporary_directory = "/tmp";          // %T
  std::string var_temporary_directory = "/var/tmp";  // %V
  std::string tree;                                  // %R: <state-dir>/tree, where the repository's data is

  bool operator==(const SpecifierContext&) const = default;
};

// The unit's side: name without ".service" ("foo-bar@a-b"), and where its file is in the repository.
struct UnitNameSpecifiers {
  std::string name;
  std::string fragment_path;  // %y, below the exported tree's root
};

// Expands all specifiers in `text`. "%%" is "%"; a '%' before a blank, a mark or the end stays as it is; an
// unknown letter or digit after '%' is an error that names it (reference 3.3.6, 3.5).
Result<std::string> expand_specifiers(std::string_view text, const UnitNameSpecifiers& unit,
                                      const SpecifierContext& machine);

}  // namespace gitproc
