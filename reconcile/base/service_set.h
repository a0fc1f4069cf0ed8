// A set of services, as bits by their ids, which are small and dense: what is asked of each service at every change
// costs neither a search nor a piece of memory. To go over it costs a 64th of the greatest id that was ever in it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <vector>

#include "reconcile/base/ids.h"

namespace gitproc {

class ServiceSet {
 public:
  // In the order of the ids. Valid until the set is changed.
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = ServiceId;
    using difference_type = std::ptrdiff_t;
    using pointer = const ServiceId*;
    using reference = ServiceId;

    Iterator() = default;
    Iterator(const ServiceSet* set, std::size_t at) : set_(set), at_(set->next(at)) {}
    ServiceId operator*() const { return ServiceId{static_cast<std::uint32_t>(at_)}; }
    Iterator& operator++() {
      at_ = set_->next(at_ + 1);
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const ServiceSet* set_ = nullptr;
    std::size_t at_ = 0;
  };

  ServiceSet() = default;
  ServiceSet(std::initializer_list<ServiceId> ids) {
    for (ServiceId id : ids)
      insert(id);
  }

  void insert(ServiceId id) {
    std::size_t word = index_of(id) / bits;
    if (word >= words_.size()) words_.resize(word + 1);
    size_ += contains(id) ? 0 : 1;
    words_[word] |= bit_of(id);
  }
  // Whether it was there.
  bool erase(ServiceId id) {
    if (!contains(id)) return false;
    words_[index_of(id) / bits] &= ~bit_of(id);
    --size_;
    return true;
  }
  void clear() { *this = ServiceSet(); }

  bool contains(ServiceId id) const {
    std::size_t word = index_of(id) / bits;
    return word < words_.size() && (words_[word] & bit_of(id)) != 0;
  }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  Iterator begin() const { return Iterator(this, 0); }
  Iterator end() const { return Iterator(this, words_.size() * bits); }

 private:
  static constexpr std::size_t bits = 64;
  static std::uint64_t bit_of(ServiceId id) { return std::uint64_t{1} << (index_of(id) % bits); }

  // The first id from `at` on; behind the last word where there is none.
  std::size_t next(std::size_t at) const {
    for (std::size_t word = at / bits; word < words_.size(); ++word, at = word * bits) {
      std::uint64_t rest = words_[word] >> (at % bits);
      if (rest != 0) return at + static_cast<std::size_t>(std::countr_zero(rest));
    }
    return words_.size() * bits;
  }

  std::vector<std::uint64_t> words_;
  std::size_t size_ = 0;
};

}  // namespace gitproc
