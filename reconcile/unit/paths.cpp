#include "reconcile/unit/paths.h"

#include "reconcile/base/strings.h"

namespace gitproc {

std::string simplify_path(std::string_view path) {
  const bool is_absolute = is_absolute_path(path);
  std::string simple;
  for (std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (is_absolute || !simple.empty()) simple += '/';
    simple += part;
  }
  if (simple.empty()) return is_absolute ? "/" : ".";
  return simple;
}

std::string simplify_path_value(std::string_view path) {
  std::string simple = simplify_path(path);
  while (trim(simple).size() != simple.size())
    simple = simplify_path(trim(simple));
  return simple;
}

bool climbs(std::string_view path) {
  for (std::string_view part : split(path, '/')) {
    if (part == "..") return true;
  }
  return false;
}

}  // namespace gitproc
