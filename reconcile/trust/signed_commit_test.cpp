#include "reconcile/trust/signed_commit.h"

#include "reconcile/trust/armor.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

const std::string tree = std::string(40, 'a'), parent = std::string(40, 'b');
const std::string people =
    "author Ada <ada@example.org> 1700000000 +0100\ncommitter Ada <ada@example.org> 1700000001 +0100\n";
const std::string start = "tree " + tree + "\nparent " + parent + "\n" + people;
const std::string signature_header =
    "gpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lH\n -----END SSH SIGNATURE-----\n";

std::string error_of(const std::string& object) {
  auto commit = parse_signed_commit(object);
  return commit ? "" : commit.error().message;
}

}  // namespace

TEST_CASE("a signed commit is what was signed, and the signature") {
  auto commit = parse_signed_commit(start + "encoding UTF-8\n" + signature_header + "\nmessage\n");
  REQUIRE(commit);
  CHECK(*commit == SignedCommit{.tree = *ObjectId::parse(tree),
                                .parents = {*ObjectId::parse(parent)},
                                .at = WallTime(std::chrono::seconds(1700000001)),
                                .payload = start + "encoding UTF-8\n\nmessage\n",
                                .signature = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH "
                                             "SIGNATURE-----\n"});
}

TEST_CASE("a merged tag's own signature is part of what is signed") {
  std::string tag = "mergetag object " + parent + "\n tag v1\n gpgsig no\n -----BEGIN PGP SIGNATURE-----\n";
  auto commit = parse_signed_commit(start + tag + signature_header + "\nmessage\n");
  REQUIRE(commit);
  CHECK(commit->payload == start + tag + "\nmessage\n");
}

TEST_CASE("the other hash's signature is no part of what is signed") {
  auto commit = parse_signed_commit(start + signature_header + "gpgsig-sha256 x\n y\n" + "\nmessage\n");
  REQUIRE(commit);
  CHECK(commit->payload == start + "\nmessage\n");
}

TEST_CASE("a commit that two programs could read differently is none") {
  CHECK(error_of("tree " + tree + "\n" + signature_header + people + "\nm\n") ==
        "malformed commit: its signature is out of place");
  CHECK(error_of(start + signature_header + signature_header + "\nm\n") ==
        "malformed commit: it has two signatures");
  CHECK(error_of(start + "parent " + parent + "\n\nm\n") == "malformed commit: it has a second parent");
  CHECK(error_of(start + signature_header + "tree " + tree + "\n\nm\n") ==
        "malformed commit: it has a second tree");
  CHECK(error_of("parent " + parent + "\n") == "malformed commit: it names no tree");
  CHECK(error_of("tree " + tree + "\n folded\n" + people) == "malformed commit: it names no tree");
  CHECK(error_of("") == "malformed commit: it is cut short");
  CHECK(error_of(start + "encoding UTF-8") == "malformed commit: its headers do not end");
  CHECK(error_of("tree " + tree + "\nauthor A <a> 1 +0\ncommitter A <a> x +0\n\n") ==
        "malformed commit: it names no committer");
}

TEST_CASE("a signature has a kind") {
  CHECK(kind_of("") == SignatureKind::none);
  CHECK(kind_of("-----BEGIN PGP SIGNATURE-----\n") == SignatureKind::openpgp);
  CHECK(kind_of("-----BEGIN SSH SIGNATURE-----\n") == SignatureKind::ssh);
  CHECK(kind_of("-----BEGIN SIGNED MESSAGE-----\n") == SignatureKind::x509);
  CHECK(kind_of("hello") == SignatureKind::unknown);
}

TEST_CASE("an SSH signature claims a key") {
  // SSHSIG, version 1, a key of three bytes.
  std::string text =
      "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAA\nAQAAAANrZXk=\n-----END SSH SIGNATURE-----\n";
  CHECK(claimed_ssh_key(text) == "key");
  CHECK(claimed_ssh_key(
            "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQAAAP9rZXk=\n-----END SSH SIGNATURE-----") ==
        std::nullopt);
  CHECK(claimed_ssh_key("-----BEGIN SSH SIGNATURE-----\nAAAA") == std::nullopt);
}

TEST_CASE("base64 is decoded, or nothing is") {
  CHECK(decode_base64("aGVsbG8=") == "hello");
  CHECK(decode_base64("aGVs\nbG8h") == "hello!");
  CHECK(decode_base64("aA==") == "h");
  CHECK(decode_base64("aGVsbG8") == "hello");
  CHECK(decode_base64("") == "");
  for (const char* bad : {"a", "a=b=", "aGVsbG8==", "aGV$", "===="}) {
    INFO(bad);
    CHECK(decode_base64(bad) == std::nullopt);
  }
}

TEST_CASE("the armour of a keyring is taken off") {
  std::string block =
      "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\naGVs\nbG8=\n=AbCd\n-----END PGP PUBLIC KEY "
      "BLOCK-----\n";
  CHECK(is_armored_keyring("words\n" + block));
  CHECK_FALSE(is_armored_keyring("\x99\x01"));
  CHECK(without_armor("words\n" + block + block) == "hellohello");
  CHECK_FALSE(without_armor("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\naGVs"));
  CHECK_FALSE(without_armor("-----BEGIN PGP PUBLIC KEY BLOCK-----\n-----END PGP PUBLIC KEY BLOCK-----"));
}
