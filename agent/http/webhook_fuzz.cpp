// The webhook with any request: what is not signed never triggers a fetch, and what is signed is judged without harm.
// The first line of the input is the proof's header, as it would be sent; the rest is the body.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "agent/http/webhook_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (!gitproc::webhook_holds({reinterpret_cast<const char*>(data), size})) std::abort();
  return 0;
}
