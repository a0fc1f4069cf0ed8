// A value that few owners have: as std::optional, but where it is not there it takes no more than a pointer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace gitproc {

template <typename T>
class Rare {
 public:
  Rare() = default;
  Rare(std::nullopt_t) {}
  Rare(std::optional<T> value) : value_(value ? std::make_unique<T>(*std::move(value)) : nullptr) {}
  Rare(T value) : value_(std::make_unique<T>(std::move(value))) {}
  Rare(const Rare& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Rare(Rare&&) noexcept = default;
  Rare& operator=(const Rare& other) {
    value_ = other.value_ ? std::make_unique<T>(*other.value_) : nullptr;
    return *this;
  }
  Rare& operator=(Rare&&) noexcept = default;
  ~Rare() = default;

  bool has_value() const { return value_ != nullptr; }
  explicit operator bool() const { return has_value(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }
  void reset() { value_.reset(); }

  bool operator==(const Rare& other) const {
    return has_value() == other.has_value() && (!has_value() || **this == *other);
  }
  // std::optional's own comparison with any other type would find that two empty ones differ.
  friend bool operator==(const Rare& a, const std::optional<T>& b) {
    return a.has_value() == b.has_value() && (!a.has_value() || *a == *b);
  }

 private:
  std::unique_ptr<T> value_;
};

// The same for a text that most owners leave empty.
class RareText {
 public:
  RareText() = default;
  RareText(std::string text)
      : text_(text.empty() ? nullptr : std::make_unique<std::string>(std::move(text))) {}
  RareText(const char* text) : RareText(std::string(text)) {}
  RareText(const RareText& other)
      : text_(other.text_ ? std::make_unique<std::string>(*other.text_) : nullptr) {}
  RareText(RareText&&) noexcept = default;
  ~RareText() = default;
  RareText& operator=(RareText other) noexcept {
    text_ = std::move(other.text_);
    return *this;
  }
  const std::string& str() const {
    static const std::string none;
    return text_ ? *text_ : none;
  }
  const char* c_str() const { return str().c_str(); }
  bool empty() const { return text_ == nullptr; }
  void clear() { text_.reset(); }

  bool operator==(const RareText& other) const { return str() == other.str(); }

 private:
  std::unique_ptr<std::string> text_;
};

}  // namespace gitproc
