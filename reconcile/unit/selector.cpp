#include "reconcile/unit/selector.h"

#include <algorithm>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_label_text(std::string_view text) {
  return text.size() <= 63 && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

class SelectorParser {
 public:
  explicit SelectorParser(std::string_view text) : rest_(text) {}

  Result<Selector> parse() {
    Selector selector;
    skip_blanks();
    while (!rest_.empty()) {
      auto requirement = parse_requirement();
      if (!requirement) return std::unexpected(std::move(requirement.error()));
      selector.push_back(std::move(*requirement));
      skip_blanks();
      if (rest_.empty()) break;
      if (!take(",")) return unexpected_rest("','");
      skip_blanks();
      if (rest_.empty()) return unexpected_rest("a label after ','");
    }
    return selector;
  }

 private:
  Result<SelectorRequirement> parse_requirement() {
    SelectorRequirement requirement;
    const bool is_negated = take("!");
    skip_blanks();
    std::string_view key = take_word();
    if (!is_label_key(key))
      return fail("'" + printable(key.empty() ? rest_ : key, 60) + "' is not a label's key");
    requirement.key = key;
    skip_blanks();
    if (is_negated) {
      requirement.match = SelectorOperator::does_not_exist;
      return requirement;
    }
    if (rest_.empty() || rest_.front() == ',') return requirement;
    if (take("!=")) return with_one_value(std::move(requirement), SelectorOperator::not_in);
    if (take("==") || take("=")) return with_one_value(std::move(requirement), SelectorOperator::in);
    std::string_view before = rest_;
    std::string_view word = take_word();
    if (word == "in") return with_values(std::move(requirement), SelectorOperator::in);
    if (word == "notin") return with_values(std::move(requirement), SelectorOperator::not_in);
    rest_ = before;
    return unexpected_rest("=, ==, !=, in or notin");
  }

  Result<SelectorRequirement> with_one_value(SelectorRequirement requirement, SelectorOperator match) {
    requirement.match = match;
    skip_blanks();
    return add_value(std::move(requirement));
  }

  Result<SelectorRequirement> with_values(SelectorRequirement requirement, SelectorOperator match) {
    requirement.match = match;
    skip_blanks();
    if (!take("(")) return unexpected_rest("'('");
    while (true) {
      skip_blanks();
      auto added = add_value(std::move(requirement));
      if (!added) return added;
      requirement = std::move(*added);
      skip_blanks();
      if (take(")")) break;
      if (!take(",")) return unexpected_rest("',' or ')'");
    }
    std::sort(requirement.values.begin(), requirement.values.end());
    requirement.values.erase(std::unique(requirement.values.begin(), requirement.values.end()),
                             requirement.values.end());
    return requirement;
  }

  Result<SelectorRequirement> add_value(SelectorRequirement requirement) {
    std::string_view value = take_word();
    if (!is_label_value(value)) return fail("'" + printable(value, 60) + "' is not a label's value");
    requirement.values.emplace_back(value);
    return requirement;
  }

  std::string_view take_word() {
    std::size_t end = std::min(rest_.find_first_of(" \t,=!()"), rest_.size());
    std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return word;
  }

  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  void skip_blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t'))
      rest_.remove_prefix(1);
  }

  std::unexpected<Error> unexpected_rest(std::string_view expected) const {
    std::string found = rest_.empty() ? "the end" : "'" + printable(rest_, 60) + "'";
    return fail("expects " + std::string(expected) + " and not " + found, ErrorCode::invalid);
  }

  std::string_view rest_;
};

}  // namespace

bool is_label_key(std::string_view key) {
  std::size_t slash = key.find('/');
  if (slash != std::string_view::npos) {
    std::string_view prefix = key.substr(0, slash);
    key.remove_prefix(slash + 1);
    if (prefix.empty() || prefix.size() > 253) return false;
    for (std::string_view part : split(prefix, '.')) {
      if (part.empty() || !is_label_text(part)) return false;
    }
  }
  return !key.empty() && is_label_text(key);
}

bool is_label_value(std::string_view value) { return value.empty() || is_label_text(value); }

Result<Selector> parse_selector(std::string_view text) {
  if (text.size() > max_selector_bytes) return fail("is longer than 4096 bytes", ErrorCode::invalid);
  return SelectorParser(text).parse();
}

bool matches(const Selector& selector, const Labels& labels) {
  return std::all_of(selector.begin(), selector.end(), [&](const SelectorRequirement& requirement) {
    auto label = labels.find(requirement.key);
    const bool exists = label != labels.end();
    auto is_listed = [&] {
      return exists &&
             std::binary_search(requirement.values.begin(), requirement.values.end(), label->second);
    };
    switch (requirement.match) {
      case SelectorOperator::in: return is_listed();
      case SelectorOperator::not_in: return !is_listed();
      case SelectorOperator::exists: return exists;
      case SelectorOperator::does_not_exist: return !exists;
    }
    __builtin_unreachable();
  });
}

}  // namespace gitproc
