#include "reconcile/desired/catalog.h"

#include <algorithm>
#include <map>
#include <memory_resource>
#include <set>
#include <utility>

#include "reconcile/base/strings.h"
#include "reconcile/desired/index.h"
#include "reconcile/desired/relations.h"
#include "reconcile/desired/unit_reader.h"
#include "reconcile/unit/names.h"

namespace gitproc {
namespace {

// As the path of a Diagnostic, which goes to terminals and into JSON: UTF-8 without control characters.
std::string shown_path(std::string_view path) {
  constexpr std::size_t limit = 4096;
  if (is_utf8(path)) return printable(path, limit);
  static constexpr char digits[] = "0123456789abcdef";
  std::string shown;
  for (const char c : path.substr(0, limit)) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      shown += c;
    } else {
      shown += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return shown;
}

std::string path_key(const std::string& path) { return "/" + path; }

// The path itself and the folders above it, the top too.
std::vector<std::string> with_folders_above(const std::string& path) {
  std::vector<std::string> result = {path};
  for (auto slash = path.rfind('/'); slash != std::string::npos && slash > 0;
       slash = path.rfind('/', slash - 1)) {
    result.push_back(path.substr(0, slash));
  }
  result.emplace_back();
  return result;
}

// One update, from the changed files to the changed units. Works on the index, whose journal takes it back.
//
// What it needs on the way is made between the units that stay: it has memory of its own, which is given back as a
// whole, and leaves no holes between them.
class Update {
  using NameSet = std::pmr::set<std::string>;

 public:
  Update(const Catalog::Options& options, CatalogIndex& index, CommitFiles& files)
      : options_(options), index_(index), reader_(index, options, files, &scratch_) {}

  std::expected<CatalogUpdate, CatalogFailure> run(const std::vector<FileChange>& changes) {
    for (const FileChange& change : changes)
      take_in(change);
    NameSet& names = touched_names_;
    for (const std::string& prefix : touched_templates_)
      add_linked_instances(prefix, names);
    for (const std::string& stem : touched_stems_)
      add_names_of_drop_in(stem, names);

    if (const auto read = read_all(names); !read) return std::unexpected(CatalogFailure{{}, read.error()});
    std::set<std::string> aliases = aliases_around(names);
    std::pmr::map<std::string, std::string> meant(&scratch_);
    for (const std::string& alias : aliases)
      meant.emplace(alias, index_.real_name(alias));
    for (const std::string& name : names)
      put(name);
    NameSet others(&scratch_);
    for (const auto& [alias, meaning] : meant) {
      if (index_.real_name(alias) != meaning) add_those_who_mention(alias, others);
    }
    if (const auto read = read_all(others); !read) return std::unexpected(CatalogFailure{{}, read.error()});
    for (const std::string& name : others)
      put(name);
    aliases.merge(aliases_around(others));  // they are judged anew as a whole
    for (const auto& [name, unit] : read_)
      settle(name);

    std::vector<std::string> touched;
    touched.reserve(read_.size());
    for (const auto& [name, unit] : read_)
      touched.push_back(name);
    const std::set<RelationError> relation_errors =
        check_relations(index_, touched, aliases, options_.skips_invalid);
    if (options_.skips_invalid) {
      if (!relation_errors.empty() || !index_.left_out.map().empty()) sieve();
    } else {
      Diagnostics errors = locate(relation_errors);
      for (const auto& [key, old] : index_.notes.touched()) {
        if (const Note* note = index_.notes.find(key)) add_errors(*note, errors);
      }
      if (!errors.empty())
        return std::unexpected(CatalogFailure{presentable(std::move(errors)), std::nullopt});
    }
    return CatalogUpdate{changed_units(), all_diagnostics()};
  }

 private:
  void take_in(const FileChange& change) {
    for (const std::string& path : with_folders_above(change.path)) {
      for (std::string& name : index_.concerned(ConcernKind::watches, path))
        touched_names_.insert(std::move(name));
    }
    const Place place = place_of(change.path, index_.layers);
    if (const auto* file = std::get_if<UnitFile>(&place)) {
      set_entry(change);
      touched_names_.insert(file->name);
      if (is_template(file->name)) touched_templates_.insert(file->name);
      for (std::string& name : index_.concerned(ConcernKind::links, file->name))
        touched_names_.insert(std::move(name));
    } else if (const auto* drop_in = std::get_if<DropInFile>(&place)) {
      set_entry(change);
      touched_stems_.insert(drop_in->stem);
    } else if (std::holds_alternative<UnitFolder>(place)) {
      // Not followed, so what it holds would seem deleted; a plain file of that name is only that.
      const bool is_hidden = change.after && (change.after->kind == EntryKind::symlink ||
                                              change.after->kind == EntryKind::submodule);
      const char* what =
          is_hidden && change.after->kind == EntryKind::symlink ? "symbolic link" : "submodule";
      set_path_error(change.path,
                     is_hidden ? std::string("is a ") + what + " in the place of a folder of units" : "");
    } else if (const auto* misnamed = std::get_if<MisnamedFile>(&place)) {
      set_path_error(change.path, change.after ? misnamed->message : "");
    }
  }

