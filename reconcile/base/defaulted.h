// A value that is mostly at its default: costs one pointer until somebody changes it. Value semantics:
// copies are deep, comparison is by content, and a Defaulted that was edited back to the default equals
// one never touched.
#pragma once

#include <compare>
#include <memory>

namespace gitproc {

template <typename T>
class Defaulted {
 public:
  Defaulted() = default;
  Defaulted(const Defaulted& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Defaulted(Defaulted&&) noexcept = default;
  Defaulted& operator=(const Defaulted& other) {
    value_ = other.value_ ? std::make_unique<T>(*other.value_) : nullptr;
    return *this;
  }
  Defaulted& operator=(Defaulted&&) noexcept = default;

  const T& get() const {
    static const T default_value{};
    return value_ ? *value_ : default_value;
  }
  const T& operator*() const { return get(); }
  const T* operator->() const { return &get(); }

  T& edit() {
    if (!value_) value_ = std::make_unique<T>();
    return *value_;
  }

  bool operator==(const Defaulted& other) const { return (!value_ && !other.value_) || get() == other.get(); }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace gitproc
