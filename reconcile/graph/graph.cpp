#include "reconcile/graph/graph.h"

#include <algorithm>
#include <queue>

namespace gitproc {
namespace {

void sort_unique(std::vector<std::string>& names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
}

std::vector<std::string> others_of(const std::vector<std::string>& names, const std::string& self) {
  std::vector<std::string> others = names;
  std::erase(others, self);
  sort_unique(others);
  return others;
}

bool contains(const std::vector<std::string>& sorted, const std::string& name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

void insert(std::vector<std::string>& sorted, const std::string& name) {
  const auto place = std::lower_bound(sorted.begin(), sorted.end(), name);
  if (place == sorted.end() || *place != name) sorted.insert(place, name);
}

void erase(std::vector<std::string>& sorted, const std::string& name) {
  const auto place = std::lower_bound(sorted.begin(), sorted.end(), name);
  if (place != sorted.end() && *place == name) sorted.erase(place);
}

}  // namespace

void DependencyGraph::set(const Unit& unit) {
  unlink(unit.name);
  Node& node = nodes_[unit.name];
  node.exists = true;
  const Dependencies& dependencies = *unit.dependencies;
  if (dependencies.after.empty() && dependencies.before.empty()) return;
  Edges& edges = node.edges.edit();
  edges.declared_after = others_of(dependencies.after, unit.name);
  edges.declared_before = others_of(dependencies.before, unit.name);
  for (const std::string& other : edges.declared_after) {
    insert(edges.after, other);
    insert(nodes_[other].edges.edit().before, unit.name);
  }
  for (const std::string& other : edges.declared_before) {
    insert(edges.before, other);
    insert(nodes_[other].edges.edit().after, unit.name);
  }
}

void DependencyGraph::remove(std::string_view name) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) return;
  const std::string key = found->first;
  unlink(key);
  if (const auto node = nodes_.find(key); node != nodes_.end()) node->second.exists = false;
  drop_if_empty(key);
}

// Takes back what the unit itself declared; what others declared about it stays.
void DependencyGraph::unlink(const std::string& name) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) return;
  const Edges old = *found->second.edges;
  if (old.declared_after.empty() && old.declared_before.empty()) return;
  Edges& edges = found->second.edges.edit();
  edges.declared_after.clear();
  edges.declared_before.clear();
  for (const std::string& other : old.declared_after) {
    if (is_declared(name, other)) continue;
    erase(edges.after, other);
    erase(nodes_[other].edges.edit().before, name);
    drop_if_empty(other);
  }
  for (const std::string& other : old.declared_before) {
    if (is_declared(other, name)) continue;
    erase(edges.before, other);
    erase(nodes_[other].edges.edit().after, name);
    drop_if_empty(other);
  }
  if (edges == Edges{}) found->second.edges = {};
}

void DependencyGraph::drop_if_empty(const std::string& name) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end() || *found->second.edges != Edges{}) return;
  if (found->second.exists) {
    found->second.edges = {};
  } else {
    nodes_.erase(found);
  }
}

// Whether either end still says that `later` starts after `earlier`.
bool DependencyGraph::is_declared(const std::string& later, const std::string& earlier) const {
  const auto later_node = nodes_.find(later);
  const auto earlier_node = nodes_.find(earlier);
  return (later_node != nodes_.end() && contains(later_node->second.edges->declared_after, earlier)) ||
         (earlier_node != nodes_.end() && contains(earlier_node->second.edges->declared_before, later));
}

std::vector<std::string> DependencyGraph::existing(const std::vector<std::string>& names) const {
  std::vector<std::string> result;
  for (const std::string& name : names) {
    const auto node = nodes_.find(name);
    if (node != nodes_.end() && node->second.exists) result.push_back(name);
  }
  return result;
}

std::vector<std::string> DependencyGraph::after(std::string_view name) const {
  const auto node = nodes_.find(name);
  return node == nodes_.end() ? std::vector<std::string>{} : existing(node->second.edges->after);
}

std::vector<std::string> DependencyGraph::before(std::string_view name) const {
  const auto node = nodes_.find(name);
  return node == nodes_.end() ? std::vector<std::string>{} : existing(node->second.edges->before);
}

std::expected<std::vector<std::string>, Cycle> DependencyGraph::order() const {
  std::vector<Nodes::const_iterator> members;
  members.reserve(nodes_.size());
  for (auto node = nodes_.begin(); node != nodes_.end(); ++node) {
    if (node->second.exists) members.push_back(node);
  }
  return order_of(members);
}

std::expected<std::vector<std::string>, Cycle> DependencyGraph::order(
    const std::set<std::string>& subset) const {
  std::vector<Nodes::const_iterator> members;
  for (const std::string& name : subset) {
    const auto node = nodes_.find(name);
    if (node != nodes_.end() && node->second.exists) members.push_back(node);
  }
  return order_of(members);
}

// Kahn's algorithm on the places in `members`, which are sorted by name: the smallest place that is ready is
// the first by name.
std::expected<std::vector<std::string>, Cycle> DependencyGraph::order_of(
    const std::vector<Nodes::const_iterator>& members) const {
  const auto place_of = [&members](const std::string& name) {
    const auto found =
        std::lower_bound(members.begin(), members.end(), name,
                         [](const auto& member, const std::string& key) { return member->first < key; });
    return found == members.end() || (*found)->first != name
               ? members.size()
               : static_cast<std::size_t>(found - members.begin());
  };
  std::vector<std::vector<std::size_t>> followers(members.size());
  std::vector<std::size_t> waits_for(members.size(), 0);
  for (std::size_t i = 0; i < members.size(); ++i) {
    for (const std::string& name : members[i]->second.edges->after) {
      const std::size_t earlier = place_of(name);
      if (earlier == members.size()) continue;
      followers[earlier].push_back(i);
      ++waits_for[i];
    }
  }
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (waits_for[i] == 0) ready.push(i);
  }
  std::vector<std::string> result;
  result.reserve(members.size());
  while (!ready.empty()) {
    const std::size_t next = ready.top();
    ready.pop();
    result.push_back(members[next]->first);
    for (const std::size_t follower : followers[next]) {
      if (--waits_for[follower] == 0) ready.push(follower);
    }
  }
  if (result.size() == members.size()) return result;

  std::vector<std::string> stuck;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (waits_for[i] > 0) stuck.push_back(members[i]->first);
  }
  const auto knots = find_knots(stuck, [this, &members, &place_of](const std::string& name) {
    std::vector<std::string> names = nodes_.find(name)->second.edges->after;
    std::erase_if(names, [&](const std::string& earlier) { return place_of(earlier) == members.size(); });
    return names;
  });
  return std::unexpected(knots.front().cycle);
}

std::expected<void, Cycle> DependencyGraph::check(const std::vector<std::string>& changed) const {
  const auto knots = find_knots(existing(changed), [this](const std::string& name) { return after(name); });
  if (!knots.empty()) return std::unexpected(knots.front().cycle);
  return {};
}

}  // namespace gitproc