  void set_entry(const FileChange& change) {
    if (change.after) {
      index_.entries.set(change.path, *change.after);
    } else {
      index_.entries.erase(change.path);
    }
  }

  void set_path_error(const std::string& path, std::string message) {
    Note note;
    if (!message.empty())
      note.diagnostics.push_back({shown_path(path), 0, 0, Severity::error, std::move(message)});
    index_.set_note(path_key(path), std::move(note));
  }

  // Instances with a file of their own do not depend on the template.
  void add_linked_instances(const std::string& name, NameSet& names) const {
    for (const std::string& instance : index_.names_with_prefix(name)) {
      const bool is_link = std::ranges::any_of(index_.layers, [&](const Layer& layer) {
        const TreeEntry* entry = index_.entries.find(layer.prefix + instance + ".service");
        return entry && entry->kind == EntryKind::symlink;
      });
      if (is_link) names.insert(instance);
    }
  }

  void add_names_of_drop_in(const std::string& stem, NameSet& names) const {
    const StemScope scope = scope_of(stem);
    if (scope.is_exact) {
      names.insert(scope.prefix);
      return;
    }
    for (const std::string& name : index_.names_with_prefix(scope.prefix))
      names.insert(name);
  }

  Result<void> read_all(const NameSet& names) {
    for (const std::string& name : names)
      reader_.read_ahead(name);
    for (const std::string& name : names) {
      Result<ReadUnit> unit = reader_.read(name);
      if (!unit) return std::unexpected(unit.error());
      read_.insert_or_assign(name, std::move(*unit));
    }
    return {};
  }

  // Aliases whose meaning can change with these names: those they declare or declared, links to them, and they
  // themselves where others claim them.
  std::set<std::string> aliases_around(const NameSet& names) const {
    std::set<std::string> aliases;
    const auto add_declared = [&aliases](const std::string& name, const Note& note) {
      aliases.insert(note.aliases.begin(), note.aliases.end());
      if (!note.link_target.empty()) aliases.insert(name);
    };
    for (const std::string& name : names) {
      if (const Note* note = index_.notes.find(name)) add_declared(name, *note);
      add_declared(name, read_.at(name).note);
      for (std::string& link : index_.concerned(ConcernKind::links, name))
        aliases.insert(std::move(link));
      const auto claim = index_.claims.map().lower_bound(AliasClaim{name, ""});
      if (claim != index_.claims.map().end() && claim->first.alias == name) aliases.insert(name);
    }
    return aliases;
  }

  void add_those_who_mention(const std::string& alias, NameSet& names) const {
    for (const ConcernKind kind :
         {ConcernKind::demands, ConcernKind::conflicts, ConcernKind::before, ConcernKind::mentions}) {
      for (std::string& name : index_.concerned(kind, alias)) {
        if (!read_.contains(name)) names.insert(std::move(name));
      }
    }
  }

  // Makes what was read a candidate, with its aliases.
  void put(const std::string& name) {
    const ReadUnit& read = read_.at(name);
    if (const Note* old = index_.notes.find(name)) {
      for (const std::string& alias : old->aliases)
        index_.claims.erase({alias, name});
      if (!old->link_target.empty()) index_.claims.erase({name, name});
    }
    for (const std::string& alias : read.note.aliases)
      index_.claims.set({alias, name}, name);
    const bool is_second_name = !read.note.link_target.empty() && !has_errors(read.note.diagnostics);
    if (is_second_name) index_.claims.set({name, name}, read.note.link_target);
    index_.set_note(name, read.note);
    index_.left_out.erase(name);
    if (read.unit) {
      index_.units.set(name, read.unit);
    } else {
      index_.units.erase(name);
    }
  }

  // Now that all aliases are known: the unit as it will be, and what it is concerned by.
  void settle(const std::string& name) {
    ReadUnit& read = read_.at(name);
    const UnitPtr old_unit = index_.committed_candidate(name);
    const Note* old_note = index_.notes.committed(name);
    const std::set<Concern> old_concerns = concerns_of(name, old_unit.get(), old_note);
    if (read.unit) {
      Unit unit = *read.unit;
      read.note.alias_uses = resolve_aliases(unit, index_);
      const bool is_same = old_unit && *old_unit == unit;
      read.unit = is_same ? old_unit : std::make_shared<const Unit>(std::move(unit));
      index_.units.set(name, read.unit);
      index_.set_note(name, read.note);
    }
    const std::set<Concern> concerns = concerns_of(name, read.unit.get(), &read.note);
    for (const Concern& concern : old_concerns) {
      if (!concerns.contains(concern)) index_.concerns.erase(concern);
    }
    for (const Concern& concern : concerns) {
      if (!old_concerns.contains(concern)) index_.concerns.set(concern, {});
    }
  }

