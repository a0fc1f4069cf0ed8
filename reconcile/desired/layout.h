// Where in a repository the units of one node are. A layer is a folder that applies to this node: the top,
// then groups/<key>=<value>/ of each label, then nodes/<name>/; a later level is more specific.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "reconcile/desired/snapshot.h"

namespace gitproc {

enum class LayerLevel { top, group, node };

struct Layer {
  std::string prefix;  // "", "groups/role=web/", "nodes/web-1/"
  LayerLevel level = LayerLevel::top;
};

// Least specific first, groups by label.
std::vector<Layer> layers_of(const NodeIdentity& node);

// What a path means for this node.
struct NotAUnit {};
struct UnitFile {
  std::string name;  // valid, without ".service"; a template's ends in '@'
};
struct DropInFile {
  std::string stem;  // "web", "foo-", "worker@"; "" for service.d
};
struct UnitFolder {};  // a folder that units are looked for in stands, or would stand, here
struct MisnamedFile {
  std::string message;
};
using Place = std::variant<NotAUnit, UnitFile, DropInFile, UnitFolder, MisnamedFile>;

// A path below NAME.service is a UnitFile too: it shows that a folder is in the place of the unit.
Place place_of(std::string_view path, const std::vector<Layer>& layers);

// The stems of the drop-in folders that apply to a unit, most specific first: "foo-bar@x", "foo-bar@",
// "foo-@x", "foo-@", "" (systemd.unit(5); reference 3.13).
std::vector<std::string> drop_in_stems(std::string_view name);

// A prefix that all names to which the drop-in folder applies have; the name itself where it is only one.
struct StemScope {
  std::string prefix;
  bool is_exact = false;
};
StemScope scope_of(std::string_view stem);

// Path of a link's target inside the repository, "" where it leaves it or is absolute.
std::string resolve_link(std::string_view link_path, std::string_view target);

}  // namespace gitproc
