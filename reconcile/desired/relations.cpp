#include "reconcile/desired/relations.h"

#include <algorithm>
#include <utility>

#include "reconcile/base/strings.h"
#include "reconcile/graph/graph.h"

namespace gitproc {
namespace {

using Errors = std::set<RelationError>;

struct DemandList {
  const char* directive;
  const std::vector<std::string>& names;
};

std::vector<DemandList> demands_of(const Unit& unit) {
  const Dependencies& on = *unit.dependencies;
  return {{"Requires", on.requires_}, {"Requisite", on.requisite}, {"BindsTo", on.binds_to}};
}

RelationError error_in(const Unit& unit, std::string directive, const std::string& subject,
                       std::string_view what) {
  std::string message = directive + "=" + subject + ".service: " + std::string(what);
  return {unit.name, std::move(directive), subject, std::move(message)};
}

// The demands of `unit` on names for which `is_there` is false. What has errors of its own is told once, there.
template <typename IsThere>
void check_demands(const CatalogIndex& index, const Unit& unit, const IsThere& is_there, bool tells_left_out,
                   Errors& errors) {
  for (const auto& [directive, names] : demands_of(unit)) {
    for (const std::string& name : names) {
      if (name == unit.name || is_there(name)) continue;
      const bool is_wrong = index.has_errors_of_its_own(name) || index.has_candidate(name);
      if (!is_wrong) {
        errors.insert(error_in(unit, directive, name, "there is no such unit on this node"));
      } else if (tells_left_out) {
        errors.insert(error_in(unit, directive, name, "it is left out because of an error"));
      }
    }
  }
}

template <typename IsThere>
void check_conflicts(const CatalogIndex& index, const Unit& unit, const IsThere& is_there, Errors& errors) {
  if (!unit.is_desired_running) return;
  for (const std::string& name : unit.dependencies->conflicts) {
    if (name == unit.name || !is_there(name) || !index.candidate(name)->is_desired_running) continue;
    errors.insert(error_in(unit, "Conflicts", name, "both are to run on this node"));
  }
}

// Clashes of one second name; a link must not lead to another link either.
void check_alias(const CatalogIndex& index, const std::string& alias, Errors& errors) {
  std::vector<std::pair<std::string, std::string>> claims;  // via, owner
  for (auto it = index.claims.map().lower_bound(AliasClaim{alias, ""});
       it != index.claims.map().end() && it->first.alias == alias; ++it) {
    const auto& [claim, owner] = *it;
    const Note* note = index.notes.find(owner);
    if (claim.via == alias && note && !note->link_target.empty()) {
      errors.insert({alias, "", owner, "links to '" + owner + ".service', which is a link itself"});
    }
    if (index.has_candidate(owner)) claims.emplace_back(claim.via, owner);
  }
  for (const auto& [via, owner] : claims) {
    std::string other = index.has_candidate(alias) ? alias : "";
    for (const auto& claim : claims) {
      if (other.empty() && claim.second != owner) other = claim.second;
    }
    if (other.empty()) continue;
    const std::string directive = via == alias ? "" : "Alias";
    const std::string what =
        other == alias ? "there is a unit of that name" : "it is another name of '" + other + "' too";
    errors.insert({via, directive, alias,
                   (via == alias ? "a link to '" + owner + "': " : "Alias=" + alias + ".service: ") + what});
  }
}

// Said of a member of the cycle, at the After= that makes it one, where there is one.
RelationError cycle_error(const CatalogIndex& index, const std::string& name, const Cycle& cycle) {
  RelationError error{name, "", "", "ordering cycle: " + to_string(cycle)};
  const auto place = std::find(cycle.begin(), cycle.end() - 1, name);
  if (place == cycle.end() - 1) return error;
  const std::string& next = *(place + 1);
  const std::vector<std::string>& after = index.candidate(name)->dependencies->after;
  if (std::ranges::find(after, next) == after.end()) return error;
  error.directive = "After";
  error.subject = next;
  return error;
}

// Replaces names by what they mean, keeping the order.
void resolve_list(std::vector<std::string>& names, const std::string& self, const CatalogIndex& index,
                  std::set<std::string>& used) {
  std::vector<std::string> result;
  for (const std::string& name : names) {
    std::string real = index.real_name(name);
    if (real != name) used.insert(name);
    if (real != self && std::ranges::find(result, real) == result.end()) result.push_back(std::move(real));
  }
  names = std::move(result);
}

// Gathers what find_left_out leaves out, step by step.
class Sieve {
 public:
  explicit Sieve(const CatalogIndex& index) : index_(index) {
    for (const UnitPtr& unit : index.units.map())
      names_.insert(unit->name);
    for (const auto& [name, out] : index.left_out.map()) {
      if (out.unit) names_.insert(name);
    }
  }

  std::map<std::string, Errors> run() {
    Errors errors;
    for (auto it = index_.claims.map().begin(); it != index_.claims.map().end();) {
      const std::string& alias = it->first.alias;
      check_alias(index_, alias, errors);
      while (it != index_.claims.map().end() && it->first.alias == alias)
        ++it;
    }
    for (const std::string& name : names_)
      check_demands_of(name, errors);
    leave_out(std::move(errors));

    errors.clear();
    for (const std::string& name : names_) {
      if (!out_.contains(name)) check_conflicts(index_, unit(name), IsThere{this}, errors);
    }
    leave_out(std::move(errors));

    errors.clear();
    const std::vector<std::string> roots(names_.begin(), names_.end());
    const auto after = [this](const std::string& name) {
      std::vector<std::string> earlier =
          out_.contains(name) ? std::vector<std::string>{} : index_.starts_after(name);
      std::erase_if(earlier, [this](const std::string& each) { return out_.contains(each); });
      return earlier;
    };
    for (const Knot& knot : find_knots(roots, after)) {
      for (const std::string& name : knot.members)
        errors.insert(cycle_error(index_, name, knot.cycle));
    }
    leave_out(std::move(errors));
    return std::move(out_);
  }

