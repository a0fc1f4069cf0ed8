// A list of short texts in one piece of memory, each ended by a NUL as in /proc/PID/cmdline (proc(5)): a list of
// std::string takes three times as much, and every service has one. A text cannot hold a NUL.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace gitproc {

class PackedStrings {
 public:
  // Valid until the list is changed.
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::string_view*;
    using reference = std::string_view;

    Iterator() = default;
    explicit Iterator(const char* at) : at_(at) {}
    std::string_view operator*() const { return at_; }
    Iterator& operator++() {
      at_ += std::string_view(at_).size() + 1;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const char* at_ = nullptr;
  };

  PackedStrings() = default;
  PackedStrings(std::initializer_list<std::string_view> texts) {
    for (std::string_view text : texts)
      push_back(text);
  }

  void push_back(std::string_view text) {
    bytes_ += text;
    bytes_ += '\0';
  }
  void shrink_to_fit() { bytes_.shrink_to_fit(); }

  Iterator begin() const { return Iterator(bytes_.data()); }
  Iterator end() const { return Iterator(bytes_.data() + bytes_.size()); }
  bool empty() const { return bytes_.empty(); }
  // Counts them.
  std::size_t size() const { return static_cast<std::size_t>(std::ranges::count(bytes_, '\0')); }
  // Of a list that is not empty.
  std::string_view front() const { return *begin(); }

  std::vector<std::string> unpacked() const { return {begin(), end()}; }

  bool operator==(const PackedStrings&) const = default;

 private:
  std::string bytes_;
};

}  // namespace gitproc
