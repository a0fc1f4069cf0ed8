// What the tools that check signatures say, and what it means. A signature is good only when a tool says so in the
// words of its documented interface; everything else, silence too, is bad. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gitproc {

// "" for a good signature by a listed key, else why it is none: a clause for "commit 0123456789ab ...".
using Refusal = std::string;

// Principals that are tried for one key.
inline constexpr std::size_t max_principals = 16;

// From the status lines of gpgv (doc/DETAILS of GnuPG). Good is exactly one GOODSIG with its VALIDSIG; a key that
// has expired or was revoked is not good, whenever it signed.
Refusal judge_openpgp(std::string_view status_lines);

// From `ssh-keygen -Y find-principals`: whom the key is listed for. Empty: it is not listed, or not any more.
std::vector<std::string> principals_of(std::string_view output);
// Why there were none, from what it complained of.
Refusal explain_no_principals(std::string_view complaint);
// From `ssh-keygen -Y verify` for the namespace "git".
Refusal judge_ssh(std::string_view output, std::string_view complaint);

}  // namespace gitproc
