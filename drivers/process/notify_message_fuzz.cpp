// libFuzzer: a notification of any bytes is passed over or understood within bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "drivers/process/notify_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string fault = gitproc::notify_fault({reinterpret_cast<const char*>(data), size});
  if (fault.empty()) return 0;
  std::cerr << fault << std::endl;
  std::abort();
}
