// A map that remembers what it held at the last commit() for the keys that were touched since: so that a
// change of many maps is all or nothing, at a cost that follows the change, and what changed is known. What it remembers
// is in memory apart, so that nothing is left between the map's own nodes when it is forgotten.
#pragma once

#include <functional>
#include <map>
#include <memory_resource>
#include <optional>
#include <utility>

namespace gitproc {

// Map: a std::map, or a set of Values that know their Key and that is changed as a map is (UnitSet).
template <typename Key, typename Value, typename Map = std::map<Key, Value, std::less<>>>
class JournaledMap {
 public:
  using Touched = std::pmr::map<Key, std::optional<Value>>;

  const Map& map() const { return map_; }

  template <typename K>
  const Value* find(const K& key) const {
    const auto found = map_.find(key);
    return found == map_.end() ? nullptr : value_of(*found);
  }
  template <typename K>
  bool contains(const K& key) const {
    return map_.contains(key);
  }

  void set(const Key& key, Value value) {
    remember(key);
    map_.insert_or_assign(key, std::move(value));
  }
  void erase(const Key& key) {
    if (!map_.contains(key)) return;
    remember(key);
    map_.erase(key);
  }

  // What `key` held at the last commit(); null where it was not there.
  const Value* committed(const Key& key) const {
    const auto old = touched_.find(key);
    if (old == touched_.end()) return find(key);
    return old->second ? &*old->second : nullptr;
  }
  // The keys touched since the last commit(), with what they held then.
  const Touched& touched() const { return touched_; }

  void commit() {
    touched_.clear();
    scratch_.release();
  }
  void rollback() {
    for (auto& [key, value] : touched_) {
      if (value) {
        map_.insert_or_assign(key, std::move(*value));
      } else {
        map_.erase(key);
      }
    }
    commit();
  }

 private:
  void remember(const Key& key) {
    if (touched_.contains(key)) return;
    const auto found = map_.find(key);
    touched_.emplace(key, found == map_.end() ? std::nullopt : std::optional<Value>(*value_of(*found)));
  }
  static const Value* value_of(const std::pair<const Key, Value>& item) { return &item.second; }
  static const Value* value_of(const Value& item) { return &item; }

  Map map_;
  std::pmr::monotonic_buffer_resource scratch_;
  Touched touched_{&scratch_};
};

}  // namespace gitproc
