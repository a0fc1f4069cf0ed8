#include "reconcile/desired/index.h"

#include <algorithm>

namespace gitproc {

void CatalogIndex::commit() {
  entries.commit();
  units.commit();
  left_out.commit();
  notes.commit();
  concerns.commit();
  claims.commit();
}

void CatalogIndex::rollback() {
  entries.rollback();
  units.rollback();
  left_out.rollback();
  notes.rollback();
  concerns.rollback();
  claims.rollback();
}

const UnitPtr& CatalogIndex::candidate(std::string_view name) const {
  static const UnitPtr none;
  if (const UnitPtr* unit = units.find(name)) return *unit;
  const LeftOut* out = left_out.find(name);
  return out ? out->unit : none;
}

UnitPtr CatalogIndex::committed_candidate(const std::string& name) const {
  if (const UnitPtr* unit = units.committed(name)) return *unit;
  const LeftOut* out = left_out.committed(name);
  return out ? out->unit : nullptr;
}

std::vector<std::string> CatalogIndex::concerned(ConcernKind kind, const std::string& subject) const {
  std::vector<std::string> result;
  for (auto it = concerns.map().lower_bound(Concern{kind, subject, ""});
       it != concerns.map().end() && it->first.kind == kind && it->first.subject == subject; ++it) {
    result.push_back(it->first.by);
  }
  return result;
}

std::set<std::string> CatalogIndex::names_with_prefix(const std::string& prefix) const {
  std::set<std::string> names;
  for (const Layer& layer : layers) {
    const std::string start = layer.prefix + prefix;
    for (auto it = entries.map().lower_bound(start);
         it != entries.map().end() && it->first.starts_with(start); ++it) {
      const Place place = place_of(it->first, layers);
      const auto* file = std::get_if<UnitFile>(&place);
      if (file && file->name.starts_with(prefix)) names.insert(file->name);
    }
  }
  return names;
}

std::string CatalogIndex::real_name(const std::string& name) const {
  if (has_candidate(name)) return name;
  const std::string* owner = nullptr;
  for (auto it = claims.map().lower_bound(AliasClaim{name, ""});
       it != claims.map().end() && it->first.alias == name; ++it) {
    if (!has_candidate(it->second)) continue;
    if (owner && *owner != it->second) return name;
    owner = &it->second;
  }
  return owner ? *owner : name;
}

std::vector<std::string> CatalogIndex::starts_after(const std::string& name) const {
  const UnitPtr& unit = candidate(name);
  if (!unit) return {};
  std::set<std::string> names(unit->dependencies->after.begin(), unit->dependencies->after.end());
  for (std::string& earlier : concerned(ConcernKind::before, name))
    names.insert(std::move(earlier));
  names.erase(name);
  std::erase_if(names, [this](const std::string& earlier) { return !has_candidate(earlier); });
  return {names.begin(), names.end()};
}

void CatalogIndex::set_note(const std::string& key, Note note) {
  if (note == Note{}) {
    notes.erase(key);
  } else {
    notes.set(key, std::move(note));
  }
}

bool CatalogIndex::has_errors_of_its_own(const std::string& name) const {
  const Note* note = notes.find(name);
  return note && has_errors(note->diagnostics);
}

std::set<Concern> concerns_of(const std::string& name, const Unit* unit, const Note* note) {
  std::set<Concern> result;
  const auto add = [&result, &name](ConcernKind kind, const std::vector<std::string>& subjects) {
    for (const std::string& subject : subjects)
      result.insert({kind, subject, name});
  };
  if (unit) {
    const Dependencies& on = *unit->dependencies;
    add(ConcernKind::demands, on.requires_);
    add(ConcernKind::demands, on.requisite);
    add(ConcernKind::demands, on.binds_to);
    add(ConcernKind::conflicts, on.conflicts);
    add(ConcernKind::before, on.before);
    add(ConcernKind::mentions, on.wants);
    add(ConcernKind::mentions, on.part_of);
    add(ConcernKind::mentions, on.after);
    for (const WatchedPath& watched : *unit->watched)
      result.insert({ConcernKind::watches, watched.path, name});
  }
  if (note) {
    add(ConcernKind::mentions, note->alias_uses);
    if (!note->link_target.empty()) result.insert({ConcernKind::links, note->link_target, name});
  }
  return result;
}

Diagnostics bounded(Diagnostics diagnostics, std::size_t limit) {
  if (diagnostics.size() <= limit) return diagnostics;
  // Errors are never cut in favour of warnings.
  std::stable_partition(diagnostics.begin(), diagnostics.end(),
                        [](const Diagnostic& each) { return each.severity == Severity::error; });
  const std::size_t more = diagnostics.size() - (limit - 1);
  const Severity severity = diagnostics[limit - 1].severity;
  diagnostics.resize(limit - 1);
  std::sort(diagnostics.begin(), diagnostics.end());
  diagnostics.push_back({"", 0, 0, severity, "and " + std::to_string(more) + " more"});
  return diagnostics;
}

}  // namespace gitproc
