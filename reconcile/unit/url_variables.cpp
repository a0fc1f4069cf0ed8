#include "reconcile/unit/url_variables.h"

#include <algorithm>

namespace gitproc {
namespace {

bool is_name_character(char c, bool is_first) {
  bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  return is_letter || (!is_first && c >= '0' && c <= '9');
}

}  // namespace

std::string expand_url_variables(std::string_view url, const std::vector<EnvironmentVariable>& environment) {
  std::string expanded;
  while (!url.empty()) {
    if (url.front() != '$') {
      std::size_t plain = std::min(url.find('$'), url.size());
      expanded += url.substr(0, plain);
      url.remove_prefix(plain);
      continue;
    }
    if (url.starts_with("$$")) {
      expanded += '$';
      url.remove_prefix(2);
      continue;
    }
    std::size_t start = url.starts_with("${") ? 2 : 1;
    std::size_t end = start;
    while (end < url.size() && is_name_character(url[end], end == start))
      ++end;
    bool is_closed = start == 1 || (end < url.size() && url[end] == '}');
    if (end == start || !is_closed) {
      expanded += '$';
      url.remove_prefix(1);
      continue;
    }
    std::string_view name = url.substr(start, end - start);
    auto last = std::find_if(environment.rbegin(), environment.rend(),
                             [name](const EnvironmentVariable& variable) { return variable.first == name; });
    if (last != environment.rend()) expanded += last->second;
    url.remove_prefix(start == 2 ? end + 1 : end);
  }
  return expanded;
}

}  // namespace gitproc
