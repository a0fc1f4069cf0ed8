// A value that is mostly at its default: costs one pointer until somebody changes it. Value semantics: a copy shares
// the content until one of the two is edited (copies may be made on any thread), comparison is by content, and a
// Defaulted that was edited back to the default equals one never touched.
#pragma once

#include <atomic>
#include <utility>

namespace gitproc {

template <typename T>
class Defaulted {
 public:
  Defaulted() = default;
  Defaulted(T value) : content_(new Content{std::move(value)}) {}
  Defaulted(const Defaulted& other) noexcept : content_(other.content_) {
    if (content_ != nullptr) content_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  Defaulted(Defaulted&& other) noexcept : content_(std::exchange(other.content_, nullptr)) {}
  Defaulted& operator=(Defaulted other) noexcept {
    std::swap(content_, other.content_);
    return *this;
  }
  ~Defaulted() {
    if (content_ != nullptr && content_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete content_;
  }

  const T& get() const {
    static const T default_value{};
    return content_ != nullptr ? content_->value : default_value;
  }
  const T& operator*() const { return get(); }
  const T* operator->() const { return &get(); }

  // Valid until the Defaulted is copied.
  T& edit() {
    bool is_own = content_ != nullptr && content_->owners.load(std::memory_order_acquire) == 1;
    if (!is_own) {
      Defaulted copy;
      copy.content_ = new Content{get()};
      *this = std::move(copy);
    }
    return content_->value;
  }

  // Takes the content of `other` for its own where the two are equal: it is then held once.
  void share(const Defaulted& other) {
    if (content_ != other.content_ && *this == other) *this = other;
  }

  bool operator==(const Defaulted& other) const { return content_ == other.content_ || get() == other.get(); }

 private:
  struct Content {
    T value;
    std::atomic<unsigned> owners = 1;
  };
  Content* content_ = nullptr;
};

}  // namespace gitproc
