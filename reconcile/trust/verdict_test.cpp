// What GnuPG 2.2 and OpenSSH 9.2 really print.
#include "reconcile/trust/verdict.h"

#include "testing/catch.h"

using namespace gitproc;

namespace {

const std::string valid =
    "[GNUPG:] VALIDSIG BB99E8358E21B60F514CE56F94C4C65025D5245E 2026-11-26 1795698158 0 4 0 22 8 00 "
    "BB99E8358E21B60F514CE56F94C4C65025D5245E\n";

std::string lines(const std::string& outcome) {
  return "[GNUPG:] NEWSIG a@x\n[GNUPG:] KEY_CONSIDERED BB99E8358E21B60F514CE56F94C4C65025D5245E "
         "0\n[GNUPG:] " +
         outcome + " 94C4C65025D5245E A <a@x>\n";
}

}  // namespace

TEST_CASE("an OpenPGP signature is good in one way only") {
  CHECK(judge_openpgp(lines("GOODSIG") + valid) == "");
  CHECK(judge_openpgp(lines("EXPKEYSIG") + valid) == "is signed by key 94C4C65025D5245E, which has expired");
  CHECK(judge_openpgp(lines("REVKEYSIG") + valid) == "is signed by key 94C4C65025D5245E, which was revoked");
  CHECK(judge_openpgp(lines("EXPSIG") + valid) ==
        "carries a signature that has expired, by key 94C4C65025D5245E");
  CHECK(judge_openpgp(lines("BADSIG")) == "carries a bad signature by key 94C4C65025D5245E");
  CHECK(judge_openpgp("[GNUPG:] ERRSIG 94C4C65025D5245E 22 8 00 1795698158 9 BB99\n[GNUPG:] NO_PUBKEY "
                      "94C4C65025D5245E\n") ==
        "is signed by OpenPGP key 94C4C65025D5245E, which is not listed");
  CHECK(judge_openpgp(lines("GOODSIG")) == "carries an OpenPGP signature that cannot be checked");
  CHECK(judge_openpgp(valid) == "carries an OpenPGP signature that cannot be checked");
  CHECK(judge_openpgp("") == "carries an OpenPGP signature that cannot be checked");
  CHECK(judge_openpgp("gpgv: GOODSIG\nGOODSIG A\n" + valid) ==
        "carries an OpenPGP signature that cannot be checked");
}

TEST_CASE("a good OpenPGP signature does not cover for another one") {
  CHECK(judge_openpgp(lines("GOODSIG") + valid + lines("BADSIG")) ==
        "carries a bad signature by key 94C4C65025D5245E");
  CHECK(judge_openpgp(lines("GOODSIG") + valid + lines("GOODSIG") + valid) ==
        "carries more than one signature");
}

TEST_CASE("an SSH signature is good when ssh-keygen says so") {
  CHECK(judge_ssh("Good \"git\" signature for a@x with ED25519 key SHA256:4liKw1NWSyySmHi1thVlm\n", "") ==
        "");
  CHECK(judge_ssh("Could not verify signature.\n", "") == "carries a bad SSH signature");
  CHECK(judge_ssh("Could not verify signature.\n", "Couldn't verify signature: namespace does not match\n") ==
        "carries an SSH signature that was not made for git");
  CHECK(judge_ssh("Good \"file\" signature for a@x with ED25519 key SHA256:4l\n", "") ==
        "carries an SSH signature that cannot be checked");
  CHECK(judge_ssh("", "warning: x\nNo user exists for uid 65534\r\n") ==
        "carries an SSH signature that cannot be checked (No user exists for uid 65534)");
}

TEST_CASE("an SSH key is listed for its principals") {
  CHECK(principals_of("a@x\nb@y\n") == std::vector<std::string>{"a@x", "b@y"});
  CHECK(principals_of("!c@z\n*@x\n") == std::vector<std::string>{"*@x"});
  CHECK(principals_of("").empty());
  CHECK(explain_no_principals(
            "/dev/fd/5:2: key has expired: verify time 2026 > valid-before 2020\nNo principal "
            "matched.\n") == "is signed by an SSH key that has expired (valid-before)");
  CHECK(explain_no_principals("No principal matched.\n") == "is signed by an SSH key that is not listed");
}
