// libFuzzer: what a fetch worker says to the agent, or is told by it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "drivers/git/message_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string fault = gitproc::message_fault({reinterpret_cast<const char*>(data), size});
  if (fault.empty()) return 0;
  std::cerr << fault << std::endl;
  std::abort();
}
