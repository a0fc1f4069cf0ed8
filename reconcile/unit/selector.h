// Label selectors in Kubernetes' syntax: which nodes a unit is for.
//
//   role=web    role==web    zone!=b    role in (web,db)    zone notin (b)    ssd    !ssd
//
// separated by commas, all of which must hold. != and notin hold for a node without the label too.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/error.h"

namespace gitproc {

enum class SelectorOperator { in, not_in, exists, does_not_exist };

struct SelectorRequirement {
  std::string key;
  SelectorOperator match = SelectorOperator::exists;
  std::vector<std::string> values;  // of in and not_in: sorted, without repetition

  bool operator==(const SelectorRequirement&) const = default;
};

using Selector = std::vector<SelectorRequirement>;
using Labels = std::map<std::string, std::string, std::less<>>;

inline constexpr std::size_t max_selector_bytes = 4096;

// "" selects everything. Errors name what was expected where.
Result<Selector> parse_selector(std::string_view text);

bool matches(const Selector& selector, const Labels& labels);

// Keys: an optional DNS prefix and '/', then 1 to 63 of [A-Za-z0-9._-]; values: 0 to 63 of the same. Both
// begin and end with a letter or digit.
bool is_label_key(std::string_view key);
bool is_label_value(std::string_view value);

}  // namespace gitproc
