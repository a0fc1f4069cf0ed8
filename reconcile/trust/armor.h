// Text armour around binary data: plain base64 (RFC 4648), and the blocks that OpenPGP keys are handed around in
// (RFC 4880, 6.2), which gpgv does not read by itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "reconcile/base/error.h"

namespace gitproc {

// Line ends, blanks and tabs between the digits are skipped; anything else that is no digit, and digits behind the
// padding, are nullopt.
std::optional<std::string> decode_base64(std::string_view text);

bool is_armored_keyring(std::string_view text);

// The keys of all PUBLIC KEY BLOCKs of the text, one behind the other. The checksum is not looked at: what is damaged
// is no key. Errors: no such block, one without an end, one that is not base64.
Result<std::string> without_armor(std::string_view text);

}  // namespace gitproc
