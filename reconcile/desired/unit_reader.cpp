#include "reconcile/desired/unit_reader.h"

#include <algorithm>
#include <set>

#include "reconcile/base/strings.h"
#include "reconcile/desired/relations.h"
#include "reconcile/unit/loader.h"
#include "reconcile/unit/names.h"
#include "reconcile/unit/selector.h"

namespace gitproc {
namespace {

constexpr std::string_view null_device = "/dev/null";

Diagnostic error_at(const std::string& path, std::string message) {
  return {path, 0, 0, Severity::error, std::move(message)};
}

bool is_regular(EntryKind kind) { return kind == EntryKind::file || kind == EntryKind::executable; }

std::string_view describe(EntryKind kind) {
  switch (kind) {
    case EntryKind::file:
    case EntryKind::executable: return "file";
    case EntryKind::symlink: return "symbolic link";
    case EntryKind::submodule: return "submodule";
    case EntryKind::folder: return "folder";
  }
  __builtin_unreachable();
}

// 64-bit FNV-1a (Fowler, Noll, Vo 1991): stable for ever, as fingerprints are written to disk.
class Fingerprint {
 public:
  void add(std::string_view text) {
    for (const char c : text)
      add_byte(static_cast<std::uint8_t>(c));
    add_byte(0);
  }
  void add(const ObjectId& id) {
    for (const std::uint8_t byte : id.bytes)
      add_byte(byte);
  }
  void add_byte(std::uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3u; }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

std::uint64_t fingerprint_of(const Unit& unit) {
  Fingerprint fingerprint;
  fingerprint.add(unit.name);
  for (const UnitSource& source : unit.sources) {
    fingerprint.add(source.path);
    fingerprint.add(source.blob);
  }
  for (const WatchedPath& watched : *unit.watched) {
    fingerprint.add(watched.path);
    fingerprint.add_byte(watched.content ? 1 : 0);
    if (watched.content) fingerprint.add(*watched.content);
  }
  return fingerprint.value();
}

// It may come with a later commit; more often it is mistyped, or meant as a pattern.
Diagnostic nothing_to_watch(const WatchedPath& watched, const std::vector<SourceText>& sources) {
  const std::string directive = watched.restarts ? "RestartOn" : "ReloadOn";
  Diagnostic diagnostic{sources.front().path, 0, 0, Severity::warning,
                        directive + "=" + watched.path + ": there is nothing of that path in the commit"};
  for (const SourceText& source : sources) {
    if (const unsigned line = line_of(source.text, directive, {watched.path})) {
      diagnostic.file = source.path;
      diagnostic.line = line;
    }
  }
  return diagnostic;
}

}  // namespace

Result<ReadUnit> UnitReader::read(const std::string& name) {
  ReadUnit result;
  std::optional<Fragment> main = find_fragment(name, result.note.diagnostics);
  if (main && main->entry.kind == EntryKind::symlink) {
    auto followed = follow(name, *main, result.note);
    if (!followed) return std::unexpected(followed.error());
    main = std::move(*followed);
  }
  // A template is not run by itself, and judged by its instances.
  if (!main || is_template(name)) return result;
  return load(name, *main, std::move(result.note));
}

void UnitReader::read_ahead(const std::string& name) {
  if (bytes_ahead_ >= max_cached_bytes) return;
  Diagnostics ignored;
  std::optional<Fragment> main = find_fragment(name, ignored);
  if (!main || !is_regular(main->entry.kind) || texts_ahead_.contains(main->entry.id)) return;
  Result<std::string> text = files_.read(main->entry.id, max_unit_file_bytes);
  if (!text) return;  // told when it is read
  bytes_ahead_ += text->size();
  texts_ahead_.emplace(main->entry.id, *text);
}

std::optional<TreeEntry> UnitReader::entry_at(const std::string& path) const {
  if (const TreeEntry* entry = index_.entries.find(path)) return *entry;
  const std::string below = path + "/";
  const auto first_below = index_.entries.map().lower_bound(below);
  if (first_below != index_.entries.map().end() && first_below->first.starts_with(below)) {
    return TreeEntry{EntryKind::folder, {}};
  }
  return std::nullopt;
}

// The file of the most specific layer that has one; nullopt where there is none, or it is wrong.
std::optional<UnitReader::Fragment> UnitReader::find_fragment(const std::string& name,
                                                              Diagnostics& diagnostics) const {
  std::vector<Fragment> found;
  LayerLevel level = LayerLevel::top;
  for (auto layer = index_.layers.rbegin(); layer != index_.layers.rend(); ++layer) {
    if (!found.empty() && layer->level != level) break;
    const std::string path = layer->prefix + name + ".service";
    const auto entry = entry_at(path);
    if (!entry) continue;
    level = layer->level;
    found.push_back({path, *entry});
  }
  if (found.empty()) return std::nullopt;
  if (found.size() > 1) {
    std::reverse(found.begin(), found.end());
    for (const Fragment& each : found) {
      const Fragment& other = &each == &found.front() ? found[1] : found.front();
      diagnostics.push_back(
          error_at(each.path, "'" + other.path + "' holds the same unit, and both groups apply"));
    }
    return std::nullopt;
  }
  const Fragment& fragment = found.front();
  if (!is_regular(fragment.entry.kind) && fragment.entry.kind != EntryKind::symlink) {
    diagnostics.push_back(error_at(fragment.path, "is a " + std::string(describe(fragment.entry.kind)) +
                                                      " in the place of a unit file"));
    return std::nullopt;
  }
  return fragment;
}

// The drop-ins in the order they apply: layer by layer, each sorted by file name. Of one file name, the most
// specific level wins, and within a layer the most specific folder.
std::vector<UnitReader::Fragment> UnitReader::find_drop_ins(const std::string& name) const {
  struct Candidate {
    std::string file;
    Fragment fragment;
  };
  const std::vector<std::string> stems = drop_in_stems(name);
  std::map<std::string, LayerLevel, std::less<>> best_level;
  std::vector<std::pair<LayerLevel, std::vector<Candidate>>> by_layer;
  for (const Layer& layer : index_.layers) {
    std::map<std::string, Fragment> files;
    for (const std::string& stem : stems) {
      const std::string folder = layer.prefix + (stem.empty() ? "" : stem + ".") + "service.d/";
      for (auto it = index_.entries.map().lower_bound(folder);
           it != index_.entries.map().end() && it->first.starts_with(folder); ++it) {
        files.try_emplace(it->first.substr(folder.size()), Fragment{it->first, it->second});
      }
    }
    std::vector<Candidate> candidates;
    for (auto& [file, fragment] : files) {
      best_level[file] = layer.level;
      candidates.push_back({file, std::move(fragment)});
    }
    by_layer.emplace_back(layer.level, std::move(candidates));
  }
  std::vector<Fragment> result;
  for (auto& [level, candidates] : by_layer) {
    for (Candidate& candidate : candidates) {
      if (best_level.at(candidate.file) == level) result.push_back(std::move(candidate.fragment));
    }
  }
  return result;
}

Result<std::optional<std::string>> UnitReader::read_text(const Fragment& fragment, std::size_t limit_bytes,
                                                         bool is_shared, Diagnostics& diagnostics) {
  const auto ahead = texts_ahead_.find(fragment.entry.id);
  if (ahead != texts_ahead_.end() && ahead->second.size() <= limit_bytes) return std::string(ahead->second);
  const auto cached = shared_texts_.find(fragment.entry.id);
  if (cached != shared_texts_.end()) return cached->second;
  Result<std::string> text = files_.read(fragment.entry.id, limit_bytes);
  if (!text && text.error().code == ErrorCode::invalid) {
    diagnostics.push_back(
        error_at(fragment.path, "is larger than " + std::to_string(limit_bytes) + " bytes"));
    return std::optional<std::string>();
  }
  if (!text)
    return fail("cannot read '" + printable(fragment.path) + "': " + text.error().message, text.error().code);
  if (is_shared) {
    if (shared_bytes_ + text->size() > max_cached_bytes) {
      shared_texts_.clear();
      shared_bytes_ = 0;
    }
    shared_bytes_ += text->size();
    shared_texts_.emplace(fragment.entry.id, *text);
  }
  return std::optional<std::string>(std::move(*text));
}

Result<std::string> UnitReader::text_of(const ObjectId& blob) {
  return files_.read(blob, max_unit_file_bytes);
}

// Where a link in the place of a unit file leads: the file to load, or nullopt where there is none (masked, a
// second name of another unit, or wrong).
Result<std::optional<UnitReader::Fragment>> UnitReader::follow(const std::string& name, const Fragment& link,
                                                               Note& note) {
  const auto text = read_text(link, max_link_bytes, false, note.diagnostics);
  if (!text) return std::unexpected(text.error());
  if (!*text || **text == null_device) return std::nullopt;

  const std::string& target = **text;
  const std::string path = resolve_link(link.path, target);
  const Place place = place_of(path, index_.layers);
  const auto* file = std::get_if<UnitFile>(&place);
  const bool names_unit = file && path.ends_with("/" + file->name + ".service");
  const bool names_top_unit = file && path == file->name + ".service";
  if (!names_unit && !names_top_unit) {
    note.diagnostics.push_back(error_at(
        link.path,
        "links to '" + printable(target) + "', which is not a unit file of this repository for this node"));
    return std::nullopt;
  }
  // From here on a change of what it names must be noticed, whatever is wrong now.
  note.link_target = file->name;
  const auto entry = entry_at(path);
  if (!entry) {
    note.diagnostics.push_back(error_at(link.path, "links to '" + path + "', which is not in the commit"));
    return std::nullopt;
  }
  if (file->name == name) {
    note.link_target.clear();
    if (path != link.path && is_regular(entry->kind)) return Fragment{path, *entry};
    note.diagnostics.push_back(error_at(link.path, "links to '" + path + "', which is not a file"));
    return std::nullopt;
  }
  if (file->name == template_of(name)) {
    note.link_target.clear();
    auto main = find_fragment(file->name, note.diagnostics);
    if (!main || is_regular(main->entry.kind)) return main;
    const auto is_masked = is_null_link(*main, note.diagnostics);
    if (!is_masked) return std::unexpected(is_masked.error());
    if (!*is_masked) note.diagnostics.push_back(error_at(main->path, "is a link; a template must be a file"));
    return std::nullopt;
  }
  if (is_template(name) || is_template(file->name)) {
    note.diagnostics.push_back(error_at(link.path, "links to '" + path + "'; only '" +
                                                       std::string(prefix_of(file->name)) +
                                                       "@INSTANCE.service' can link to a template"));
  }
  return std::nullopt;
}

Result<bool> UnitReader::is_null_link(const Fragment& link, Diagnostics& diagnostics) {
  const auto text = read_text(link, max_link_bytes, true, diagnostics);
  if (!text) return std::unexpected(text.error());
  return *text && **text == null_device;
}

Result<ReadUnit> UnitReader::load(const std::string& name, const Fragment& main, Note note) {
  std::vector<SourceText> sources;
  const bool is_shared = !main.path.ends_with(name + ".service");  // a template's
  auto text = read_text(main, max_unit_file_bytes, is_shared, note.diagnostics);
  if (!text) return std::unexpected(text.error());
  if (*text && (*text)->empty()) return ReadUnit{};  // masked, as by a link to /dev/null
  if (*text) sources.push_back({main.path, main.entry.id, std::move(**text)});

  const std::vector<Fragment> drop_ins = find_drop_ins(name);
  if (drop_ins.size() > max_drop_ins_per_unit) {
    note.diagnostics.push_back(error_at(main.path, "has " + std::to_string(drop_ins.size()) +
                                                       " drop-ins, at most " +
                                                       std::to_string(max_drop_ins_per_unit) + " are taken"));
    return ReadUnit{nullptr, std::move(note)};
  }
  for (const Fragment& drop_in : drop_ins) {
    if (drop_in.entry.kind == EntryKind::symlink) {
      const auto is_masked = is_null_link(drop_in, note.diagnostics);
      if (!is_masked) return std::unexpected(is_masked.error());
      if (*is_masked) continue;
    }
    if (!is_regular(drop_in.entry.kind)) {
      note.diagnostics.push_back(error_at(
          drop_in.path, "is a " + std::string(describe(drop_in.entry.kind)) + "; a drop-in must be a file"));
      continue;
    }
    text = read_text(drop_in, max_unit_file_bytes, true, note.diagnostics);
    if (!text) return std::unexpected(text.error());
    if (*text) sources.push_back({drop_in.path, drop_in.entry.id, std::move(**text)});
  }
  if (sources.empty() || sources.front().path != main.path) return ReadUnit{nullptr, std::move(note)};

  UnitLoad loaded = load_unit(name, sources, options_.specifiers);
  // For another node: what is wrong in it is not this node's matter. A selector that is wrong itself is.
  if (const auto selector = parse_selector(loaded.node_selector);
      selector && !matches(*selector, options_.node.labels)) {
    return ReadUnit{};
  }
  note.diagnostics.insert(note.diagnostics.end(), loaded.diagnostics.begin(), loaded.diagnostics.end());
  const bool is_wrong = !loaded.unit || has_errors(note.diagnostics);
  if (is_wrong) {
    note.diagnostics = bounded(std::move(note.diagnostics), max_diagnostics_per_unit);
    return ReadUnit{nullptr, std::move(note)};
  }

  std::set<std::string> aliases(loaded.aliases.begin(), loaded.aliases.end());
  aliases.erase(name);
  note.aliases.assign(aliases.begin(), aliases.end());
  Unit unit = *loaded.unit;
  if (const auto filled = fill_in(unit); !filled) return std::unexpected(filled.error());
  for (const WatchedPath& watched : *unit.watched) {
    if (!watched.content) note.diagnostics.push_back(nothing_to_watch(watched, sources));
  }
  note.diagnostics = bounded(std::move(note.diagnostics), max_diagnostics_per_unit);
  if (last_) unit.share_with(*last_);
  last_ = std::make_shared<const Unit>(std::move(unit));
  return ReadUnit{last_, std::move(note)};
}

// What load_unit leaves to the commit: the contents of watched paths, and the fingerprint.
Result<void> UnitReader::fill_in(Unit& unit) {
  if (!unit.watched->empty()) {
    for (WatchedPath& watched : unit.watched.edit()) {
      const auto entry = files_.entry(watched.path);
      if (!entry)
        return fail("cannot look up '" + watched.path + "': " + entry.error().message, entry.error().code);
      watched.content = *entry ? std::optional<ObjectId>((*entry)->id) : std::nullopt;
    }
  }
  unit.fingerprint = fingerprint_of(unit);
  return {};
}

}  // namespace gitproc
