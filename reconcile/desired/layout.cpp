#include "reconcile/desired/layout.h"

#include <algorithm>

#include "reconcile/base/strings.h"
#include "reconcile/desired/catalog.h"
#include "reconcile/unit/names.h"

namespace gitproc {
namespace {

constexpr std::string_view unit_suffix = ".service";
constexpr std::string_view drop_in_suffix = ".service.d";
constexpr std::string_view type_wide_folder = "service.d";

// The first component of a path and what follows its '/'.
struct Head {
  std::string_view name;
  std::string_view rest;
  bool is_whole = true;  // nothing follows
};

Head head_of(std::string_view path) {
  const auto slash = path.find('/');
  if (slash == std::string_view::npos) return {path, {}, true};
  return {path.substr(0, slash), path.substr(slash + 1), false};
}

bool is_drop_in_folder(std::string_view name) {
  return name == type_wide_folder || name.ends_with(drop_in_suffix);
}

MisnamedFile misnamed(std::string_view name) {
  if (name == "daemon") return {"'daemon' is a reserved service name"};
  if (!is_utf8(name)) return {"the name of a unit file must be UTF-8"};
  return {"'" + printable(name) + "' is not a valid service name"};
}

// `path` relative to its layer.
Place place_in_layer(std::string_view path) {
  const Head head = head_of(path);
  if (head.name.ends_with(unit_suffix)) {
    const std::string_view name = head.name.substr(0, head.name.size() - unit_suffix.size());
    if (!is_valid_service_name(name)) return misnamed(name);
    return UnitFile{std::string(name)};
  }
  if (!is_drop_in_folder(head.name)) return NotAUnit{};
  if (head.is_whole) return UnitFolder{};
  // As systemd: folders below, hidden files and other suffixes are not looked at.
  if (head.rest.contains('/') || head.rest.starts_with('.') || !head.rest.ends_with(".conf"))
    return NotAUnit{};
  if (!is_utf8(head.rest)) return MisnamedFile{"the name of a drop-in must be UTF-8"};
  if (head.name == type_wide_folder) return DropInFile{""};
  return DropInFile{std::string(head.name.substr(0, head.name.size() - drop_in_suffix.size()))};
}

}  // namespace

std::vector<Layer> layers_of(const NodeIdentity& node) {
  std::vector<Layer> layers = {{"", LayerLevel::top}};
  for (const auto& [key, value] : node.labels) {
    Layer layer{"groups/" + key + "=" + value + "/", LayerLevel::group};
    const bool is_known = std::any_of(layers.begin(), layers.end(),
                                      [&layer](const Layer& other) { return other.prefix == layer.prefix; });
    if (!is_known) layers.push_back(std::move(layer));
  }
  if (!node.name.empty()) layers.push_back({"nodes/" + node.name + "/", LayerLevel::node});
  return layers;
}

Place place_of(std::string_view path, const std::vector<Layer>& layers) {
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    if (path.starts_with(layer->prefix)) {
      Place place = place_in_layer(path.substr(layer->prefix.size()));
      if (!std::holds_alternative<NotAUnit>(place)) return place;
    }
    const bool leads_there = layer->prefix.size() > path.size() && layer->prefix.starts_with(path) &&
                             layer->prefix[path.size()] == '/' && !path.empty();
    if (leads_there) return UnitFolder{};
  }
  return NotAUnit{};
}

std::vector<std::string> drop_in_stems(std::string_view name) {
  const auto at = name.find('@');
  const std::string_view prefix = name.substr(0, at);
  const std::string_view suffix =
      at == std::string_view::npos ? std::string_view{} : name.substr(at);  // "@x"
  std::vector<std::string> stems;
  const auto add = [&stems, suffix](std::string_view start) {
    std::string stem(start);
    stems.push_back(stem + std::string(suffix));
    if (suffix.size() > 1) stems.push_back(stem + "@");
  };
  add(prefix);
  for (std::size_t i = prefix.empty() ? 0 : prefix.size() - 1; i > 0; --i) {
    if (prefix[i - 1] == '-') add(prefix.substr(0, i));
  }
  stems.emplace_back();
  return stems;
}

StemScope scope_of(std::string_view stem) {
  const auto at = stem.find('@');
  const std::string_view prefix = stem.substr(0, at);
  if (prefix.ends_with('-')) return {std::string(prefix), false};
  if (stem.empty() || stem.ends_with('@')) return {std::string(stem), false};
  return {std::string(stem), true};
}

std::string resolve_link(std::string_view link_path, std::string_view target) {
  if (target.empty() || target.starts_with('/')) return {};
  std::vector<std::string> parts;
  for (const std::string_view part : split(link_path, '/'))
    parts.emplace_back(part);
  parts.pop_back();
  for (const std::string_view part : split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.emplace_back(part);
    } else if (parts.empty()) {
      return {};
    } else {
      parts.pop_back();
    }
  }
  return join(parts, "/");
}

bool may_hold_units(std::string_view folder, const NodeIdentity& node) {
  if (folder.empty()) return true;
  for (const Layer& layer : layers_of(node)) {
    // The layer itself, or a folder that leads to it.
    if (layer.prefix.starts_with(folder) && layer.prefix[folder.size()] == '/') return true;
    if (!folder.starts_with(layer.prefix)) continue;
    const Head head = head_of(folder.substr(layer.prefix.size()));
    if (head.name.ends_with(unit_suffix) || (head.is_whole && is_drop_in_folder(head.name))) return true;
  }
  return false;
}

bool is_data(std::string_view path) {
  const std::string_view first = head_of(path).name;
  return first != "nodes" && first != "groups" && !first.ends_with(unit_suffix) && !is_drop_in_folder(first);
}

}  // namespace gitproc
