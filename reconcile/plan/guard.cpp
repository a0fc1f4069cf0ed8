#include "reconcile/plan/guard.h"

namespace gitproc {
namespace {

constexpr std::size_t named_units = 5;
// From so many units on, more than half of them is too much.
constexpr std::size_t half_counts_from = 5;

}  // namespace

std::string list_of_names(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i == named_units) return text + " and " + std::to_string(names.size() - named_units) + " more";
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return text;
}

std::optional<std::string> prune_guard(std::size_t units, const std::vector<std::string>& removed) {
  bool takes_all = removed.size() == units && units > 1;
  bool takes_most = units >= half_counts_from && removed.size() * 2 > units;
  if (!takes_all && !takes_most) return std::nullopt;
  std::string share = takes_all
                          ? "all " + std::to_string(units) + " services"
                          : std::to_string(removed.size()) + " of " + std::to_string(units) + " services";
  return "it would remove " + share + " of this node: " + list_of_names(removed);
}

std::optional<std::string> prune_guard(const UnitMap& from, const UnitMap& to) {
  std::vector<std::string> removed;
  for (const auto& [name, unit] : from) {
    if (!to.contains(name)) removed.push_back(name);
  }
  return prune_guard(from.size(), removed);
}

}  // namespace gitproc