  void sieve() {
    const auto errors = find_left_out(index_);
    std::vector<std::string> well_again;
    for (const auto& [name, out] : index_.left_out.map()) {
      if (!errors.contains(name)) well_again.push_back(name);
    }
    for (const std::string& name : well_again) {
      const UnitPtr unit = index_.candidate(name);
      index_.left_out.erase(name);
      if (unit) index_.units.set(name, unit);
    }
    for (const auto& [name, why] : errors) {
      index_.left_out.set(name, {index_.candidate(name), locate(why)});
      index_.units.erase(name);
    }
  }

  // The file and, where it can be found, the line of each.
  Diagnostics locate(const std::set<RelationError>& errors) {
    Diagnostics result;
    for (const RelationError& error : errors) {
      Diagnostic diagnostic{file_of(error.name), 0, 0, Severity::error, error.message};
      const UnitPtr& unit = index_.candidate(error.name);
      if (unit && !error.directive.empty() && result.size() < max_reported_diagnostics) {
        std::vector<std::string> subjects = {error.subject};
        if (const Note* note = index_.notes.find(error.name)) {
          for (const std::string& alias : note->alias_uses) {
            if (index_.real_name(alias) == error.subject) subjects.push_back(alias);
          }
        }
        find_line(*unit, error.directive, subjects, diagnostic);
      }
      result.push_back(std::move(diagnostic));
    }
    return result;
  }

  void find_line(const Unit& unit, const std::string& directive, const std::vector<std::string>& subjects,
                 Diagnostic& diagnostic) {
    for (const UnitSource& source : unit.sources) {
      const Result<std::string> text = reader_.text_of(source.blob);
      if (!text) continue;  // the mistake stands without a line
      if (const unsigned line = line_of(*text, directive, subjects)) {
        diagnostic.file = source.path;
        diagnostic.line = line;
        return;
      }
    }
  }

  // The unit file, or the link, that makes this name.
  std::string file_of(const std::string& name) const {
    for (auto layer = index_.layers.rbegin(); layer != index_.layers.rend(); ++layer) {
      std::string path = layer->prefix + name + ".service";
      if (index_.entries.contains(path)) return path;
    }
    return name + ".service";
  }

  static void add_errors(const Note& note, Diagnostics& errors) {
    std::ranges::copy_if(note.diagnostics, std::back_inserter(errors),
                         [](const Diagnostic& each) { return each.severity == Severity::error; });
  }

  // Sorted, each once (a template's mistakes come with every instance), and bounded.
  static Diagnostics presentable(Diagnostics diagnostics) {
    std::sort(diagnostics.begin(), diagnostics.end());
    diagnostics.erase(std::unique(diagnostics.begin(), diagnostics.end()), diagnostics.end());
    return bounded(std::move(diagnostics), max_reported_diagnostics);
  }

  Diagnostics all_diagnostics() const {
    Diagnostics result;
    for (const auto& [key, note] : index_.notes.map()) {
      result.insert(result.end(), note.diagnostics.begin(), note.diagnostics.end());
    }
    for (const auto& [name, out] : index_.left_out.map()) {
      result.insert(result.end(), out.errors.begin(), out.errors.end());
    }
    return presentable(std::move(result));
  }

  std::vector<UnitChange> changed_units() const {
    std::vector<UnitChange> changes;
    for (const auto& [name, old] : index_.units.touched()) {
      const UnitPtr* unit = index_.units.find(name);
      if (!unit && !old) continue;
      if (unit && old && (*unit == *old || **unit == **old)) continue;
      changes.push_back({name, unit ? *unit : nullptr});
    }
    return changes;
  }

  const Catalog::Options& options_;
  CatalogIndex& index_;
  std::pmr::monotonic_buffer_resource scratch_;
  UnitReader reader_;
  NameSet touched_names_{&scratch_}, touched_templates_{&scratch_}, touched_stems_{&scratch_};
  std::pmr::map<std::string, ReadUnit> read_{&scratch_};
};

}  // namespace

struct Catalog::State {
  Options options;
  CatalogIndex index;
};

Catalog::Catalog(Options options) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  state_->index.layers = layers_of(state_->options.node);
}
Catalog::~Catalog() = default;
Catalog::Catalog(Catalog&&) noexcept = default;
Catalog& Catalog::operator=(Catalog&&) noexcept = default;

std::expected<CatalogUpdate, CatalogFailure> Catalog::update(const std::vector<FileChange>& changes,
                                                             CommitFiles& files) {
  CatalogIndex& index = state_->index;
  auto result = Update(state_->options, index, files).run(changes);
  if (result) {
    index.commit();
  } else {
    index.rollback();
  }
  return result;
}

UnitMap Catalog::units() const {
  UnitMap units;
  for (const UnitPtr& unit : state_->index.units.map())
    units.emplace_hint(units.end(), unit->name, unit);
  return units;
}

std::string Catalog::real_name(const std::string& name) const { return state_->index.real_name(name); }

}  // namespace gitproc
