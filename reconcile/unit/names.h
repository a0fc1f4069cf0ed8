// Names of units: valid characters, templates and instances, escaping (systemd.unit(5), systemd-escape(1)).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gitproc {

// Whether `name` (without ".service") is a service name: 1 to 247 bytes of [A-Za-z0-9:_.\-@\\], not
// starting with '.', and with at most a trailing '@' for a template; "daemon" is reserved.
bool is_valid_service_name(std::string_view name);

// "worker@" is a template; "worker@1" an instance of it; "web" neither.
bool is_template(std::string_view name);
std::optional<std::string> template_of(std::string_view instance_name);  // "worker@1" -> "worker@"
std::string_view instance_of(std::string_view name);                     // "worker@1" -> "1"; else ""
std::string_view prefix_of(std::string_view name);  // "worker@1" -> "worker"; "web" -> "web"

std::string unescape_name(std::string_view text);  // "a-b\\x2fc" -> "a/b/c"
std::string escape_name(std::string_view text);

}  // namespace gitproc
