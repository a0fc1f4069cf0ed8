#include "reconcile/trust/verdict.h"

#include <optional>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::string_view status_prefix = "[GNUPG:] ";
constexpr std::size_t key_words = 80;

// Keywords of which each signature yields exactly one.
std::optional<std::string> outcome_of(std::string_view keyword, std::string_view key) {
  std::string by = " by key " + printable(key, key_words);
  if (keyword == "GOODSIG") return "";
  if (keyword == "EXPSIG") return "carries a signature that has expired," + by;
  if (keyword == "EXPKEYSIG") return "is signed" + by + ", which has expired";
  if (keyword == "REVKEYSIG") return "is signed" + by + ", which was revoked";
  if (keyword == "BADSIG") return "carries a bad signature" + by;
  if (keyword == "ERRSIG") return "carries a signature that cannot be checked," + by;
  return std::nullopt;
}

std::string_view first_word(std::string_view text) { return text.substr(0, text.find(' ')); }

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// The last line of what a program complains of, to be put behind a clause.
std::string quoted(std::string_view complaint) {
  complaint = trim(complaint);
  std::string_view last = complaint.substr(complaint.rfind('\n') + 1);
  return last.empty() ? "" : " (" + printable(trim(last)) + ")";
}

}  // namespace

Refusal judge_openpgp(std::string_view status_lines) {
  unsigned outcomes = 0, valid = 0;
  Refusal refusal;
  for (std::string_view line : split(status_lines, '\n')) {
    if (!line.starts_with(status_prefix)) continue;
    line.remove_prefix(status_prefix.size());
    std::string_view keyword = first_word(line);
    std::string_view rest = line.substr(std::min(keyword.size() + 1, line.size()));
    if (keyword == "VALIDSIG") ++valid;
    if (keyword == "NO_PUBKEY") {
      refusal =
          "is signed by OpenPGP key " + printable(first_word(rest), key_words) + ", which is not listed";
    }
    if (auto outcome = outcome_of(keyword, first_word(rest))) {
      ++outcomes;
      if (refusal.empty()) refusal = *outcome;
    }
  }
  if (!refusal.empty()) return refusal;
  if (outcomes > 1) return "carries more than one signature";
  if (outcomes == 0 || valid != 1) return "carries an OpenPGP signature that cannot be checked";
  return "";
}

std::vector<std::string> principals_of(std::string_view output) {
  std::vector<std::string> principals;
  for (std::string_view line : split(output, '\n')) {
    line = trim(line);
    // "!pattern" says for whom the key is not.
    if (line.empty() || line.starts_with('!')) continue;
    principals.emplace_back(line);
    if (principals.size() == max_principals) break;
  }
  return principals;
}

Refusal explain_no_principals(std::string_view complaint) {
  if (has(complaint, "key has expired")) return "is signed by an SSH key that has expired (valid-before)";
  if (has(complaint, "key is not yet valid"))
    return "is signed by an SSH key that is not valid yet (valid-after)";
  if (has(complaint, "ertificate")) return "is signed by an SSH certificate that is not good";
  if (has(complaint, "No principal matched")) return "is signed by an SSH key that is not listed";
  return "carries an SSH signature that cannot be checked" + quoted(complaint);
}

Refusal judge_ssh(std::string_view output, std::string_view complaint) {
  for (std::string_view line : split(output, '\n')) {
    if (line.starts_with("Good \"git\" signature for ")) return "";
  }
  if (has(complaint, "namespace")) return "carries an SSH signature that was not made for git";
  if (has(complaint, "key has expired") || has(complaint, "not yet valid"))
    return explain_no_principals(complaint);
  if (has(output, "Could not verify signature")) return "carries a bad SSH signature";
  return "carries an SSH signature that cannot be checked" + quoted(complaint);
}

}  // namespace gitproc
