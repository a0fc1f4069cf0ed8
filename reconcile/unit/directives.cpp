#include "reconcile/unit/directives.h"

#include <algorithm>
#include <utility>

namespace gitproc {
namespace {

std::pair<std::string_view, std::string_view> name_of(const Directive* directive) {
  return {directive->section, directive->key};
}

}  // namespace

const std::vector<const Directive*>& all_directives() {
  static const std::vector<const Directive*> all = [] {
    std::vector<const Directive*> directives;
    for (auto part : {unit_directives(), service_directives(), exec_directives(), stdio_directives(),
                      resource_directives(), gitproc_directives()}) {
      for (const Directive& directive : part)
        directives.push_back(&directive);
    }
    return directives;
  }();
  return all;
}

const Directive* find_directive(std::string_view section, std::string_view key) {
  static const std::vector<const Directive*> sorted = [] {
    std::vector<const Directive*> directives = all_directives();
    std::sort(directives.begin(), directives.end(),
              [](const Directive* a, const Directive* b) { return name_of(a) < name_of(b); });
    return directives;
  }();
  const std::pair name(section, key);
  auto at = std::lower_bound(
      sorted.begin(), sorted.end(), name,
      [](const Directive* directive, const auto& wanted) { return name_of(directive) < wanted; });
  return at != sorted.end() && name_of(*at) == name ? *at : nullptr;
}

}  // namespace gitproc
