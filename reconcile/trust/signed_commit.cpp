#include "reconcile/trust/signed_commit.h"

#include <algorithm>
#include <cstdint>

#include "reconcile/base/numbers.h"
#include "reconcile/trust/armor.h"

namespace gitproc {
namespace {

constexpr std::string_view ssh_begin = "-----BEGIN SSH SIGNATURE-----";
constexpr std::string_view ssh_end = "-----END SSH SIGNATURE-----";

std::unexpected<Error> malformed(std::string what) {
  return fail("malformed commit: " + std::move(what), ErrorCode::invalid);
}

// One header with its continuation lines, which begin with a blank.
struct Header {
  std::string_view name;
  std::string_view value;  // of the first line
  std::string_view whole;  // all lines with their ends
};

// Takes the next header off `rest`; nullopt at the blank line that ends them, or where a line has no end.
std::optional<Header> take_header(std::string_view& rest) {
  std::size_t end = rest.find('\n');
  if (end == std::string_view::npos || end == 0) return std::nullopt;
  std::string_view line = rest.substr(0, end);
  std::size_t blank = line.find(' ');
  Header header{.name = line.substr(0, blank),
                .value = blank == std::string_view::npos ? std::string_view() : line.substr(blank + 1),
                .whole = {}};
  std::size_t size = end + 1;
  while (size < rest.size() && rest[size] == ' ') {
    end = rest.find('\n', size);
    if (end == std::string_view::npos) return std::nullopt;
    size = end + 1;
  }
  header.whole = rest.substr(0, size);
  rest.remove_prefix(size);
  return header;
}

// The value with the blank that begins each continuation line taken away.
std::string unfolded(const Header& header) {
  std::string text;
  std::string_view rest = header.whole.substr(header.name.size());
  while (!rest.empty()) {
    std::size_t end = rest.find('\n');
    text += rest.substr(1, end);  // up to and with the line's end, less the blank
    rest.remove_prefix(end + 1);
  }
  return text;
}

// "Name <mail> 1700000000 +0100"
std::optional<WallTime> time_of(std::string_view identity) {
  std::size_t zone = identity.rfind(' ');
  if (zone == std::string_view::npos) return std::nullopt;
  std::string_view before = identity.substr(0, zone);
  std::size_t blank = before.rfind(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  auto seconds = parse_number<std::int64_t>(before.substr(blank + 1));
  constexpr std::int64_t most = INT64_MAX / 2'000'000;
  if (!seconds || *seconds < -most || *seconds > most) return std::nullopt;
  return WallTime(std::chrono::seconds(*seconds));
}

}  // namespace

Result<SignedCommit> parse_signed_commit(std::string_view object) {
  SignedCommit commit;
  std::string_view rest = object;
  enum class Place { tree, parents, committer, others } place = Place::tree;
  bool has_signature = false;
  while (std::optional<Header> header = take_header(rest)) {
    bool is_of_signature = header->name == "gpgsig" || header->name == "gpgsig-sha256";
    if (is_of_signature) {
      // Whoever reads the object must find in it what was signed: a signature between the other headers, or two of
      // them, would be read differently by different programs.
      if (place != Place::others) return malformed("its signature is out of place");
      if (header->name != "gpgsig") continue;
      if (std::exchange(has_signature, true)) return malformed("it has two signatures");
      if (header->whole.size() > max_signature_bytes) return malformed("its signature is too long");
      commit.signature = unfolded(*header);
      continue;
    }
    commit.payload += header->whole;
    bool is_single_line = header->whole.size() == header->name.size() + header->value.size() + 2;
    switch (place) {
      case Place::tree: {
        std::optional<ObjectId> tree = ObjectId::parse(header->value);
        if (header->name != "tree" || !tree || !is_single_line) return malformed("it names no tree");
        commit.tree = *tree;
        place = Place::parents;
        break;
      }
      case Place::parents: {
        if (header->name == "author") {
          place = Place::committer;
          break;
        }
        std::optional<ObjectId> parent = ObjectId::parse(header->value);
        if (header->name != "parent" || !parent || !is_single_line) {
          return malformed("it names neither parent nor author where it should");
        }
        if (commit.parents.size() == max_commit_parents) return malformed("it has too many parents");
        commit.parents.push_back(*parent);
        break;
      }
      case Place::committer: {
        std::optional<WallTime> at = header->name == "committer" ? time_of(header->value) : std::nullopt;
        if (!at) return malformed("it names no committer");
        commit.at = *at;
        place = Place::others;
        break;
      }
      case Place::others: {
        bool is_repeated = header->name == "tree" || header->name == "parent" || header->name == "author" ||
                           header->name == "committer";
        if (is_repeated) return malformed("it has a second " + std::string(header->name));
        break;
      }
    }
  }
  if (place != Place::others) return malformed("it is cut short");
  // The blank line and the message; git makes no commit without them, but others do.
  commit.payload += rest;
  if (!rest.empty() && rest.front() != '\n') return malformed("its headers do not end");
  return commit;
}

SignatureKind kind_of(std::string_view signature) {
  if (signature.empty()) return SignatureKind::none;
  if (signature.starts_with("-----BEGIN PGP SIGNATURE-----")) return SignatureKind::openpgp;
  if (signature.starts_with(ssh_begin)) return SignatureKind::ssh;
  if (signature.starts_with("-----BEGIN SIGNED MESSAGE-----")) return SignatureKind::x509;
  return SignatureKind::unknown;
}

std::optional<std::string> claimed_ssh_key(std::string_view signature) {
  if (!signature.starts_with(ssh_begin)) return std::nullopt;
  std::size_t end = signature.find(ssh_end);
  if (end == std::string_view::npos) return std::nullopt;
  auto blob = decode_base64(signature.substr(ssh_begin.size(), end - ssh_begin.size()));
  constexpr std::string_view preamble = "SSHSIG";
  constexpr std::size_t version_bytes = 4, length_bytes = 4;
  constexpr std::size_t key_at = preamble.size() + version_bytes + length_bytes;
  if (!blob || !blob->starts_with(preamble) || blob->size() < key_at) return std::nullopt;
  std::uint32_t length = 0;
  for (std::size_t i = key_at - length_bytes; i < key_at; ++i)
    length = length << 8 | static_cast<std::uint8_t>((*blob)[i]);
  if (length > blob->size() - key_at) return std::nullopt;
  return blob->substr(key_at, length);
}

}  // namespace gitproc
