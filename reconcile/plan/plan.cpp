#include "reconcile/plan/plan.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "reconcile/base/strings.h"
#include "reconcile/graph/graph.h"

namespace gitproc {
namespace {

constexpr std::size_t max_named_directives = 3;
constexpr std::size_t max_named_files = 2;

// "a", "a and b", "a, b and c", "a, b and 3 more".
std::string enumerate(const std::vector<std::string>& names, std::size_t limit) {
  std::vector<std::string> shown(names.begin(), names.begin() + std::min(names.size(), limit));
  if (names.size() > limit) shown.push_back(std::to_string(names.size() - limit) + " more");
  if (shown.size() == 1) return shown.front();
  const std::string last = std::move(shown.back());
  shown.pop_back();
  return join(shown, ", ") + " and " + last;
}

bool is_watch(const std::string& directive) {
  return directive.starts_with("RestartOn=") || directive.starts_with("ReloadOn=");
}

bool contains(const std::vector<UnitSource>& sources, const UnitSource& source) {
  return std::ranges::find(sources, source) != sources.end();
}

// Files that were changed, added or removed, each once, in the order they apply.
std::vector<std::string> changed_files(const Unit& from, const Unit& to) {
  std::vector<std::string> files;
  const auto add = [&files](const std::string& path) {
    if (std::ranges::find(files, path) == files.end()) files.push_back(path);
  };
  for (const UnitSource& source : to.sources) {
    if (!contains(from.sources, source)) add(source.path);
  }
  for (const UnitSource& source : from.sources) {
    if (!contains(to.sources, source)) add(source.path);
  }
  return files;
}

Verb verb_of(ChangeEffect effect, const Unit& to) {
  switch (effect) {
    case ChangeEffect::none:
    case ChangeEffect::later: return Verb::update;
    case ChangeEffect::adjust: return Verb::adjust;
    case ChangeEffect::reload: return to.commands(ExecPhase::reload).empty() ? Verb::restart : Verb::reload;
    case ChangeEffect::restart: return Verb::restart;
  }
  __builtin_unreachable();
}

// Who is stopped, and started again, together with whom, and in which words.
struct Dependent {
  std::string name;
  const char* relation;  // "requires", "is bound to", "is part of"
};
using Dependents = std::map<std::string, std::vector<Dependent>, std::less<>>;

Dependents dependents_in(const UnitMap& units) {
  Dependents result;
  for (const auto& [name, unit] : units) {
    const Dependencies& on = *unit->dependencies;
    for (const std::string& other : on.binds_to)
      result[other].push_back({name, "is bound to"});
    for (const std::string& other : on.requires_)
      result[other].push_back({name, "requires"});
    for (const std::string& other : on.requisite)
      result[other].push_back({name, "requires"});
    for (const std::string& other : on.part_of)
      result[other].push_back({name, "is part of"});
  }
  return result;
}

class Planner {
 public:
  Planner(const UnitMap& from, const UnitMap& to) : from_(from), to_(to) {}

  Plan make() {
    for (const auto& [name, unit] : from_) {
      const auto next = to_.find(name);
      if (next == to_.end()) {
        if (unit->is_desired_running) mark(name, Verb::stop, "removed");
      } else if (next->second != unit) {
        compare(*unit, *next->second);
      }
    }
    for (const auto& [name, unit] : to_) {
      if (unit->is_desired_running && !from_.contains(name)) mark(name, Verb::start, "new");
    }
    if (marks_.empty()) return {};
    propagate(Verb::stop, "which stops");
    propagate(Verb::restart, "which restarts");
    return in_order();
  }

 private:
  struct Mark {
    Verb verb;
    std::string reason;
  };

  void mark(const std::string& name, Verb verb, std::string reason) {
    marks_.insert_or_assign(name, Mark{verb, std::move(reason)});
  }

  void compare(const Unit& from, const Unit& to) {
    const UnitDifference changed = difference(from, to);
    if (from.is_desired_running && to.is_desired_running) {
      if (changed.effect != ChangeEffect::none)
        mark(to.name, verb_of(changed.effect, to), describe(changed, from, to));
    } else if (from.is_desired_running || to.is_desired_running) {
      mark(to.name, to.is_desired_running ? Verb::start : Verb::stop, describe(changed, from, to));
    }
  }

