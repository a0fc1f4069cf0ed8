// libFuzzer: any bytes load or are refused, and what loads survives print and load.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "reconcile/unit/round_trip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  for (std::string_view name : {"web", "foo-bar@a-b\\x2fc\\x0a\\xff"}) {
    std::string fault = gitproc::round_trip_fault(text, name);
    if (fault.empty()) continue;
    std::cerr << fault << std::endl;
    std::abort();
  }
  return 0;
}