 private:
  const Unit& unit(const std::string& name) const { return *index_.candidate(name); }
  struct IsThere {
    const Sieve* sieve;
    bool operator()(const std::string& name) const {
      return sieve->index_.has_candidate(name) && !sieve->out_.contains(name);
    }
  };
  void check_demands_of(const std::string& name, Errors& errors) const {
    check_demands(index_, unit(name), IsThere{this}, true, errors);
  }

  // Then whoever demands what went, and so on. A name's errors are those of the round in which it goes.
  void leave_out(Errors errors) {
    while (!errors.empty()) {
      std::set<std::string> gone;
      for (const RelationError& error : errors) {
        out_[error.name].insert(error);
        gone.insert(error.name);
      }
      Errors next;
      std::set<std::string> dependents;
      for (const std::string& name : gone) {
        for (std::string& by : index_.concerned(ConcernKind::demands, name))
          dependents.insert(std::move(by));
      }
      for (const std::string& by : dependents) {
        if (index_.has_candidate(by) && !out_.contains(by)) check_demands_of(by, next);
      }
      errors = std::move(next);
    }
  }

  const CatalogIndex& index_;
  std::set<std::string> names_;
  std::map<std::string, Errors> out_;
};

}  // namespace

std::vector<std::string> resolve_aliases(Unit& unit, const CatalogIndex& index) {
  std::set<std::string> used;
  const auto is_alias = [&index](const std::string& name) { return index.real_name(name) != name; };
  const Dependencies& on = *unit.dependencies;
  const bool has_alias =
      std::ranges::any_of(on.requires_, is_alias) || std::ranges::any_of(on.requisite, is_alias) ||
      std::ranges::any_of(on.binds_to, is_alias) || std::ranges::any_of(on.wants, is_alias) ||
      std::ranges::any_of(on.part_of, is_alias) || std::ranges::any_of(on.conflicts, is_alias) ||
      std::ranges::any_of(on.before, is_alias) || std::ranges::any_of(on.after, is_alias);
  if (!has_alias) return {};
  Dependencies& edited = unit.dependencies.edit();
  for (auto* names : {&edited.requires_, &edited.requisite, &edited.binds_to, &edited.wants, &edited.part_of,
                      &edited.conflicts, &edited.before, &edited.after}) {
    resolve_list(*names, unit.name, index, used);
  }
  return {used.begin(), used.end()};
}

std::set<RelationError> check_relations(const CatalogIndex& index, const std::vector<std::string>& names,
                                        const std::set<std::string>& aliases, bool tells_left_out) {
  Errors errors;
  const auto is_there = [&index](const std::string& name) { return index.has_candidate(name); };
  std::vector<std::string> roots;
  for (const std::string& name : names) {
    if (const UnitPtr& unit = index.candidate(name)) {
      roots.push_back(name);
      check_demands(index, *unit, is_there, tells_left_out, errors);
      check_conflicts(index, *unit, is_there, errors);
      for (const std::string& by : index.concerned(ConcernKind::conflicts, name)) {
        if (const UnitPtr& other = index.candidate(by)) check_conflicts(index, *other, is_there, errors);
      }
    } else {
      for (const std::string& by : index.concerned(ConcernKind::demands, name)) {
        if (const UnitPtr& other = index.candidate(by))
          check_demands(index, *other, is_there, tells_left_out, errors);
      }
    }
    for (const std::string& link : index.concerned(ConcernKind::links, name))
      check_alias(index, link, errors);
  }
  for (const std::string& alias : aliases)
    check_alias(index, alias, errors);
  for (const Knot& knot :
       find_knots(roots, [&index](const std::string& name) { return index.starts_after(name); })) {
    errors.insert(cycle_error(index, knot.members.front(), knot.cycle));
  }
  return errors;
}

std::map<std::string, std::set<RelationError>> find_left_out(const CatalogIndex& index) {
  return Sieve(index).run();
}

unsigned line_of(const std::string& text, const std::string& directive,
                 const std::vector<std::string>& subjects) {
  unsigned number = 0;
  bool continues = false, is_directive = false;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    const std::string_view content = trim(line);
    if (content.starts_with('#') || content.starts_with(';')) continue;
    std::string_view value = content;
    if (!continues) {
      const auto equals = content.find('=');
      is_directive = equals != std::string_view::npos && trim(content.substr(0, equals)) == directive;
      value = equals == std::string_view::npos ? std::string_view{} : content.substr(equals + 1);
    }
    continues = content.ends_with('\\');
    if (!is_directive) continue;
    while (!(value = trim(value)).empty()) {
      const std::string_view word = value.substr(0, value.find_first_of(" \t\\"));
      if (std::ranges::find(subjects, without_service_suffix(word)) != subjects.end()) return number;
      value.remove_prefix(std::max<std::size_t>(word.size(), 1));
    }
  }
  return 0;
}

}  // namespace gitproc