  // To all that run before and after and depend on a marked unit that stays registered, and to theirs.
  void propagate(Verb verb, std::string_view what_it_does) {
    std::vector<std::string> queue;
    for (const auto& [name, mark] : marks_) {
      if (mark.verb == verb && to_.contains(name)) queue.push_back(name);
    }
    if (queue.empty()) return;
    const Dependents dependents = dependents_in(to_);
    for (std::size_t i = 0; i < queue.size(); ++i) {
      const auto found = dependents.find(queue[i]);
      if (found == dependents.end()) continue;
      const std::string cause = queue[i];
      for (const Dependent& dependent : found->second) {
        if (!runs_throughout(dependent.name)) continue;
        const auto marked = marks_.find(dependent.name);
        if (marked != marks_.end() && (marked->second.verb == verb || marked->second.verb == Verb::stop))
          continue;
        mark(dependent.name, verb,
             std::string(dependent.relation) + " " + cause + ", " + std::string(what_it_does));
        queue.push_back(dependent.name);
      }
    }
  }

  bool runs_throughout(const std::string& name) const {
    const auto before = from_.find(name);
    const auto after = to_.find(name);
    return before != from_.end() && after != to_.end() && before->second->is_desired_running &&
           after->second->is_desired_running;
  }

  // All units are ordered, not only the marked ones: an order between two may go by way of a third.
  Plan in_order() {
    std::vector<std::string> stops, changes, starts;
    for (const auto& [name, mark] : marks_) {
      (mark.verb == Verb::stop ? stops : mark.verb == Verb::start ? starts : changes).push_back(name);
    }
    if (stops.size() > 1) {
      stops = sorted_like(names_in_order(from_), stops);
      std::ranges::reverse(stops);
    }
    if (changes.size() > 1 || starts.size() > 1) {
      const std::vector<std::string> order = names_in_order(to_);
      changes = sorted_like(order, changes);
      starts = sorted_like(order, starts);
    }
    Plan plan;
    for (const auto* wave : {&stops, &changes, &starts}) {
      for (const std::string& name : *wave) {
        Mark& marked = marks_.at(name);
        plan.actions.push_back({marked.verb, name, std::move(marked.reason)});
      }
    }
    return plan;
  }

  // Those of `order` that are in `names`, which are sorted.
  static std::vector<std::string> sorted_like(const std::vector<std::string>& order,
                                              const std::vector<std::string>& names) {
    std::vector<std::string> result;
    std::ranges::copy_if(order, std::back_inserter(result), [&names](const std::string& name) {
      return std::ranges::binary_search(names, name);
    });
    return result;
  }

  static std::vector<std::string> names_in_order(const UnitMap& units) {
    DependencyGraph graph;
    for (const auto& [name, unit] : units)
      graph.set(*unit);
    auto order = graph.order();
    if (order) return std::move(*order);
    // Not for a Catalog's units; by name is as good as any other order then.
    std::vector<std::string> names;
    for (const auto& [name, unit] : units)
      names.push_back(name);
    return names;
  }

  const UnitMap& from_;
  const UnitMap& to_;
  std::map<std::string, Mark> marks_;
};

}  // namespace

std::string_view to_string(Verb verb) {
  switch (verb) {
    case Verb::stop: return "stop";
    case Verb::restart: return "restart";
    case Verb::reload: return "reload";
    case Verb::adjust: return "adjust";
    case Verb::update: return "update";
    case Verb::start: return "start";
  }
  __builtin_unreachable();
}

std::string to_string(const Action& action) {
  return std::string(to_string(action.verb)) + " " + action.unit + ": " + action.reason;
}

std::string describe(const UnitDifference& difference, const Unit& from, const Unit& to) {
  std::vector<std::string> directives, watches;
  for (const std::string& directive : difference.directives) {
    (is_watch(directive) ? watches : directives).push_back(directive);
  }
  const std::vector<std::string> files = changed_files(from, to);
  if (directives.empty() && !watches.empty()) return enumerate(watches, max_named_directives) + " changed";
  if (directives.empty()) return "changed";
  std::string text = enumerate(directives, max_named_directives) + " changed";
  if (!files.empty()) text += " in " + enumerate(files, max_named_files);
  return text;
}

Plan make_plan(const UnitMap& from, const UnitMap& to) { return Planner(from, to).make(); }

}  // namespace gitproc
