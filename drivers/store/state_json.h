// The text of state.json: indented JSON, times as RFC 3339 in UTC, full commit hashes, durations as numbers of
// seconds, and the version of the schema. Pure; reading assumes nothing of the text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/error.h"
#include "reconcile/durable.h"

namespace gitproc {

inline constexpr int state_schema_version = 1;
// Nesting of a file that this program wrote is 3.
inline constexpr unsigned state_depth_limit = 16;
// Longer texts (a commit's subject, a reason) are cut when written.
inline constexpr std::size_t state_text_limit_bytes = 4096;

struct DecodedState {
  DurableState state;
  std::vector<std::string> unknown_keys;  // "history[3].colour": left out of `state`
  std::vector<std::string> faults;        // members that could not be understood, left out of `state`

  bool operator==(const DecodedState&) const = default;
};

// Ends with a newline. Text that is not UTF-8 is written with U+FFFD in place of the bad bytes.
std::string encode_state(const DurableState& state);

// The error is for a text that holds no state at all: not JSON, nested too deep, or no object. A member that
// has the wrong type or an impossible value is left out as a whole and named in `faults`.
Result<DecodedState> decode_state(std::string_view text);

}  // namespace gitproc
