#include "reconcile/lifecycle/lifecycle.h"

namespace gitproc {
namespace {

// splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

}  // namespace

InvocationId IdSource::next_invocation() {
  InvocationId id;
  std::uint64_t count = ++invocations_;
  std::uint64_t halves[] = {mixed(seed_ ^ mixed(count)), mixed(mixed(seed_ + 1) ^ count)};
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(halves[i / 8] >> (8 * (i % 8)));
  }
  return id;
}

}  // namespace gitproc
