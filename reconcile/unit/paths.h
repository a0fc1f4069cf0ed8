// Paths as text: the checks of systemd's path directives, without looking at any file system.
#pragma once

#include <string>
#include <string_view>

namespace gitproc {

// Without repeated, trailing and "." parts: "/a//b/./c/" -> "/a/b/c".
std::string simplify_path(std::string_view path);

// The same for a path that is a directive's whole value, which cannot end in a blank.
std::string simplify_path_value(std::string_view path);

inline bool is_absolute_path(std::string_view path) { return path.starts_with('/'); }

// Whether any part is "..".
bool climbs(std::string_view path);

}  // namespace gitproc
