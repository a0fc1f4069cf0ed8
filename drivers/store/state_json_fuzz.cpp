// libFuzzer: a state file of any bytes is refused or understood in part, and what was understood is kept.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "drivers/store/state_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string fault = gitproc::state_fault({reinterpret_cast<const char*>(data), size});
  if (fault.empty()) return 0;
  std::cerr << fault << std::endl;
  std::abort();
}
