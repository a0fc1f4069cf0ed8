// libFuzzer: any bytes are JSON or are refused.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include <nlohmann/json.hpp>

#include "drivers/base/json_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string fault = gitproc::json_fault({reinterpret_cast<const char*>(data), size});
  if (fault.empty()) return 0;
  std::cerr << fault << std::endl;
  std::abort();
}
