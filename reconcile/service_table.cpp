#include "reconcile/service_table.h"

#include <algorithm>

namespace gitproc {
namespace {

Edge& edge_to(std::vector<Edge>& edges, ServiceId other) {
  auto found = std::ranges::find(edges, other, &Edge::other);
  if (found != edges.end()) return *found;
  return edges.emplace_back(Edge{other, {}});
}

void drop_edge(std::vector<Edge>& edges, ServiceId other) {
  std::erase_if(edges, [other](const Edge& edge) { return edge.other == other; });
}

}  // namespace

Service& ServiceTable::intern(std::string_view name) {
  if (Service* known = find(name)) return *known;
  ServiceId id{static_cast<std::uint32_t>(services_.size())};
  services_.push_back(std::make_unique<Service>(id, std::string(name)));
  by_name_.insert(services_.back().get());
  return *services_.back();
}

Service* ServiceTable::find(std::string_view name) {
  auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : *found;
}

const Service* ServiceTable::find(std::string_view name) const {
  auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : *found;
}

Service* ServiceTable::at(ServiceId id) {
  return index_of(id) < services_.size() ? services_[index_of(id)].get() : nullptr;
}

const Service* ServiceTable::at(ServiceId id) const {
  return index_of(id) < services_.size() ? services_[index_of(id)].get() : nullptr;
}

void ServiceTable::connect(Service& from, std::string_view to, Relation relation) {
  if (to == from.name) return;
  Service& other = intern(to);
  edge_to(from.out.edit(), other.id).relations.add(relation);
  edge_to(other.in.edit(), from.id).relations.add(relation);
}

void ServiceTable::relate(Service& service, const Unit* unit) {
  std::vector<ServiceId> former;
  former.reserve(service.out->size());
  for (const Edge& edge : *service.out)
    former.push_back(edge.other);
  for (ServiceId id : former)
    drop_edge(at(id)->in.edit(), service.id);
  service.out = {};

  if (unit != nullptr) {
    const Dependencies& named = *unit->dependencies;
    for (const std::string& to : named.requires_)
      connect(service, to, Relation::requires_);
    for (const std::string& to : named.requisite)
      connect(service, to, Relation::requisite);
    for (const std::string& to : named.binds_to)
      connect(service, to, Relation::binds_to);
    for (const std::string& to : named.wants)
      connect(service, to, Relation::wants);
    for (const std::string& to : named.part_of)
      connect(service, to, Relation::part_of);
    for (const std::string& to : named.conflicts)
      connect(service, to, Relation::conflicts);
    for (const std::string& to : named.after)
      connect(service, to, Relation::after);
    for (const std::string& to : named.before)
      connect(service, to, Relation::before);
  }
  for (ServiceId id : former)
    remove_if_unused(*at(id));
}

bool ServiceTable::remove_if_unused(Service& service) {
  if (service.desired || !service.life.is_down() || !service.in->empty() || !service.out->empty() ||
      service.is_queued || service.wave || service.is_shown || service.is_found || service.life.unit()) {
    return false;
  }
  by_name_.erase(&service);
  services_[index_of(service.id)].reset();
  return true;
}

}  // namespace gitproc
