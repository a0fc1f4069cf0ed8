// What must hold of a state file of any bytes, for the fuzzer and for the replay of its corpus.
#pragma once

#include <string>
#include <string_view>

#include "drivers/store/state_json.h"

namespace gitproc {

// "" or what does not hold: what could be understood is written so that all of it is understood the next time.
inline std::string state_fault(std::string_view text) {
  Result<DecodedState> read = decode_state(text);
  if (!read) return "";
  std::string written = encode_state(read->state);
  Result<DecodedState> again = decode_state(written);
  if (!again) return "what was written is refused: " + again.error().message;
  if (!again->unknown_keys.empty())
    return "what was written has an unknown key: " + again->unknown_keys.front();
  if (!again->faults.empty()) return "what was written is not understood: " + again->faults.front();
  return encode_state(again->state) == written ? "" : "changed by being written:\n" + written;
}

}  // namespace gitproc
